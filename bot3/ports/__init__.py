"""Interfaces that the platform requires of its environment: Protocols, one subject per file."""
