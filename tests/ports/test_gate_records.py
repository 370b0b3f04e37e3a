"""One suite for what daily reviews left in every `PlatformRecord`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.sql import schema_versions as sql_migrations
from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record import tables as sql_tables_platform
from bot3.adapters.sql.record.record import SqlRecord
from bot3.adapters.sql.rows import to_us
from bot3.errors import InvalidLearningError, LearningError, StoreConflictError, StoreError
from bot3.learning.promotion.permissions import GateLedger, NodeAccount, OpenBet
from bot3.ports.record import PlatformRecord
from tests.conftest import NewStore
from tests.journals import OPENED, PAIR, minutes
from tests.learned import a_row, a_set


@pytest.fixture
def record(new_store: NewStore) -> Iterator[PlatformRecord]:
    record = SqlRecord.open(new_store())
    yield record
    record.close()


def a_ledger(day: int = 20_000, *, wealth: float = 0.1) -> GateLedger:
    held = (wealth, wealth / 3.0, 0.0)
    rich, poor = NodeAccount(start=0.7, number=1, cash=held), NodeAccount(start=1.0, number=2, cash=held[::-1], shortfall=0.2)
    bets = tuple(
        OpenBet(node=(PAIR, side), opened_us=7, ended_us=2**40 + place, net=-0.01 * wealth, worst=0.02, stakes=held)
        for place, side in enumerate(("short", "long"))
    )
    return GateLedger(day=day, accounts={(PAIR, "long"): rich, (PAIR, "short"): poor}, open_bets=bets)


def test_ledger_given_a_publication_with_one_then_returns_it_whole(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=a_ledger())

    assert record.gates.as_of(OPENED) == a_ledger()


def test_ledger_given_the_version_of_its_replays_then_returns_it_and_the_first_day(record: PlatformRecord) -> None:
    with pytest.raises(LearningError, match="no day was reviewed"):
        record.gates.first_reviewed_day()
    first, second = replace(a_ledger(20_000), replay_version="r1"), replace(a_ledger(20_003), replay_version="r2")
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=first)
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True, ledger=second)

    assert (record.gates.as_of(OPENED), record.gates.as_of(minutes(5))) == (first, second)
    assert record.gates.first_reviewed_day() == 20_000


def test_ledger_given_no_node_yet_then_remembers_the_day(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=GateLedger(day=20_000))

    assert record.gates.as_of(OPENED) == GateLedger(day=20_000)


def test_ledger_given_a_later_publication_without_a_review_then_stays(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=a_ledger())
    record.parameters.publish(a_set("v2", known_at=minutes(5)), replaces="v1", is_full=True)

    assert record.gates.as_of(minutes(5)) == a_ledger()


BROKEN = [
    ("gate_accounts", "cash_2", float("inf")),
    ("gate_accounts", "cash_0", "NaN"),
    ("gate_accounts", "start", 1.5),
    ("gate_accounts", "direction", "up"),
    ("gate_bets", "stake_1", float("inf")),
    ("gate_bets", "name", "of no account"),
    ("gate_bets", "opened_us", 2**50),
    ("gate_reviews", "day", 10**9),
    ("gate_reviews", "day", -1),
]


SAID = {"name": "of no account", "opened_us": "end after its entry"}


@pytest.mark.parametrize(("table", "field", "value"), BROKEN)
def test_ledger_given_a_row_that_breaks_a_bound_then_refuses_it_and_names_the_field(
    tmp_path: Path, table: str, field: str, value: object
) -> None:
    record = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite"))
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=a_ledger())
    with record._database.write() as connection:
        # The names are those of the list above; of two nodes one is changed.
        where = "" if table == "gate_reviews" else "WHERE direction = 'long'"
        connection.execute(sa.text(f"UPDATE {table} SET {field} = :value {where}"), {"value": value})  # noqa: S608

    with pytest.raises(InvalidLearningError, match=SAID.get(field, field)):
        record.gates.as_of(OPENED)
    if field == "day":
        with pytest.raises(LearningError, match="no day was reviewed"):
            record.gates.first_reviewed_day()
    record.close()


def test_ledger_given_no_review_by_then_then_says_so(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=a_ledger())

    with pytest.raises(LearningError, match="no day was reviewed by"):
        record.gates.as_of(OPENED - timedelta(microseconds=1))


@given(known=st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True), at=st.integers(0, 45))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_ledger_given_as_of_then_never_shows_a_later_review(new_store: NewStore, known: list[int], at: int) -> None:
    record, replaces = SqlRecord.open(new_store()), None
    for minute in sorted(known):
        version = f"v{minute}"
        ledger = a_ledger(minute, wealth=float(minute))
        record.parameters.publish(a_set(version, known_at=minutes(minute)), replaces=replaces, is_full=True, ledger=ledger)
        replaces = version

    then = [minute for minute in known if minute <= at]
    if then:
        assert record.gates.as_of(minutes(at)) == a_ledger(max(then), wealth=float(max(then)))
    else:
        with pytest.raises(LearningError):
            record.gates.as_of(minutes(at))
    record.close()


def test_publish_given_others_published_then_keeps_no_ledger_either(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=a_ledger())

    with pytest.raises(StoreConflictError):
        record.parameters.publish(a_set("v3", known_at=minutes(2)), replaces="v0", is_full=True, ledger=a_ledger(20_001))

    assert record.gates.as_of(minutes(9)).day == 20_000


def test_publish_given_a_ledger_that_cannot_be_written_then_publishes_nothing(record: PlatformRecord) -> None:
    record.parameters.publish(a_set("v1"), replaces=None, is_full=True, ledger=a_ledger())
    account = a_ledger().accounts[PAIR, "long"]
    nameless = GateLedger(day=20_001, accounts={**a_ledger().accounts, (None, "long"): account})  # type: ignore[dict-item]

    with pytest.raises(StoreError):
        record.parameters.publish(a_set("v2", known_at=minutes(2)), replaces="v1", is_full=True, ledger=nameless)

    assert (record.parameters.as_of(minutes(9)).version, record.gates.as_of(minutes(9)), record.revision()) == ("v1", a_ledger(), 1)


def test_parameters_history_given_windows_then_tells_first_and_last_entry(record: PlatformRecord) -> None:
    published = a_set("v1", a_row(), a_row(pair=PAIR, direction="long"))
    record.parameters.publish(published, replaces=None, is_full=True, windows={"*|*|*": (minutes(-9), minutes(-2))})

    told, untold = (record.parameters.history(key=key) for key in ("*|*|*", f"{PAIR}|long|*"))

    assert told[["first_entry", "last_entry"]].iloc[0].tolist() == [pd.Timestamp(minutes(-9)), pd.Timestamp(minutes(-2))]
    assert untold[["first_entry", "last_entry"]].isna().all(axis=None)


def test_open_given_a_record_of_the_first_release_then_keeps_what_was_published(new_store: NewStore) -> None:
    url = new_store()
    config = Config()
    config.set_main_option("script_location", str(Path(sql_migrations.__file__).parent / "migrations"))
    config.set_main_option("version_locations", str(Path(sql_migrations.__file__).parent / "migrations" / "platform"))
    config.set_main_option("path_separator", "newline")
    later = dict.fromkeys(("has_target", "deviation_move", "worst_move", "notional_ratio", "utility"))
    unknown = {"known_at", "left_out_count", "late_count", "is_censored", *later}
    row = {name: value for name, value in asdict(a_row()).items() if name not in unknown} | {"seq": 1, "known_at_us": to_us(OPENED)}
    published = {"seq": 1, "version": "v1", "is_full": True, "learned_revision": 3, "revision": 1}
    instants = dict.fromkeys(("known_at_us", "computed_at_us", "expires_at_us"), to_us(OPENED))
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        config.attributes.update(connection=connection, version_table=sql_migrations.version_table("platform"))
        command.upgrade(config, "platform_0001")
        connection.execute(sa.insert(sql_tables_platform.parameter_publications).values(**published, **instants))
        connection.execute(sa.insert(sql_tables_platform.parameter_rows).values(**row))

    record = SqlRecord.open(url)

    assert dict(record.parameters.as_of(OPENED).rows) == {"*|*|*": a_row(**later)}
    assert record.parameters.history(key="*|*|*")["first_entry"].isna().all()
    with pytest.raises(LearningError, match="no day was reviewed"):
        record.gates.as_of(OPENED)
    record.close()
