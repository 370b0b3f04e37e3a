"""Compute, in wall time, how long ago the daemon's last candle closed, the newest trade closed, and the newest learning was computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.bot_state import daemon_beat, last_candle
from bot3.usecases.fleet.home import FleetHome


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAges:
    """Wall time since three events.

    Parameters
    ----------
    candle : timedelta or None
        Since the close of the last candle that the daemon decided on, also if the daemon has stopped and newer candles exist; None if its
        heartbeat contains none.
    close : timedelta or None
        Since the newest paper or live close in the record, of any bot; None if it has only backtest trades or none.
    publication : timedelta or None
        Since the published parameters or the published recommendation were computed, whichever is newer, expired or not; None if both are
        missing or invalid.
    """

    candle: timedelta | None
    close: timedelta | None
    publication: timedelta | None


def read_data_ages(home: FleetHome, *, anchor: ClockAnchor, beats: Sequence[Heartbeat], wall_now: datetime) -> DataAges:
    """Return the ages of a home's newest data.

    Raises
    ------
    StoreError
        If the record cannot be read, or the last candle in the daemon's heartbeat is not an ISO time with a time zone.
    """
    published = home.newest_publication()
    return DataAges(
        candle=_candle_age(daemon_beat(beats), anchor=anchor, wall_now=wall_now),
        close=newest_close_age(home.trades.counts(), own=home.fleet_ports.bot_names, anchor=anchor, wall_now=wall_now),
        publication=None if published is None else wall_now - published,
    )


def wall_age(at: datetime, *, anchor: ClockAnchor, wall_now: datetime) -> timedelta:
    """Return how long ago, in wall time, the market clock reached a market time; below 0 if it has not reached it yet.

    The result also grows while the clock is paused or its replay has ended, because wall time passes.
    """
    if anchor.source is ClockSource.WALL:
        return wall_now - at
    return (wall_now - anchor.wall_at) - (at - anchor.market_at) / anchor.speed


def newest_close_age(counts: pd.DataFrame, *, own: Sequence[str], anchor: ClockAnchor, wall_now: datetime) -> timedelta | None:
    """Return the wall time since the newest paper or live close; None if there is none.

    Parameters
    ----------
    counts : DataFrame
        `TradeRepository.counts`: one row per bot and run mode, with last_close; backtest rows are ignored.
    own : sequence of str
        Bots whose paper closes are in market time; live closes, and the closes of all other bots, are in wall time.
    """
    ages = []
    for row in counts.to_dict("records"):
        if row["run_mode"] == RunMode.BACKTEST.value or pd.isna(row["last_close"]):
            continue
        closed = row["last_close"].to_pydatetime()
        is_market_time = row["bot"] in own and row["run_mode"] == RunMode.PAPER.value
        ages.append(wall_age(closed, anchor=anchor, wall_now=wall_now) if is_market_time else wall_now - closed)
    return min(ages, default=None)


def _candle_age(beat: Heartbeat | None, *, anchor: ClockAnchor, wall_now: datetime) -> timedelta | None:
    candle = last_candle(beat)
    return None if candle is None else wall_age(candle, anchor=anchor, wall_now=wall_now)
