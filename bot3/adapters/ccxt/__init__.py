"""Market data through ccxt."""
