"""A bot's own database: journal, trades, decisions."""
