"""A new home with demonstration data."""
