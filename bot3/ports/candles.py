"""Candles and funding, read as of a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.market.candles import CandleReport
from bot3.trading.markets import Market


class CandleReader(Protocol):
    """Candles of many pairs.

    The caller states the end of what is read: a reader may have candles of the market's future (replayed or simulated), so `end` is
    required and is the market's time in every use. The same request returns the same candles (closed candles never change).
    """

    def pairs(self) -> tuple[str, ...]:
        """Return the pairs with candles, sorted (ccxt symbols, "BTC/USDT:USDT")."""
        ...

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        """Return the first open time and the last close time of the candles. Raises CandleError if there are none."""
        ...

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candle frame (`market.candles`) of candles that open at or after start and are closed by end.

        Raises CandleError if the pair or timeframe is unknown or the source cannot be read; an empty frame means "none in this span".
        """
        ...

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        """Return the rate of a market order: the open of the candle in progress at a time, else the last close.

        Raises CandleError if the last known candle closed longer than two candles before `at`.
        """
        ...

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the funding frame with start <= time < end; empty if no funding is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFileFinding:
    """The contents of a candle file, by its name and its validation.

    `kind` is candles, funding_rate or other (mark, index). `problem` is why it cannot be used; `report` is None then, and for funding.
    """

    path: str
    pair: str
    timeframe: str
    kind: str
    rows: int
    report: CandleReport | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredCandleFile:
    """A file of a candle directory that is not read, and the reason."""

    path: str
    reason: str


class MarketReader(Protocol):
    """Exchange filters of pairs."""

    def market(self, pair: str) -> Market:
        """Return the pair's filters. Raises CandleError for an unknown pair."""
        ...
