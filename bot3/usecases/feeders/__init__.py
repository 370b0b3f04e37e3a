"""Training feeders and their signals and shadow trades."""
