"""One module a schema version.

A migration that rebuilds the feedback table on SQLite (batch mode) must create its triggers anew.
"""
