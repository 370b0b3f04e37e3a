"""Seeding of a new home: models, signals, shadow trades, the bots' backtest histories, and the first learning."""
