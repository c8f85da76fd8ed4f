"""Schemes for training on a task, one readable file each."""
