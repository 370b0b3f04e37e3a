"""The findings of `bot3 doctor`, and the context that its checks get."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from bot3.cli.supervisor import is_same_process
from bot3.ports.trades import TradeReader
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.status import SYNC_GRACE
from bot3.usecases.learning.reconciled import recorded_count
from bot3.wiring import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check; `remedy` is what a person must do if `is_good` is False."""

    subject: str
    is_good: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsynced:
    """Different numbers of closed trades in the record and in a bot's database.

    `is_late` is True if the record has more, or lacks a trade that closed longer than `SYNC_GRACE` ago and should have been synced.
    """

    recorded: int
    closed: int
    is_late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorContext:
    """The context of the checks.

    Parameters
    ----------
    is_served : bool
        Whether services should run; a service that does not run is then a bad finding.
    web : str
        Address of Dagster's web server.
    """

    platform: Platform
    is_served: bool
    web: str

    def unsynced(self, reader: TradeReader, *, run_mode: RunMode, speed: float | None = None) -> Unsynced | None:
        """Compare a bot's database with the record; return None if both contain the same number of closed trades.

        Parameters
        ----------
        speed : float, optional
            None for databases whose dates are market time; 1.0 for those whose dates are wall time.
        """
        platform = self.platform
        grace = SYNC_GRACE * (platform.clock.speed if speed is None else speed)
        now = platform.clock.now() if speed is None else platform.wall_now()
        # Count the record first: a trade that closes in between is recent, so it is not late.
        recorded = recorded_count(platform.record.trades.counts(), bot=reader.bot, run_mode=run_mode)
        closed = reader.count_closed(closed_since=None)
        if closed == recorded:
            return None
        if closed < recorded:
            return Unsynced(recorded=recorded, closed=closed, is_late=True)
        known = platform.record.trades.keys(bot=reader.bot, run_mode=run_mode, closed_since=None)
        missing = [trade for trade in reader.closed_trades(closed_since=None) if (trade.trade_id, trade.open_date) not in known]
        is_late = any(trade.close_date is not None and trade.close_date < now - grace for trade in missing)
        return Unsynced(recorded=recorded, closed=closed, is_late=is_late)


Look = Callable[[str, DoctorContext], Finding]
"""A check: receives the name of the subject and the context, and returns a finding."""


def good(subject: str, detail: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(subject=subject, is_good=True, detail=detail)


def bad(subject: str, detail: str, *, remedy: str) -> Finding:
    """Return a finding with a problem and its remedy."""
    return Finding(subject=subject, is_good=False, detail=detail, remedy=remedy)


def is_supervised(platform: Platform) -> bool:
    """Return whether the supervisor that `bot3 up` starts runs for this home."""
    state_file = platform.settings.home / "run" / "supervisor.json"
    return state_file.exists() and is_same_process(json.loads(state_file.read_text(encoding="utf-8"))["supervisor"])
