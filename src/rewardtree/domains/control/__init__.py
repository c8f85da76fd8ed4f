"""Control: rollouts of a Gymnasium environment, compared piece by piece (Christiano et al. 2017, arXiv 1706.03741)."""
