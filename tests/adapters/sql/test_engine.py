"""What happens to a store when things go wrong: a clear word, and nothing lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot3.adapters.sql import schema_versions as sql_migrations
from bot3.adapters.sql.bot import tables as sql_tables_bot
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.control import tables as sql_tables_control
from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import Database, StoreKind, migrate, sqlite_url
from bot3.adapters.sql.record import tables as sql_tables_platform
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import SettingsError, StoreBusyError, StoreError, StoreFullError
from bot3.trading.trades import RunMode
from tests.conftest import NewStore
from tests.journals import ACCOUNT, OPENED, a_closed_trade, minutes

TABLES: dict[StoreKind, sa.MetaData] = {
    "bot": sql_tables_bot.metadata,
    "platform": sql_tables_platform.metadata,
    "control": sql_tables_control.metadata,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "BOT1.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqlBotStore]:
    store = open_store(path)
    yield store
    store.close()


def open_store(path: Path, *, busy_timeout_s: float = 5.0, read_only: bool = False) -> SqlBotStore:
    url = sqlite_url(path)
    return SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT, read_only=read_only, busy_timeout_s=busy_timeout_s)


def execute(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("kind", ["bot", "platform", "control"])
def test_migrate_given_an_empty_database_then_makes_the_tables_of_the_code(new_store: NewStore, kind: StoreKind) -> None:
    url = new_store()

    migrate(url, kind)
    migrate(url, kind)

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        options = {"version_table": sql_migrations.version_table(kind), "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), TABLES[kind]) == []


@pytest.mark.parametrize("kind", ["bot", "platform", "control"])
def test_heads_given_the_migrations_then_name_the_newest(kind: StoreKind) -> None:
    directory = Path(sql_migrations.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(directory))
    config.set_main_option("version_locations", str(directory / kind))
    config.set_main_option("path_separator", "newline")

    assert ScriptDirectory.from_config(config).get_heads() == [sql_migrations.HEADS[kind]]


def test_migrate_given_platform_and_control_in_one_database_then_both_fit(new_store: NewStore) -> None:
    url = new_store()

    record, control = SqlRecord.open(url), SqlControl.open(url)

    assert (record.revision(), control.anchor()) == (0, None)
    record.close()
    control.close()


def test_open_given_a_newer_schema_then_says_to_update(store: SqlBotStore, path: Path) -> None:
    execute(path, "UPDATE alembic_version_bot SET version_num = 'bot_9999'")

    with pytest.raises(StoreError, match=r"BOT1\.sqlite was written by a newer release.*update bot3"):
        open_store(path)


def test_open_given_another_file_then_names_it_and_leaves_it(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1_000)

    with pytest.raises(StoreError, match=r"BOT1\.sqlite is not a readable database.*restore a backup"):
        open_store(path)
    assert path.read_bytes() == b"no database at all" * 1_000


def test_closed_trades_given_a_damaged_page_then_says_so(path: Path) -> None:
    store = open_store(path)
    store.import_trades([a_closed_trade(number) for number in range(200)])
    store.close()
    damaged = bytearray(path.read_bytes())
    damaged[-80_000:] = os.urandom(80_000)
    path.write_bytes(damaged)

    with pytest.raises(StoreError, match=r"BOT1\.sqlite is not a readable database"):
        open_store(path, read_only=True).closed_trades(closed_since=None)


def test_open_given_reading_only_and_no_file_then_makes_none(path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist: run `bot3 init`"):
        open_store(path, read_only=True)
    assert not path.exists()


def test_open_given_reading_only_and_another_kind_then_says_what_it_is_not(path: Path) -> None:
    migrate(sqlite_url(path), "control")

    with pytest.raises(StoreError, match="is no bot store"):
        open_store(path, read_only=True)


def test_open_given_an_address_that_is_no_store_then_hides_the_password() -> None:
    with pytest.raises(SettingsError) as caught:
        Database.open("mysql://user:geheim@host/name", kind="bot")
    assert "geheim" not in str(caught.value)


def test_open_given_a_server_that_is_not_there_then_is_busy_and_hides_the_password() -> None:
    with pytest.raises(StoreBusyError, match=r"cannot be reached") as caught:
        SqlRecord.open("postgresql://user:geheim@127.0.0.1:1/name")
    assert "geheim" not in str(caught.value)


def test_write_given_a_lock_held_elsewhere_then_is_busy_and_nothing_is_written(store: SqlBotStore, path: Path) -> None:
    hasty = open_store(path, busy_timeout_s=0.01)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreBusyError, match=r"BOT1\.sqlite is locked"):
        hasty.set_bookmark("candle", OPENED)

    holder.execute("ROLLBACK")
    holder.close()
    assert hasty.bookmark("candle") is None
    hasty.set_bookmark("candle", OPENED)
    hasty.close()


@pytest.mark.parametrize(("kind", "synchronous"), [("bot", 2), ("platform", 1), ("control", 1)])
def test_open_given_a_kind_then_its_sessions_wait_and_survive_what_the_kind_needs(
    tmp_path: Path, kind: StoreKind, synchronous: int
) -> None:
    url = sqlite_url(tmp_path / "store.sqlite")
    names = ("busy_timeout", "synchronous", "foreign_keys", "journal_mode", "query_only")

    with closing(Database.open(url, kind=kind, busy_timeout_s=0.25)) as database, database.read() as connection:
        writing = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names}
    with closing(Database.open(url, kind=kind, read_only=True)) as database, database.read() as connection:
        reading = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names}

    assert writing == {"busy_timeout": 250, "synchronous": synchronous, "foreign_keys": 1, "journal_mode": "wal", "query_only": 0}
    assert reading == {**writing, "busy_timeout": 5_000, "query_only": 1}


def test_data_version_given_commits_then_differs_after_each_of_another_connection(path: Path) -> None:
    url = sqlite_url(path)
    with closing(Database.open(url, kind="bot")) as database, closing(Database.open(url, kind="bot")) as other:
        first, again = database.data_version(), database.data_version()
        execute(path, "INSERT INTO bookmarks (name, account, at_us) VALUES ('a', 'b', 1)")
        later = database.data_version()

        assert first == again != later
        assert other.data_version().partition(".")[0] != later.partition(".")[0]


def test_read_given_a_lock_held_elsewhere_then_goes_on(store: SqlBotStore, path: Path) -> None:
    store.set_bookmark("candle", OPENED)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    assert store.bookmark("candle") == OPENED
    holder.close()


def test_import_trades_given_a_full_database_then_writes_nothing_and_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "full.sqlite"
    store = open_store(path)
    store.import_trades([a_closed_trade(1)])
    with store._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreFullError, match=r"full\.sqlite: the disk is full.*nothing was written"):
        store.import_trades([a_closed_trade(number) for number in range(2, 2_000)])
    store.close()

    roomy = open_store(path)
    assert roomy.count_closed(closed_since=None) == 1
    assert roomy.import_trades([a_closed_trade(2)]) == 1
    roomy.close()


def test_import_trades_given_one_that_cannot_be_kept_then_none_of_them_is(store: SqlBotStore) -> None:
    with pytest.raises(StoreError, match=r"BOT1\.sqlite failed"):
        store.import_trades([a_closed_trade(1), a_closed_trade(2, fee_open=float("nan"))])

    assert store.count_closed(closed_since=None) == 0


_WRITER = """
import sys
from datetime import timedelta
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.trading.trades import RunMode
from tests.journals import ACCOUNT, OPENED, an_intent, a_fill

store = SqlBotStore.open(sys.argv[1], bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)
for number in range(1, 10_000):
    entry = an_intent(trade_id=number, candle_close_time=OPENED + timedelta(minutes=5 * number))
    store.plan_intent(entry)
    store.book([a_fill(entry, number=number, rate="100")], [])
    print(number, flush=True)
"""


def test_book_given_a_kill_in_the_middle_then_every_acknowledged_trade_is_there(path: Path) -> None:
    root = Path(__file__).parents[3]
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, sqlite_url(path)], stdout=subprocess.PIPE, text=True, cwd=root)
    assert writer.stdout is not None
    acknowledged = 0
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged == 25:
            writer.send_signal(signal.SIGKILL)
    writer.stdout.close()
    writer.wait()

    store = open_store(path)
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    trades = {trade.trade_id for trade in store.open_trades()}
    assert acknowledged >= 25
    assert trades >= set(range(1, acknowledged + 1))
    assert len(trades) <= acknowledged + 1
    store.close()


def test_data_version_given_an_own_write_then_differs_and_else_not(store: SqlBotStore) -> None:
    before = store.change_token()
    assert store.change_token() == before

    store.set_bookmark("candle", minutes(1))

    assert store.change_token() != before
