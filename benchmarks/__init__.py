"""Benchmarks of the platform and comparisons with other tools; each is a command that prints JSON."""
