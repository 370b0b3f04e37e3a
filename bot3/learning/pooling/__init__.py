"""Empirical Bayes pooling of evidence over groups."""
