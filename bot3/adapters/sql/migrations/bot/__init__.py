"""Versions of the bot store."""
