"""Store the processes' shared state in SQL: heartbeats, the market clock's anchor, trading states and commands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.control.tables import clock_anchor, commands, heartbeats, trading_states
from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.rows import from_us, maybe_at, maybe_us, to_json, to_us, upsert
from bot3.errors import StoreError
from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat, TradingState


class SqlControl:
    """A `ControlStore` on SQLite or PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, read_only: bool = False, busy_timeout_s: float = 5.0) -> Self:
        """Open the control store, create it if it is missing, and migrate its schema to this release.

        With `read_only` it must exist and have this release's schema. Raises StoreError if it cannot be opened.
        """
        return cls(Database.open(url, kind="control", read_only=read_only, busy_timeout_s=busy_timeout_s))

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the process' heartbeat."""
        row = {
            "process": heartbeat.process,
            "pid": heartbeat.pid,
            "started_at_us": to_us(heartbeat.started_at),
            "wall_at_us": to_us(heartbeat.wall_at),
            "market_at_us": to_us(heartbeat.market_at),
            "state": heartbeat.state,
            "detail": to_json(dict(heartbeat.detail)),
        }
        with self._database.write() as connection:
            upsert(connection, heartbeats, row)

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        """Return the newest heartbeat of every process, also of those that have ended, sorted by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(heartbeats).order_by(heartbeats.c.process)).mappings().all()
        with self._valid("heartbeats"):
            return tuple(_heartbeat(row) for row in rows)

    def set_anchor(self, anchor: ClockAnchor) -> None:
        """Write the market clock's anchor; it replaces the one before."""
        row = {
            "id": 1,
            "source": anchor.source.value,
            "wall_at_us": to_us(anchor.wall_at),
            "market_at_us": to_us(anchor.market_at),
            "speed": anchor.speed,
            "is_running": anchor.is_running,
            "ends_at_us": maybe_us(anchor.ends_at),
        }
        with self._database.write() as connection:
            upsert(connection, clock_anchor, row)

    def anchor(self) -> ClockAnchor | None:
        """Return the market clock's anchor; None if the clock was never started. Raises StoreError if it is invalid."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(clock_anchor)).one_or_none()
        if row is None:
            return None
        with self._valid("clock_anchor"):
            return _anchor(row)

    def set_trading_state(self, bot: str, state: TradingState, *, reason: str, at: datetime) -> None:
        """Write a bot's trading state with its reason; it replaces the one before."""
        with self._database.write() as connection:
            upsert(connection, trading_states, {"bot": bot, "state": state.value, "reason": reason, "at_us": to_us(at)})

    def trading_state(self, bot: str) -> tuple[TradingState, str]:
        """Return a bot's trading state and its reason; ACTIVE and an empty reason if none is stored."""
        query = sa.select(trading_states.c.state, trading_states.c.reason).where(trading_states.c.bot == bot)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        with self._valid("trading_states"):
            return (TradingState.ACTIVE, "") if row is None else (TradingState(row.state), row.reason)

    def send_command(self, *, bot: str, command: str, argument: str, issued_by: str, at: datetime) -> int:
        """Queue a command for a bot's daemon; return the command's id."""
        row = {"bot": bot, "command": command, "argument": argument, "issued_by": issued_by, "issued_at_us": to_us(at)}
        with self._database.write() as connection:
            return int(connection.execute(sa.insert(commands).values(**row).returning(commands.c.id)).scalar_one())

    def take_commands(self, bot: str, *, at: datetime) -> list[tuple[int, str, str]]:
        """Return a bot's pending commands (id, command, argument) by id, and mark them as taken, so that each is returned once."""
        # Called on every tick and nearly always empty: read before taking the write lock.
        with self._database.read() as connection:
            waiting = connection.execute(sa.select(commands.c.id).where(_waits(bot)).limit(1)).first()
        if waiting is None:
            return []
        with self._database.write() as connection:
            return _take(connection, bot=bot, at_us=to_us(at))

    def finish_command(self, command_id: int, *, result: str, at: datetime) -> None:
        """Store the result of a command. Raises StoreError for an unknown id."""
        change = sa.update(commands).where(commands.c.id == command_id).values(result=result, finished_at_us=to_us(at))
        with self._database.write() as connection:
            if connection.execute(change).rowcount != 1:
                raise StoreError(f"{self._database.shown} contains no command {command_id}: it was not queued here")

    @contextmanager
    def _valid(self, table: str) -> Iterator[None]:
        """Raise StoreError if the block finds an invalid value in a row of a table."""
        try:
            yield
        except (ValueError, TypeError, OverflowError) as error:
            shown = self._database.shown
            raise StoreError(f"{shown}: a row of {table} is invalid ({error}): restore a backup, or correct the row") from error


def _anchor(row: sa.Row[Any]) -> ClockAnchor:
    if not (math.isfinite(row.speed) and row.speed > 0.0):
        raise ValueError(f"speed must be above 0, was {row.speed}")
    return ClockAnchor(
        source=ClockSource(row.source),
        wall_at=from_us(row.wall_at_us),
        market_at=from_us(row.market_at_us),
        speed=row.speed,
        is_running=bool(row.is_running),
        ends_at=maybe_at(row.ends_at_us),
    )


def _waits(bot: str) -> sa.ColumnElement[bool]:
    return sa.and_(commands.c.bot == bot, commands.c.taken_at_us.is_(None))


def _take(connection: Connection, *, bot: str, at_us: int) -> list[tuple[int, str, str]]:
    taken = sa.update(commands).where(_waits(bot)).values(taken_at_us=at_us)
    rows = connection.execute(taken.returning(commands.c.id, commands.c.command, commands.c.argument)).all()
    return sorted((row.id, row.command, row.argument) for row in rows)


def _heartbeat(row: Any) -> Heartbeat:
    detail = json.loads(row["detail"])
    if not isinstance(detail, dict):
        raise ValueError(f"the detail of {row['process']!r} is not an object")  # noqa: TRY004  # the caller translates only ValueError
    return Heartbeat(
        process=row["process"],
        pid=row["pid"],
        started_at=from_us(row["started_at_us"]),
        wall_at=from_us(row["wall_at_us"]),
        market_at=from_us(row["market_at_us"]),
        state=row["state"],
        detail=detail,
    )
