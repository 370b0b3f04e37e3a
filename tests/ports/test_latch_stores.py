"""One suite for every `LatchStore`: a bot's own store on SQLite and on PostgreSQL, and the flag file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.files.latch import FileLatch
from bot3.adapters.sql import schema_versions as sql_migrations
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.engine import sqlite_url
from bot3.errors import StoreError
from bot3.ports.latches import LatchStore
from bot3.trading.risk import EquityMarks, RiskLatch, TradingState
from bot3.trading.trades import RunMode
from tests.conftest import NewStore
from tests.journals import ACCOUNT, OPENED

MARKS = EquityMarks(day=date(2026, 1, 5), day_start_abs=10_000.25, peak_abs=12_000.5)
HALTED = RiskLatch(state=TradingState.HALTED, reason="drawdown passed", marks=MARKS, reducing_until=OPENED)

amounts = st.floats(min_value=1e-3, max_value=1e12)
times = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
latches = st.builds(
    RiskLatch,
    state=st.sampled_from(list(TradingState)),
    reason=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40),
    marks=st.none() | st.builds(EquityMarks, day=st.dates(), day_start_abs=amounts, peak_abs=amounts),
    reducing_until=st.none() | times,
)


def open_store(url: str) -> SqlBotStore:
    return SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres), "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LatchStore]:
    if request.param == "file":
        yield FileLatch(tmp_path / "latches" / "BOT1.json")
        return
    url = sqlite_url(tmp_path / "BOT1.sqlite") if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()
    opened = open_store(url)
    yield opened
    opened.close()


def test_latch_given_none_was_kept_then_is_none(store: LatchStore) -> None:
    assert store.latch() is None


@given(first=latches, second=latches)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_latch_given_any_two_were_kept_then_is_the_second(store: LatchStore, first: RiskLatch, second: RiskLatch) -> None:
    store.save_latch(first)
    store.save_latch(second)

    assert store.latch() == second


BROKEN = [("state", "asleep"), ("day", "yesterday"), ("peak_abs", None), ("day_start_abs", float("inf")), ("reducing_until", "soon")]
BROKEN_IN_FILES = [*BROKEN, ("state", []), ("state", {}), ("peak_abs", 10**400), ("day", {}), ("reason", None)]


@pytest.mark.parametrize(("field", "value"), BROKEN)
def test_latch_given_a_row_with_an_invalid_field_then_names_it(tmp_path: Path, field: str, value: object) -> None:
    url = sqlite_url(tmp_path / "BOT1.sqlite")
    with closing(open_store(url)) as store:
        store.save_latch(HALTED)
        with store._database.write() as connection:
            connection.execute(sa.text(f"UPDATE risk_latch SET {field} = :value"), {"value": value})  # noqa: S608  # a name of the table above

        with pytest.raises(StoreError, match=rf"BOT1\.sqlite, table risk_latch.*{field} is"):
            store.latch()


@pytest.mark.parametrize(("field", "value"), BROKEN_IN_FILES)
def test_latch_given_a_file_with_an_invalid_field_then_names_it(tmp_path: Path, field: str, value: object) -> None:
    path = tmp_path / "BOT1.json"
    FileLatch(path).save_latch(HALTED)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    with pytest.raises(StoreError, match=rf"BOT1\.json.*{field} is"):
        FileLatch(path).latch()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "halted"}', "\x00\x01", "[" * 100_000])
def test_latch_given_a_file_that_is_none_then_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "BOT1.json").write_text(text)

    with pytest.raises(StoreError, match=r"BOT1\.json"):
        FileLatch(tmp_path / "BOT1.json").latch()


def test_keep_latch_given_a_directory_that_cannot_be_made_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "latches").write_text("a file")

    with pytest.raises(StoreError, match=r"BOT1\.json cannot be written"):
        FileLatch(tmp_path / "latches" / "BOT1.json").save_latch(HALTED)


def test_migrate_given_a_day_latch_of_the_first_schema_then_keeps_it(new_store: NewStore) -> None:
    url = new_store()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    directory = Path(sql_migrations.__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(directory))
    config.set_main_option("version_locations", str(directory / "bot"))
    config.set_main_option("path_separator", "newline")
    at_us = round(OPENED.timestamp() * 1_000_000)
    with engine.begin() as connection:
        config.attributes.update(connection=connection, version_table=sql_migrations.version_table("bot"))
        command.upgrade(config, "bot_0001")
        row = {"name": "entries_latched_until", "account": ACCOUNT, "at": at_us}
        connection.execute(sa.text("INSERT INTO bookmarks (name, account, at_us) VALUES (:name, :account, :at)"), row)

    with closing(open_store(url)) as store:
        assert store.latch() == RiskLatch(reducing_until=OPENED)
        assert store.bookmark("entries_latched_until") is None
