"""Databases and backtest results of freqtrade."""
