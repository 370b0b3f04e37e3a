"""Compute the candles that are necessary to replay the record's trades of other programs, and fetch them.

They are one span per pair, from the warm-up before the first entry to the end of the last trade or its horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import CandleError, ExchangeBusyError, SettingsError
from bot3.ports.record import TradeRepository
from bot3.trading.horizons import Horizon
from bot3.trading.trades import RunMode

WARM_UP = timedelta(days=20)
"""Time before the first entry: in the volatility at entry each day has half the weight of the next one, so older candles hardly count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleNeed:
    """The span of candles that one pair's trades need, and the number of these trades. It is one span because a file must not have gaps."""

    pair: str
    start: datetime
    end: datetime
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsFetched:
    """Result of a fetch: pair to the number of candles added, and for pairs that failed, pair to the reason."""

    added: dict[str, int]
    refused: dict[str, str]


def foreign_trades(recorded: TradeRepository, *, own: Collection[str], bots: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the record's trades of fleet bots and imported bots, and the live trades of the platform's own bots.

    Paper and backtest trades of its own bots are left out: they were made on this home's candles, which exist.

    Parameters
    ----------
    own : collection of str
        Names of the platform's own bots.
    bots : sequence of str or None
        Only these bots; None for all.

    Raises
    ------
    SettingsError
        If there is no such trade.
    """
    trades = recorded.frame(as_of=None, run_modes=tuple(RunMode), bots=bots)
    is_own = trades["bot"].isin(own) & (trades["run_mode"] != RunMode.LIVE.value)
    if is_own.all():
        raise SettingsError(
            "the record contains no trades of foreign bots, or none of the bots named: list their databases in a fleet file "
            "(docs/fleet.md), or copy their trades with `bot3 import`"
        )
    return trades[~is_own].reset_index(drop=True)


def candle_needs(trades: pd.DataFrame, *, now: datetime) -> tuple[CandleNeed, ...]:
    """Return the span of candles that trades need, by pair: whole UTC days, from `WARM_UP` before the first entry.

    A span ends with the last end of a trade's horizon, or after the last close if that is later, but not after `now`; a pair whose span
    would be empty is left out.

    Parameters
    ----------
    trades : DataFrame
        Columns pair, open_date, close_date and horizon; a missing horizon counts as the longest one.
    """
    durations = {horizon.value: horizon.duration for horizon in Horizon}
    spans = [durations.get(str(name), Horizon.WEEK.duration) for name in trades["horizon"]]
    trades = trades.assign(replay_end=trades["open_date"] + pd.Series(spans, index=trades.index, dtype="timedelta64[us]"))
    needs = []
    for pair, own in trades.groupby("pair", sort=True):
        last = max(own["replay_end"].max(), own["close_date"].max())
        start = (own["open_date"].min() - WARM_UP).floor("D").to_pydatetime()
        end = min((last + timedelta(days=1)).floor("D").to_pydatetime(), now)
        if start < end:
            needs.append(CandleNeed(pair=str(pair), start=start, end=end, trades=len(own)))
    return tuple(needs)


def fetch_needs(
    needs: Sequence[CandleNeed], *, fetch: Callable[[CandleNeed], int], tell: Callable[[CandleNeed, int], None] = lambda *_: None
) -> NeedsFetched:
    """Fetch the candles of one pair after the other. A pair for which the fetch fails is reported in `refused`, and the next one follows.

    Parameters
    ----------
    fetch : callable
        Fetches the missing candles of a need and returns how many were added; candles fetched before a failure are not removed.
    tell : callable
        Progress callback: receives a need and the number of candles added for it; not called after a failure.
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
