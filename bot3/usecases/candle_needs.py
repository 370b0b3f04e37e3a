"""Which candles trades need: pair by pair, from the warm-up before the first entry to the horizon after the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import CandleError, ExchangeBusyError

WARM_UP = timedelta(days=20)
"""Volatility at entry weighs a day half of the one after it: older candles than these weigh a millionth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleNeed:
    """The candles that one pair's trades need. It is one span, since a file without holes is."""

    pair: str
    start: datetime
    end: datetime
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsFetched:
    """What a fetch added by pair, and why a pair's candles could not be had (all others were)."""

    added: dict[str, int]
    refused: dict[str, str]


def candle_needs(trades: pd.DataFrame, *, horizon: timedelta, now: datetime) -> tuple[CandleNeed, ...]:
    """Return what trades need, by pair.

    Parameters
    ----------
    trades : DataFrame
        Columns pair, open_date and close_date.
    horizon : timedelta
        A trade's candles are replayed so long, whenever it closed.
    now : datetime
        Nothing later is asked for.
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
    """Fetch pair after pair; one that the exchange has not, or answers badly for, keeps nobody else's candles away.

    Parameters
    ----------
    fetch : callable
        Fetches what is not there yet and returns how many candles came; what came before a failure is kept.
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
