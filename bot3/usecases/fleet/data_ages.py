"""Computes the age of the newest data: candle, close and publication, each in wall time."""

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
    """Wall time since the newest item of each kind was added; None if there is none yet.

    Parameters
    ----------
    candle : timedelta or None
        Since the close of the candle that the daemon decided on last, whether it still runs or not.
    close : timedelta or None
        Since the newest paper or live close of any bot in the record.
    publication : timedelta or None
        Since the newest parameters or recommendation were computed.
    """

    candle: timedelta | None
    close: timedelta | None
    publication: timedelta | None


def read_data_ages(home: FleetHome, *, anchor: ClockAnchor, beats: Sequence[Heartbeat], wall_now: datetime) -> DataAges:
    """Return the ages of a home's newest data.

    Raises
    ------
    StoreError
        If the record cannot be read, or the daemon's heartbeat reports a candle that is not an instant.
    """
    published = home.newest_publication()
    return DataAges(
        candle=_candle_age(daemon_beat(beats), anchor=anchor, wall_now=wall_now),
        close=newest_close_age(home.trades.counts(), own=home.fleet_ports.bot_names, anchor=anchor, wall_now=wall_now),
        publication=None if published is None else wall_now - published,
    )


def wall_age(at: datetime, *, anchor: ClockAnchor, wall_now: datetime) -> timedelta:
    """Return how long ago, in wall time, the market clock showed a market time.

    A clock that is paused, or whose replay ended, shows its last time while wall time passes: an event of that time gets older.
    """
    if anchor.source is ClockSource.WALL:
        return wall_now - at
    return (wall_now - anchor.wall_at) - (at - anchor.market_at) / anchor.speed


def newest_close_age(counts: pd.DataFrame, *, own: Sequence[str], anchor: ClockAnchor, wall_now: datetime) -> timedelta | None:
    """Return the wall time since the newest paper or live close.

    Parameters
    ----------
    counts : DataFrame
        Counts of the record, by bot and run mode, with last_close.
    own : sequence of str
        Bots whose paper trades are in market time; all others' are in wall time.
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
