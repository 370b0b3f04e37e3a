"""Versions of the platform store."""
