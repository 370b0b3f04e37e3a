"""Read candles, funding rates and the exchange's rules for orders of a pair; results of validating candle files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.market.candles import CandleReport
from bot3.trading.markets import Market


class CandleReader(Protocol):
    """Candles of many pairs.

    The caller states the end of what is read: a reader may contain candles later than the market's time (replayed or simulated ones), so
    `end` is required, and callers pass no time later than the market's. While the source is unchanged, the same request returns the same
    candles.
    """

    def pairs(self) -> tuple[str, ...]:
        """Return the pairs that have candles, sorted (ccxt symbols, "BTC/USDT:USDT"); a reader may list only those of one currency."""
        ...

    def timeframes(self, pair: str) -> tuple[str, ...]:
        """Return the timeframes of which the pair has candles, sorted as text; an empty tuple for an unknown pair."""
        ...

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        """Return the first open time and the last close time of a pair's candles. Raises CandleError if there are none."""
        ...

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candle frame (`market.candles`) of candles that open at or after start and are closed by end.

        Raises CandleError if the pair or timeframe is unknown or the source cannot be read; the frame is empty if the span has no candle.
        """
        ...

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        """Return the price of a market order at a time, without slippage: the open of the candle in progress, or without it the last close.

        Raises CandleError if no candle opened by then, or if the last one closed more than two candle durations before.
        """
        ...

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the funding rates with start <= time < end (`market.candles`); an empty frame if none are known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFileFinding:
    """What a candle file contains, according to its name and to the validation of its rows.

    `kind` is candles, funding_rate or other (mark, index). `problem` is the reason why the file cannot be used, None if it can. `report` is
    None for a file with a problem and for funding rates. `rows` counts the rows of the file, for other kinds than candles only the valid
    ones; it is 0 with a problem.
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
    """The exchange's rules for orders of each pair: price ticks, amount steps, minimum orders, fees and leverage brackets."""

    def market(self, pair: str) -> Market:
        """Return the rules of a pair. Raises CandleError for an unknown pair."""
        ...
