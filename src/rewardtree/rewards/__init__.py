"""Reward models: Bradley-Terry fits, ensembles, calibration."""
