"""A bot's own database: trades, planned orders (intents), fills, funding, decisions."""
