"""SQLite and PostgreSQL: connections, errors, schema versions, and the stores (of each bot, of the record, and for control)."""
