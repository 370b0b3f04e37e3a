"""Comparison of learned and static parameters on unseen data."""
