"""Migrations of the stores; each kind has its own line of versions."""
