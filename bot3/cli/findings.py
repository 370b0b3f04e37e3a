"""What the doctor found, and what it looks at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from bot3.cli.supervisor import is_same_process
from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode
from bot3.usecases.fleet_status import SYNC_GRACE
from bot3.usecases.reconciled import recorded_count
from bot3.wiring import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    is_good: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsynced:
    """How many closed trades record and database hold; `is_late` if one that only one of them has is no close on its way."""

    recorded: int
    closed: int
    is_late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at.

    Parameters
    ----------
    is_served : bool
        Whether services should run: then one that does not is a bad finding.
    web : str
        Address of Dagster's web server.
    """

    platform: Platform
    is_served: bool
    web: str

    def unsynced(self, reader: TradeReader, *, run_mode: RunMode, speed: float | None = None) -> Unsynced | None:
        """Compare a database with the record; None if both hold as many closed trades.

        Parameters
        ----------
        speed : float, optional
            How fast the database's time passes; the market clock's speed without it.
        """
        platform = self.platform
        grace = SYNC_GRACE * (platform.clock.speed if speed is None else speed)
        now = platform.clock.now() if speed is None else platform.wall_now()
        # The record first: what closes in between is young.
        recorded = recorded_count(platform.record.counts(), bot=reader.bot, run_mode=run_mode)
        closed = reader.count_closed(closed_since=None)
        if closed == recorded:
            return None
        if closed < recorded:
            return Unsynced(recorded=recorded, closed=closed, is_late=True)
        known = platform.record.trade_keys(bot=reader.bot, run_mode=run_mode, closed_since=None)
        missing = [trade for trade in reader.closed_trades(closed_since=None) if (trade.trade_id, trade.open_date) not in known]
        is_late = any(trade.close_date is not None and trade.close_date < now - grace for trade in missing)
        return Unsynced(recorded=recorded, closed=closed, is_late=is_late)


Look = Callable[[str, Patient], Finding]
"""Looks at one subject, by its name."""


def good(subject: str, detail: str) -> Finding:
    """Return what is as it should be."""
    return Finding(subject=subject, is_good=True, detail=detail)


def bad(subject: str, detail: str, *, remedy: str) -> Finding:
    """Return what is not, and what mends it."""
    return Finding(subject=subject, is_good=False, detail=detail, remedy=remedy)


def is_supervised(platform: Platform) -> bool:
    """Say whether `bot3 up` runs for this home."""
    state_file = platform.settings.home / "run" / "supervisor.json"
    return state_file.exists() and is_same_process(json.loads(state_file.read_text(encoding="utf-8"))["supervisor"])
