"""Simulate a market of invented pairs from a seed: candles, funding rates and rules for orders, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import RLock

import numpy as np
import pandas as pd

from bot3.adapters.simulated.pairs import simulated_filters, simulated_pairs
from bot3.adapters.simulated.price_process import BLOCK, FUNDING_EVERY, Block, MarketProcess
from bot3.errors import CandleError, SettingsError
from bot3.market.candle_series import CandleSeries, funding_between
from bot3.market.timeframes import timeframe_duration
from bot3.trading.markets import Market


class SimulatedMarket:
    """Candles, funding rates and rules for orders of a simulated market (`CandleReader`, `MarketReader`).

    The same seed, start, pairs and timeframe give the same candles for any end, in every process; weeks are generated on first access.

    Parameters
    ----------
    seed : int
        At least 0.
    starts_at : datetime
        First open time, aware: 00:00, 08:00 or 16:00 UTC.
    ends_at : datetime
        No candle closes after it.
    pairs : int
        Number of pairs, 1 to 12.

    Raises
    ------
    SettingsError
        If a time has no time zone, the end is not after the start, or an argument is invalid for the market process.
    """

    def __init__(self, seed: int, *, starts_at: datetime, ends_at: datetime, pairs: int = 8, timeframe: str = "5m") -> None:
        if starts_at.tzinfo is None or ends_at.tzinfo is None or ends_at <= starts_at:
            raise SettingsError(f"the simulated market must end after it starts, both in UTC, was {starts_at} to {ends_at}")
        self._starts_at = starts_at.astimezone(UTC)
        self._duration = timeframe_duration(timeframe)
        self._ends_at = self._starts_at + (ends_at - starts_at) // self._duration * self._duration
        self._timeframe = timeframe
        self._traits = {traits.pair: traits for traits in simulated_pairs(pairs)}
        self._process = MarketProcess(seed, starts_at=self._starts_at, traits=tuple(self._traits.values()), timeframe=timeframe)
        self._frames: dict[str, pd.DataFrame] = {}
        self._series: dict[str, CandleSeries] = {}
        self._rates: dict[str, pd.DataFrame] = {}
        self._made_until = self._starts_at
        self._lock = RLock()

    def pairs(self) -> tuple[str, ...]:
        """Return the pairs, sorted."""
        return tuple(sorted(self._traits))

    def timeframes(self, pair: str) -> tuple[str, ...]:
        """Return the market's timeframe, or an empty tuple for an unknown pair."""
        return (self._timeframe,) if pair in self._traits else ()

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        """Return the market's start, and its end rounded down to a candle. Raises CandleError for an unknown pair or timeframe."""
        self._require(pair, timeframe)
        return self._starts_at, self._ends_at

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candle frame of candles that open at or after start and are closed by end."""
        return self._until(pair, timeframe, end).between(start=start, end=end)

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        """Return the open of the candle in progress at a time, otherwise the last close."""
        return self._until(pair, timeframe, at + self._duration).rate_at(at)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the funding frame with start <= time < end."""
        self._until(pair, self._timeframe, end)
        return funding_between(self._rates[pair], start=start, end=end)

    def market(self, pair: str) -> Market:
        """Return the rules for orders of a pair."""
        self._require(pair, self._timeframe)
        return simulated_filters(self._traits[pair])

    def _require(self, pair: str, timeframe: str) -> None:
        if pair not in self._traits:
            raise CandleError(f"the simulated market has no {pair}: it has {', '.join(self.pairs())}")
        if timeframe != self._timeframe:
            raise CandleError(f"the simulated market has {self._timeframe} candles, no {timeframe} ones")

    def _until(self, pair: str, timeframe: str, end: datetime) -> CandleSeries:
        """Return a pair's series, generated at least up to a time (or to the market's end)."""
        self._require(pair, timeframe)
        needed = min(end, self._ends_at)
        with self._lock:
            if needed > self._made_until or not self._series:
                self._make_until(needed)
            return self._series[pair]

    def _make_until(self, needed: datetime) -> None:
        blocks: list[Block] = []
        first = self._made_until
        while self._made_until < needed or not (blocks or self._frames):
            blocks.append(self._process.make_block())
            self._made_until += BLOCK
        for index, pair in enumerate(self._traits):
            candles = _candles(blocks, index, starts_at=first, duration=self._duration)
            candles = candles[candles["open_time"] < self._ends_at]
            funding = _funding(blocks, index, starts_at=first)
            funding = funding[funding["time"] < self._ends_at]
            if pair in self._frames:
                candles = pd.concat([self._frames[pair], candles], ignore_index=True)
                funding = pd.concat([self._rates[pair], funding], ignore_index=True)
            self._frames[pair], self._rates[pair] = candles, funding
            self._series[pair] = CandleSeries(candles, pair=pair, timeframe=self._timeframe)


def _times(starts_at: datetime, step: timedelta, count: int) -> pd.DatetimeIndex:
    return pd.date_range(starts_at, periods=count, freq=step, unit="us")


def _candles(blocks: list[Block], index: int, *, starts_at: datetime, duration: timedelta) -> pd.DataFrame:
    present = np.concatenate([block.present[:, index] for block in blocks])
    columns = {
        name: np.concatenate([getattr(block, name)[:, index] for block in blocks])[present]
        for name in ("open", "high", "low", "close", "volume")
    }
    return pd.DataFrame({"open_time": _times(starts_at, duration, len(present))[present], **columns})


def _funding(blocks: list[Block], index: int, *, starts_at: datetime) -> pd.DataFrame:
    rates = np.concatenate([block.funding[:, index] for block in blocks])
    return pd.DataFrame({"time": _times(starts_at, FUNDING_EVERY, len(rates)), "funding_rate": rates})
