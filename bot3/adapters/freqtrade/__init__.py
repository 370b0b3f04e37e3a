"""Readers of freqtrade's databases and backtest results."""
