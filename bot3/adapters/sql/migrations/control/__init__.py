"""Versions of the control store."""
