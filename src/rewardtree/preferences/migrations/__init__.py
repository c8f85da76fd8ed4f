"""Alembic migrations of the preference store; run by `rewardtree.preferences.opening`, never by hand."""
