"""Backups, notifications, metrics."""
