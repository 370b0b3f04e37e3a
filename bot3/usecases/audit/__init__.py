"""The audit of foreign trades on unseen data."""
