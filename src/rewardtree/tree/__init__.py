"""Trees of reward-modelling problems, their checks, assistance and the training loop."""
