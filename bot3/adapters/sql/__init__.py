"""SQLite and PostgreSQL: connections, errors, schema versions."""
