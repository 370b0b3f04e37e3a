"""Figures against peers, each a command that prints JSON."""
