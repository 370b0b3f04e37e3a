"""Compute, once for all bots, what is known at a candle's close: the feeders' signals, close rates and volatility."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from bot3.errors import CandleError, ExchangeBusyError
from bot3.market.volatility import SIGMA_WARM_UP_CANDLES, expected_sigma
from bot3.trading.decisions import PairView
from bot3.trading.horizons import Horizon
from bot3.trading.signals import Signal
from execution.bot import Bot, Shared


class SignalSource(Protocol):
    """Produces the signals of all feeders (`usecases.feeders.predict_signals.SignalMaker`)."""

    def signals_at(self, candle_open_time: datetime, now: datetime) -> list[Signal]:
        """Return the signals of the candle that opened at a time; they become known at its close. `now` is the current market time."""
        ...


@dataclass(frozen=True, slots=True)
class _Newest:
    close_rate: float
    sigma: float
    candle_close_time: datetime


class Closes:
    """Cache of the signals, close rates and volatilities of one candle close; a request for another close replaces it."""

    def __init__(self, shared: Shared, *, signals: SignalSource) -> None:
        self._shared, self._source = shared, signals
        self._at: datetime | None = None
        self._signals: list[Signal] | None = None
        self._newest: dict[str, _Newest | None] = {}

    def signals(self, close: datetime, *, now: datetime) -> list[Signal]:
        """Return the signals of the candle that closed at `close`; they are computed once."""
        self._keep(close)
        if self._signals is None:
            self._signals = self._source.signals_at(close - self._shared.candle, now)
        return self._signals

    def view(self, bot: Bot, pair: str, *, close: datetime) -> PairView | None:
        """Return a pair's market data for a bot's decision: the exchange's current rate, and the close rate and volatility of a candle.

        That candle is the newest one closed by `close`. None if the pair has no candle in the time from which volatility is computed, or
        its candles cannot be read. If the exchange is busy, the rate is NaN, and no trade is opened at a NaN rate.
        """
        self._keep(close)
        if pair not in self._newest:
            self._newest[pair] = self._read(pair, close=close)
        newest = self._newest[pair]
        if newest is None:
            return None
        try:
            rate = float(bot.exchange.fetch_rate(pair))
        except ExchangeBusyError:
            rate = float("nan")
        return PairView(
            market=self._shared.markets.market(pair),
            rate=rate,
            mark_rate=newest.close_rate,
            sigma=newest.sigma,
            candle_close_time=newest.candle_close_time,
        )

    def _keep(self, close: datetime) -> None:
        if close != self._at:
            self._at, self._signals, self._newest = close, None, {}

    def _read(self, pair: str, *, close: datetime) -> _Newest | None:
        shared = self._shared
        try:
            frame = shared.candles.candles(pair, shared.timeframe, start=close - SIGMA_WARM_UP_CANDLES * shared.candle, end=close)
        except CandleError:
            return None
        if frame.empty:
            return None
        closes = frame["close"].to_numpy(dtype=np.float64)
        sigma = expected_sigma(closes, horizon_candles=Horizon.DAY.duration // shared.candle)
        opened: datetime = frame["open_time"].iloc[-1].to_pydatetime()
        return _Newest(close_rate=float(closes[-1]), sigma=float(sigma[-1]), candle_close_time=opened + shared.candle)
