"""Market data of exchanges, downloaded through ccxt."""
