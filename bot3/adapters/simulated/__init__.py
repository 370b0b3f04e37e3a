"""A simulated market for demonstrations and tests."""
