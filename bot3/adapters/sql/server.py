"""Detect a PostgreSQL server that no longer responds: after a failover, or behind a firewall or proxy, a connection may be half-open."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any, LiteralString, Self, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine

SILENCE_S = 8.0
"""Wall seconds in which a statement receives no byte, after which a query over another connection checks whether the server works on it."""
_ASK_S = 2.0
_DOUBT_S = 1.0
_CONNECT_S = 5.0
_POLL_S = 0.1

# The kernel's limits detect a network that drops packets; a proxy that acknowledges packets needs `SILENCE_S`.
TCP_LIMITS: Mapping[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# The same on the server, so that a session whose client vanished releases its locks. The last two limits (milliseconds) are longer than any
# statement or pause within a transaction, except in migrations.
SESSION_LIMITS: Mapping[str, int] = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "statement_timeout": 600_000,
    "idle_in_transaction_session_timeout": 300_000,
}

# A session is working if it is active and does not wait for its client: otherwise its response has no reader.
_IS_WORKING = """
SELECT count(*) FROM pg_stat_activity WHERE pid = %(pid)s AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
"""

_Answer = TypeVar("_Answer")
_lost_at: dict[tuple[str, int], float] = {}
"""When a connection to a server (host, port) was last found half-open (monotonic seconds): older connections are closed too."""


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose statements fail if the server has stopped responding.

    A statement that the server works on is never interrupted, however long it takes. If no byte arrives for `silence_s` while the server
    does not work on the statement or cannot be reached, it fails with OperationalError, and the connection is closed. If the server can be
    reached, the session is terminated there too, so that its locks are free and its transaction has ended before a retry.
    """

    _given: Mapping[str, Any]
    _server: tuple[str, int]
    _made_at: float
    _silence_s: float = SILENCE_S

    @classmethod
    def connect(cls, conninfo: str = "", *, silence_s: float = SILENCE_S, **given: Any) -> Self:  # type: ignore[override]
        """Connect with a timeout of 5 s, or of `connect_timeout` seconds if that is given."""
        made_at = monotonic()
        connection = super().connect(conninfo, **{"connect_timeout": _CONNECT_S, **given})
        connection._given = {"conninfo": conninfo, **given}  # noqa: SLF001  # this class
        connection._server = (connection.info.host, connection.info.port)  # noqa: SLF001
        connection._made_at, connection._silence_s = made_at, silence_s  # noqa: SLF001
        return connection

    def wait(self, gen: PQGen[_Answer], interval: float = _POLL_S, timeout: float | None = None) -> _Answer:
        """Run a generator that operates on the connection, as psycopg does, and fail if the server no longer responds."""
        return super().wait(self._noticing(gen), interval, timeout)

    def _noticing(self, gen: PQGen[_Answer]) -> PQGen[_Answer]:
        self._require_trusted()
        heard_at, doubts = monotonic(), 0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard_at, doubts = monotonic(), 0
                elif monotonic() - heard_at > self._silence_s + doubts * _DOUBT_S:
                    # Check twice: a session that does not work may just have finished, with its response still in transit.
                    heard_at, doubts = (monotonic(), 0) if self._is_working() else (heard_at, doubts + 1)
                    if doubts > 1:
                        self._lose()
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: _Answer = end.value
            return answer

    def _require_trusted(self) -> None:
        made_at = getattr(self, "_made_at", None)
        if made_at is not None and made_at < _lost_at.get(self._server, 0.0):
            self._give_up("another connection of its age was half-open")

    def _is_working(self) -> bool:
        """Query over another connection whether the server works on this session's statement; False if it is unreachable."""
        return bool(self._asked(_IS_WORKING))

    def _lose(self) -> None:
        """Terminate the session on the server, if the server can be reached, and close this connection."""
        self._asked("SELECT pg_terminate_backend(%(pid)s)")
        _lost_at[self._server] = monotonic()
        self._give_up(f"no answer for {self._silence_s:g} s")

    def _asked(self, question: LiteralString) -> object:
        """Return the result of a query about this session; None if the server cannot be queried."""
        try:
            with _AskingConnection.connect(**{**self._given, "connect_timeout": _ASK_S, "autocommit": True}) as asking:
                row = asking.execute(question, {"pid": self.pgconn.backend_pid}).fetchone()
        except psycopg.Error:
            return None
        return None if row is None else row[0]

    def _give_up(self, why: str) -> None:
        self.pgconn.finish()
        raise psycopg.OperationalError(f"the connection was closed: {why}")


class _AskingConnection(psycopg.Connection[Any]):
    """A connection for one query, with the connect timeout as the timeout of its response."""

    def wait(self, gen: PQGen[_Answer], interval: float = _POLL_S, timeout: float | None = None) -> _Answer:
        return super().wait(gen, interval, _ASK_S if timeout is None else timeout)


def server_engine(
    url: URL, *, session: Mapping[str, str | int], connect_timeout_s: float = _CONNECT_S, silence_s: float = SILENCE_S, **given: Any
) -> Engine:
    """Return an engine whose connections detect a server that no longer responds.

    Parameters
    ----------
    session : mapping
        Settings of every session, by the server's names; they take precedence over those in the URL.
    silence_s : float
        Wall seconds without a byte before a second connection checks whether the server works on a statement.
    given
        Further arguments of `sqlalchemy.create_engine`.
    """
    options = [*_options_of(url), *(f"-c {name}={value}" for name, value in session.items())]
    arguments = {**TCP_LIMITS, "connect_timeout": max(2, round(connect_timeout_s)), "application_name": "bot3"}
    if options:
        arguments["options"] = " ".join(options)
    engine = sa.create_engine(url, connect_args=arguments, **given)

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> WatchedConnection:
        return WatchedConnection.connect(silence_s=silence_s, **parameters)

    return engine


def _options_of(url: URL) -> tuple[str, ...]:
    given = url.query.get("options", ())
    return (given,) if isinstance(given, str) else tuple(given)
