"""Runs and studies: records, resuming, executors, reports."""
