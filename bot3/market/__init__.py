"""Market data: candles, indicators, features and regimes. Pure functions without I/O."""
