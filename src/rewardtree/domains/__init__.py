"""Families of tasks with their renderers and default trees, one folder each."""
