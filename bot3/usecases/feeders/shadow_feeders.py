"""Simulate every feeder's trades from its last simulated close on (shadow trades), and store those that have closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.learning.replay.candle_arrays import CandleArrays, candle_arrays
from bot3.ports.candles import CandleReader
from bot3.ports.record import ShadowTradeRepository
from bot3.ports.signals import SignalStore
from bot3.trading.costs import Costs
from bot3.trading.markets import Market
from bot3.trading.profiles import BotProfile
from bot3.trading.shadow_trades import shadow_trades
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode

VOLATILITY_WARM_UP = timedelta(days=20)
"""Candles are read from this long before the first entry; in the volatility at entry, older ones have a weight of less than a millionth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowMarket:
    """Candles and exchange filters by pair, trading costs, and the duration of one candle."""

    candles: Mapping[str, CandleArrays]
    markets: Mapping[str, Market]
    costs: Costs
    candle: timedelta


def read_arrays(candles: CandleReader, *, timeframe: str, start: datetime, end: datetime, horizon_candles: int) -> dict[str, CandleArrays]:
    """Read the candles and funding of every pair that has candles between `start` and `end`; pairs without candles are left out.

    Raises
    ------
    CandleError
        If a pair cannot be read.
    """
    arrays = {}
    for pair in candles.pairs():
        frame = candles.candles(pair, timeframe, start=start, end=end)
        if len(frame):
            arrays[pair] = candle_arrays(frame, candles.funding(pair, start=start, end=end), horizon_candles=horizon_candles)
    return arrays


def shadow_since(stored: ShadowTradeRepository, *, run_mode: RunMode, pairs: tuple[str, ...], since: datetime) -> datetime:
    """Return the time from which shadow trades must be simulated: each feeder's newest close on each pair, and of these the oldest.

    For a feeder that has no shadow trade on a pair yet, `since` is used in place of the close; without pairs the result is `since`.
    """
    last = stored.last_closes(run_mode=run_mode)
    return min((last.get((feeder, pair), since) for feeder in FEEDER_IDS for pair in pairs), default=since)


def shadow_feeders(
    stored: ShadowTradeRepository,
    signals: SignalStore,
    market: ShadowMarket,
    *,
    profile: BotProfile,
    run_mode: RunMode,
    since: datetime,
    now: datetime,
    regimes: pd.DataFrame,
) -> int:
    """Simulate the shadow trades of all feeders since their newest stored close, store those closed by `now`; return how many were stored.

    Parameters
    ----------
    profile : BotProfile
        Profile of a control bot: its static stop and target, leverage rule, horizon and exit rules are used.
    since : datetime
        Time from which a feeder's first shadow trade on a pair may be entered.
    now : datetime
        Market time.
    regimes : DataFrame
        The record's regime frame, from which each trade's regime at entry is taken.
    """
    last = stored.last_closes(run_mode=run_mode)
    made = []
    for feeder_id in FEEDER_IDS:
        closes = {pair: last.get((feeder_id, pair), since) for pair in market.candles}
        if not closes:
            continue
        made.append(
            shadow_trades(
                signals.signals(feeder_ids=[feeder_id], start=min(closes.values()), end=now),
                market.candles,
                profile,
                markets=market.markets,
                costs=market.costs,
                candle=market.candle,
                end=now,
                run_mode=run_mode,
                regimes=regimes,
                last_closes=closes,
            )
        )
    fresh = [frame for frame in made if len(frame)]
    if fresh:
        stored.save(pd.concat(fresh, ignore_index=True))
    return sum(len(frame) for frame in fresh)
