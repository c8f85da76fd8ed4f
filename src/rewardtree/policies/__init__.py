"""Policies and the learners that improve them from rewards."""
