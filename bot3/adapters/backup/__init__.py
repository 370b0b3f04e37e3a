"""Backups of a home's databases."""
