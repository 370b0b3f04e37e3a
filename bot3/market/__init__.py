"""What the market did: candles, indicators, features, regimes. Pure."""
