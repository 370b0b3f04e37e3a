"""The exclusive right to trade a bot (its lease), on the PostgreSQL server of its database: an advisory lock of a separate session."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.errors import translated
from bot3.errors import AlreadyRunningError, StoreBusyError

# Advisory locks are per database, and a bot has a database of its own: one key is enough.
_KEY = {"namespace": 0x626F7433, "number": 1}
_ACQUIRE = sa.text("SELECT pg_try_advisory_lock(:namespace, :number)").bindparams(**_KEY)
_LOCK = (
    "l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = :namespace AND l.objid = :number"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_HOLDER = sa.text(
    f"SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE {_LOCK}"  # noqa: S608  # constants
).bindparams(**_KEY)
_IS_OURS = sa.text(f"SELECT EXISTS (SELECT 1 FROM pg_locks l WHERE {_LOCK} AND l.pid = pg_backend_pid())").bindparams(**_KEY)  # noqa: S608  # constants
_NAME = sa.text("SELECT set_config('application_name', :name, false)")
_END_SESSION = sa.text("SELECT pg_terminate_backend(:pid)")


class SqlLease:
    """A `Lease` that excludes every other process on the same database, from any home and machine.

    The server releases the lock when the session ends; the next call of `is_held` detects a lost connection. A connection pooler in front
    of the server must preserve sessions (not PgBouncer's transaction mode), otherwise the lock may be lost, which `is_held` also detects.
    """

    def __init__(self, database: Database, *, bot: str) -> None:
        self._database, self._bot = database, bot
        # Names this process in the server's session list, and distinguishes our lost sessions from those of other processes.
        self._name = f"bot3 {bot} {socket.gethostname()[:24]}/{os.getpid()} {secrets.token_hex(4)}"
        self._session: Connection | None = None

    @classmethod
    def open(cls, url: str, *, bot: str, busy_timeout_s: float = 5.0) -> Self:
        """Acquire the lease of the bot whose database a URL names.

        Raises
        ------
        AlreadyRunningError
            If another process has the lease.
        StoreError
            If the server cannot be reached or rejects the connection.
        """
        database = Database.open(url, kind="bot", busy_timeout_s=busy_timeout_s)
        lease = cls(database, bot=bot)
        try:
            lease._acquire()  # its own
        except BaseException:
            lease.close()
            raise
        return lease

    def is_held(self) -> bool:
        """Return whether this process has the lease now.

        False if the server cannot be reached, or the lease was lost since the last call; later calls then acquire it again if no other
        process has it. Raises AlreadyRunningError if another process has the lease.
        """
        try:
            return self._has_lock() if self._session is not None else self._acquire()
        except StoreBusyError:
            self._forget_session()
            return False

    def close(self) -> None:
        """Release the lease."""
        self._forget_session()
        self._database.close()

    def _has_lock(self) -> bool:
        session = self._session
        if session is None:
            return False
        with translated(self._database.shown):
            if session.execute(_IS_OURS).scalar_one():
                return True
        self._forget_session()
        return False

    def _acquire(self) -> bool:
        with translated(self._database.shown):
            session = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                session.execute(_NAME, {"name": self._name})
                if session.execute(_ACQUIRE).scalar_one():
                    self._session = session
                    return True
                holders = session.execute(_HOLDER).all()
                # The server has not detected yet that an earlier connection of this lease is lost: request the end of that session.
                for lost in (holder for holder in holders if holder.application_name == self._name):
                    session.execute(_END_SESSION, {"pid": lost.pid})
            finally:
                if self._session is not session:
                    session.invalidate()
                    session.close()
        others = [f"{holder.application_name} (server process {holder.pid})" for holder in holders if holder.application_name != self._name]
        if others:
            raise AlreadyRunningError(
                f"{self._database.shown}: {self._bot} is traded by {', '.join(others)} already: stop it first, one account has one trader"
            )
        return False

    def _forget_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            # The server releases the lock with the session; a broken session is closed already.
            with suppress(sa.exc.SQLAlchemyError):
                session.invalidate()
                session.close()
