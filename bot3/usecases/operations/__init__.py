"""Backups, the delivery of notifications, and metrics."""
