"""Implementations of the ports, in one package for each technology."""
