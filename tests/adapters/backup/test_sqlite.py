"""A bot's SQLite file copied while somebody writes, and as of one instant with its account."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot3.adapters.backup.sqlite import HomeBackup
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreBusyError, StoreError
from tests.journals import a_closed_trade

PART = "bots/BOT1.sqlite"


@contextmanager
def opened(home: Path) -> Iterator[SqlBotStore]:
    trade = a_closed_trade(1)
    facts = {"bot": trade.bot, "run_mode": trade.run_mode, "account": trade.account}
    with closing(SqlBotStore.open(sqlite_url(home / PART), **facts, busy_timeout_s=0.1)) as store:
        yield store


def ids(home: Path) -> list[int]:
    with opened(home) as store:
        return [trade.trade_id for trade in store.closed_trades(closed_since=None)]


def test_backup_given_a_moment_is_held_then_writers_wait_only_until_they_may_go_on(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "copy"
    with opened(home) as store:
        store.import_trades([a_closed_trade(1)])

        with HomeBackup(name="BOT1", home=home, needed=(PART,)).hold() as held:
            with pytest.raises(StoreBusyError):
                store.import_trades([a_closed_trade(2)])
            held.go_on()
            assert store.import_trades([a_closed_trade(2)]) == 1
            held.copy(target)

    HomeBackup(name="BOT1", home=tmp_path / "restored", needed=(PART,)).restore(target)
    assert (ids(tmp_path / "restored"), ids(home)) == ([1], [1, 2])


def test_backup_given_a_damaged_database_then_names_it(tmp_path: Path) -> None:
    (tmp_path / "bots").mkdir()
    (tmp_path / PART).write_bytes(b"no database" * 1_000)

    with pytest.raises(StoreError, match=r"BOT1\.sqlite cannot be read"), HomeBackup(name="BOT1", home=tmp_path, needed=(PART,)).hold():
        pass


def test_backup_given_a_database_that_is_missing_then_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"), HomeBackup(name="BOT1", home=tmp_path, needed=(PART,)).hold():
        pass

    assert list(tmp_path.iterdir()) == []


def test_copy_and_restore_given_a_target_that_is_no_directory_then_name_the_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with opened(home) as store:
        store.import_trades([a_closed_trade(1)])
    (home / "models").mkdir()
    (home / "models" / "F01.txt").write_text("tree")
    files = HomeBackup(name="models", home=home, needed=("models",))
    files.copy(tmp_path / "copy")
    taken = tmp_path / "taken"
    taken.write_text("a file, where a directory is needed")

    for backup in (files, HomeBackup(name="BOT1", home=home, needed=(PART,))):
        with pytest.raises(StoreError, match="cannot be copied to"):
            backup.copy(taken)
    with pytest.raises(StoreError, match=r"F01\.txt cannot be copied to"):
        HomeBackup(name="models", home=taken, needed=("models",)).restore(tmp_path / "copy")


def test_is_own_given_a_copy_of_it_then_is_and_given_a_dump_or_a_missing_part_then_is_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with opened(home) as store:
        store.import_trades([a_closed_trade(1)])
    backup = HomeBackup(name="BOT1", home=home, needed=(PART,), wanted=("signals",))
    backup.copy(tmp_path / "copy")
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "database.dump").write_bytes(b"PGDMP")
    (tmp_path / "empty").mkdir()

    assert [backup.is_own(tmp_path / name) for name in ("copy", "dump", "empty")] == [True, False, False]
