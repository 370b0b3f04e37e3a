"""State that processes share: heartbeats, commands, the bots' trading states, and the values that set the market clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot3.trading.risk import TradingState

__all__ = ["ClockAnchor", "ClockSource", "ControlStore", "Heartbeat", "TradingState"]


class ClockSource(StrEnum):
    """Source of the market clock."""

    WALL = "wall"
    SIMULATED = "simulated"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockAnchor:
    """The values that set the market clock: its time was `market_at` at the wall time `wall_at`.

    While `is_running`, the market's time is market_at + (wall time - wall_at) x speed, at most `ends_at` if there is one; otherwise it is
    `market_at`. With source WALL it is the wall time.
    """

    source: ClockSource
    wall_at: datetime
    market_at: datetime
    speed: float
    is_running: bool
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The latest report of a running process: wall and market time of the report, state, and details without secrets (versions, counts)."""

    process: str
    pid: int
    started_at: datetime
    wall_at: datetime
    market_at: datetime
    state: str
    detail: Mapping[str, str | float | int | bool | None]


class ControlStore(Protocol):
    """A store for small shared state.

    Writing a heartbeat replaces the process' previous one, a trading state the bot's previous one, and the clock's anchor the previous
    anchor. The reading methods raise StoreError for a stored value that is invalid.
    """

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the process' heartbeat."""
        ...

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """Return the newest heartbeat of every process, also of those that have ended, sorted by name."""
        ...

    def set_anchor(self, anchor: ClockAnchor) -> None:
        """Set the market clock for all processes."""
        ...

    def anchor(self) -> ClockAnchor | None:
        """Return the market clock's anchor; None if the clock was never started."""
        ...

    def set_trading_state(self, bot: str, state: TradingState, *, reason: str, at: datetime) -> None:
        """Store a bot's trading state with its reason."""
        ...

    def trading_state(self, bot: str) -> tuple[TradingState, str]:
        """Return a bot's trading state and its reason; ACTIVE and an empty reason if none was stored."""
        ...

    def send_command(self, *, bot: str, command: str, argument: str, issued_by: str, at: datetime) -> int:
        """Queue a command for a bot's daemon and return the command's id.

        Commands are "pause", "resume" and "halt" without an argument, and "force_exit" with the id of an open trade.
        """
        ...

    def take_commands(self, bot: str, *, at: datetime) -> list[tuple[int, str, str]]:
        """Return a bot's pending commands (id, command, argument), oldest first, and mark them as taken: each is returned once."""
        ...

    def finish_command(self, command_id: int, *, result: str, at: datetime) -> None:
        """Store the result text of a command. Raises StoreError for an unknown id."""
        ...
