"""Five algorithmic tasks whose questions fall into easier ones (Christiano et al. 2018, arXiv 1810.08575)."""
