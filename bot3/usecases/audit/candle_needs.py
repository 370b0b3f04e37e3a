"""Computes the candles that trades need: per pair, from the warm-up before the first entry to the horizon after the last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import CandleError, ExchangeBusyError, SettingsError
from bot3.ports.record import TradeRepository
from bot3.trading.trades import RunMode

WARM_UP = timedelta(days=20)
"""The volatility at entry gives each day half the weight of the day after it: candles older than this have a weight of a millionth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleNeed:
    """The candles that one pair's trades need, as one span: a file must not have gaps."""

    pair: str
    start: datetime
    end: datetime
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsFetched:
    """Candles that a fetch added by pair, and why a pair's candles could not be fetched (all others were)."""

    added: dict[str, int]
    refused: dict[str, str]


def foreign_trades(recorded: TradeRepository, *, own: Collection[str], bots: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the record's trades that were made elsewhere: of fleet and imported bots, all or some.

    Paper and backtest trades of our own bots are left out: they were made on this home's candles, which exist.

    Raises
    ------
    SettingsError
        If there is none.
    """
    trades = recorded.frame(as_of=None, run_modes=tuple(RunMode), bots=bots)
    is_own = trades["bot"].isin(own) & (trades["run_mode"] != RunMode.LIVE.value)
    if is_own.all():
        raise SettingsError(
            "the record contains no trades of foreign bots (of those named): sync a fleet (docs/fleet.md) or `bot3 import` first"
        )
    return trades[~is_own].reset_index(drop=True)


def candle_needs(trades: pd.DataFrame, *, horizon: timedelta, now: datetime) -> tuple[CandleNeed, ...]:
    """Return the candles that trades need, by pair.

    Parameters
    ----------
    trades : DataFrame
        Columns pair, open_date and close_date.
    horizon : timedelta
        Time over which a trade's candles are replayed, whenever it closed.
    now : datetime
        Latest end of a span.
    """
    needs = []
    for pair, own in trades.groupby("pair", sort=True):
        last = max(own["open_date"].max() + horizon, own["close_date"].max())
        start = (own["open_date"].min() - WARM_UP).floor("D").to_pydatetime()
        end = min((last + timedelta(days=1)).floor("D").to_pydatetime(), now)
        if start < end:
            needs.append(CandleNeed(pair=str(pair), start=start, end=end, trades=len(own)))
    return tuple(needs)


def fetch_needs(
    needs: Sequence[CandleNeed], *, fetch: Callable[[CandleNeed], int], tell: Callable[[CandleNeed, int], None] = lambda *_: None
) -> NeedsFetched:
    """Fetch the candles of one pair after the other; a pair that the exchange lacks, or fails for, does not block the others.

    Parameters
    ----------
    fetch : callable
        Fetches missing candles and returns how many were added; those fetched before a failure stay.
    """
    added: dict[str, int] = {}
    refused: dict[str, str] = {}
    for need in needs:
        try:
            added[need.pair] = fetch(need)
        except (CandleError, ExchangeBusyError) as error:
            refused[need.pair] = str(error)
            continue
        tell(need, added[need.pair])
    return NeedsFetched(added=added, refused=refused)
