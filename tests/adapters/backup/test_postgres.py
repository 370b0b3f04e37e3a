"""A PostgreSQL database copied while somebody writes, and put back as it was at one instant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from bot3.adapters.backup.postgres import PostgresBackup
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.errors import StoreBusyError, StoreError
from tests.journals import a_closed_trade
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@contextmanager
def opened(url: str, *, busy_timeout_s: float = 5.0) -> Iterator[SqlBotStore]:
    trade = a_closed_trade(1)
    store = SqlBotStore.open(url, bot=trade.bot, run_mode=trade.run_mode, account=trade.account, busy_timeout_s=busy_timeout_s)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Import trades one after the other, from a thread."""
    stop = Event()

    def write() -> None:
        with opened(url) as store:
            number = 1_000
            while not stop.is_set():
                store.import_trades([a_closed_trade(number), a_closed_trade(number + 1)])
                number += 2

    thread = Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_backup_given_a_writer_then_the_copy_is_one_state_and_can_be_written_to(url: str, postgres: PostgresServer, tmp_path: Path) -> None:
    with opened(url) as store:
        store.import_trades([a_closed_trade(number) for number in range(1, 200)])
    with writing(url):
        PostgresBackup(name="BOT1", url=url).copy(tmp_path)
    other = postgres.new_database()

    PostgresBackup(name="BOT1", url=other).restore(tmp_path)

    with opened(other) as store:
        ids = [trade.trade_id for trade in store.closed_trades(closed_since=None)]
        # Trades are written two at a time: a copy of one state never holds one of them.
        assert len(ids) % 2 == 1
        assert store.import_trades([a_closed_trade(900_000)]) == 1


def test_backup_given_a_moment_is_held_then_writers_wait_only_until_they_may_go_on(
    url: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    other = postgres.new_database()
    with opened(url, busy_timeout_s=0.2) as store:
        store.import_trades([a_closed_trade(1)])

        with PostgresBackup(name="BOT1", url=url).hold() as held:
            with pytest.raises(StoreBusyError):
                store.import_trades([a_closed_trade(2)])
            assert store.count_closed(closed_since=None) == 1
            held.go_on()
            assert store.import_trades([a_closed_trade(2)]) == 1
            held.copy(tmp_path)

    PostgresBackup(name="BOT1", url=other).restore(tmp_path)
    with opened(other) as restored:
        assert [trade.trade_id for trade in restored.closed_trades(closed_since=None)] == [1]


def test_backup_given_an_error_while_a_moment_is_held_then_writers_go_on(url: str) -> None:
    with opened(url, busy_timeout_s=0.2) as store:
        with pytest.raises(StoreError, match="account"), PostgresBackup(name="BOT1", url=url).hold():
            raise StoreError("the account cannot be copied")

        assert store.import_trades([a_closed_trade(1)]) == 1


def test_backup_given_writers_that_do_not_let_go_then_says_busy(url: str) -> None:
    second = PostgresBackup(name="BOT1", url=url, lock_timeout_s=0.1)

    with opened(url), PostgresBackup(name="BOT1", url=url).hold(), pytest.raises(StoreBusyError), second.hold():
        pass


def test_restore_given_a_database_with_tables_then_refuses(url: str) -> None:
    with opened(url):
        pass

    with pytest.raises(StoreError, match="contains tables"):
        PostgresBackup(name="BOT1", url=url).require_empty()


def test_backup_given_a_server_that_is_away_then_says_so_and_shows_no_password(tmp_path: Path) -> None:
    away = PostgresBackup(name="BOT1", url=f"postgresql+psycopg://bot1:geheim@/bot1?host={tmp_path}")

    with pytest.raises(StoreError, match="pg_dump of") as caught:
        away.copy(tmp_path)

    assert "geheim" not in str(caught.value)
