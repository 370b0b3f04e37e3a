"""The simulated exchange of paper trading."""
