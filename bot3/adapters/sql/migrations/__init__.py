"""Migrations of the stores; each kind (bot, control, platform) has its own sequence of versions."""
