"""Heartbeats, commands and the market clock's anchor: the state that processes share."""

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
    """The market clock: now = market_at + (wall - wall_at) x speed, at most ends_at; it does not advance while is_running is false."""

    source: ClockSource
    wall_at: datetime
    market_at: datetime
    speed: float
    is_running: bool
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A process' heartbeat; `detail` is JSON (versions in force, counts, states), without secrets."""

    process: str
    pid: int
    started_at: datetime
    wall_at: datetime
    market_at: datetime
    state: str
    detail: Mapping[str, str | float | int | bool | None]


class ControlStore(Protocol):
    """Small shared state with fast access: the last write per key wins."""

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the process' heartbeat."""
        ...

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """Return the newest heartbeat of every process."""
        ...

    def set_anchor(self, anchor: ClockAnchor) -> None:
        """Set the market clock."""
        ...

    def anchor(self) -> ClockAnchor | None:
        """Return the market clock's anchor; None before a home is seeded."""
        ...

    def set_trading_state(self, bot: str, state: TradingState, *, reason: str, at: datetime) -> None:
        """Latch a bot's state; it persists over restarts."""
        ...

    def trading_state(self, bot: str) -> tuple[TradingState, str]:
        """Return the state and its reason; ACTIVE and "" if never set."""
        ...

    def send_command(self, *, bot: str, command: str, argument: str, issued_by: str, at: datetime) -> int:
        """Queue a command for the daemon ("force_exit" with a trade id, "pause", "resume", "halt"); return its id."""
        ...

    def take_commands(self, bot: str, *, at: datetime) -> list[tuple[int, str, str]]:
        """Take the pending commands (id, command, argument), each once."""
        ...

    def finish_command(self, command_id: int, *, result: str, at: datetime) -> None:
        """Store the result of a command."""
        ...
