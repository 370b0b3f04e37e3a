"""Return the predictable effects put into a simulated market, for benchmarks and tests only: learning code must not read them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from bot3.adapters.simulated.pairs import simulated_pairs
from bot3.adapters.simulated.price_process import REGIMES, MarketProcess
from bot3.errors import CandleError
from bot3.market.timeframes import timeframe_duration


class SimulatedTruth:
    """The regimes and predictable returns of the `SimulatedMarket` with the same arguments.

    Parameters
    ----------
    seed, starts_at, ends_at, pairs, timeframe
        The arguments of the market.
    """

    def __init__(self, seed: int, *, starts_at: datetime, ends_at: datetime, pairs: int = 8, timeframe: str = "5m") -> None:
        traits = simulated_pairs(pairs)
        process = MarketProcess(seed, starts_at=starts_at, traits=traits, timeframe=timeframe)
        duration = timeframe_duration(timeframe)
        count = (ends_at - starts_at) // duration
        blocks = [process.make_block() for _ in range(-(-count // process.candles_a_block))]
        self._pairs = tuple(trait.pair for trait in traits)
        self._times = pd.date_range(starts_at, periods=count, freq=duration, unit="us")
        self._regime = np.concatenate([block.regime for block in blocks])[:count]
        self._expected = np.concatenate([block.expected for block in blocks])[:count]
        self._sigma = np.concatenate([block.sigma for block in blocks])[:count]

    def regimes(self) -> pd.DataFrame:
        """Return the regime of every candle: columns open_time (datetime64[us, UTC]) and regime (str)."""
        return pd.DataFrame({"open_time": self._times, "regime": np.array([str(name) for name in REGIMES])[self._regime]})

    def expected(self, pair: str) -> pd.DataFrame:
        """Return the predictable effects of a pair's candles, including missing candles.

        Returns
        -------
        DataFrame
            open_time; expected_move, the predictable part of the candle's log return, known at its open; sigma, the true standard deviation
            of a day's log price at the candle's volatility.

        Raises
        ------
        CandleError
            If the market has no such pair.
        """
        if pair not in self._pairs:
            raise CandleError(f"the simulated market has no {pair}: it has {', '.join(self._pairs)}")
        index = self._pairs.index(pair)
        return pd.DataFrame({"open_time": self._times, "expected_move": self._expected[:, index], "sigma": self._sigma[:, index]})
