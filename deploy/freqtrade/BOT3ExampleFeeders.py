# Licensed under the Apache License, Version 2.0.
"""An example of a strategy that derives from the mixin: three simple feeders. They show the mechanics and are not profitable."""

import numpy as np
import pandas as pd
from BOT3MetaStrategyAdaptive import BOT3MetaStrategyAdaptive

FEEDER_TAGS = ("F01", "F02|c=0.60", "F03")


def feeder_signals(dataframe: pd.DataFrame) -> pd.DataFrame:
    """Return the feeders' signals at each candle's close: columns `is_long`, `is_short` (bool) and `enter_tag` ("" without a signal).

    F01 signals a crossing of moving averages, F02 a breakout from the range of four hours, F03 a reversion after a large deviation from the
    mean of eight hours. If several signal, the first one is used. The first 288 candles have no signal.
    """
    close = dataframe["close"]
    above = close.ewm(span=12).mean() > close.ewm(span=26).mean()
    before = above.shift(1, fill_value=False)
    far = (close - close.rolling(96).mean()) / close.rolling(96).std()
    longs = [above & ~before, close > dataframe["high"].rolling(48).max().shift(1), far < -2.5]
    shorts = [~above & before, close < dataframe["low"].rolling(48).min().shift(1), far > 2.5]
    warm = pd.Series(np.arange(len(dataframe)) >= 288, index=dataframe.index)
    is_called = [(up | down) & warm for up, down in zip(longs, shorts, strict=True)]
    return pd.DataFrame(
        {
            "is_long": np.select(is_called, longs, default=False),
            "is_short": np.select(is_called, shorts, default=False),
            "enter_tag": np.select(is_called, FEEDER_TAGS, default=""),
        },
        index=dataframe.index,
    )


class BOT3ExampleFeeders(BOT3MetaStrategyAdaptive):
    """Enter when one of the example's feeders signals; the mixin handles everything after the entry."""

    def populate_entry_trend(self, dataframe: pd.DataFrame, metadata: dict[str, str]) -> pd.DataFrame:
        """Set `enter_long`, `enter_short` and `enter_tag` from the feeders' signals."""
        del metadata
        called = feeder_signals(dataframe)
        dataframe["enter_long"] = called["is_long"].astype(int)
        dataframe["enter_short"] = called["is_short"].astype(int)
        dataframe["enter_tag"] = called["enter_tag"]
        return dataframe
