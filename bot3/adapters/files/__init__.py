"""Files of a home: candles, markets, models, signals, latches."""
