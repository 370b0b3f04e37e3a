"""The roles of PostgreSQL, on a real server: each does its work, and nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.engine import migrate
from bot3.errors import StoreError
from bot3.trading.trades import RunMode
from tests.deploy.production import ROOT, Production

pytestmark = pytest.mark.postgres

OWNERS = {"bot1": "bot1", "bot2": "bot2", "bot33": "bot3", "bot3": "bot3"}


@pytest.fixture
def stores(live_postgres: Production) -> Production:
    """Return the server with every store made by its owner."""
    for name in ("bot1", "bot2", "bot33"):
        migrate(live_postgres.url(OWNERS[name], name), "bot")
    migrate(live_postgres.url("bot3", "bot3"), "platform")
    migrate(live_postgres.url("bot3", "bot3"), "control")
    return live_postgres


@pytest.mark.parametrize("database", OWNERS)
def test_reader_given_tables_that_were_made_later_then_reads_them_and_writes_nothing(stores: Production, database: str) -> None:
    table = sa.table("heartbeats" if database == "bot3" else "trades")

    assert stores.execute("bot3_reader", database, str(sa.select(sa.func.count()).select_from(table))) != []
    with pytest.raises(sa.exc.DBAPIError, match="read-only transaction"):
        stores.execute("bot3_reader", database, str(sa.delete(table)))


def test_reader_given_it_takes_the_read_only_mark_off_then_still_has_no_right(stores: Production) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        stores.execute("bot3_reader", "bot33", "SET TRANSACTION READ WRITE; DELETE FROM trades")


@pytest.mark.parametrize(
    ("role", "database"), [("bot1", "bot2"), ("bot1", "bot33"), ("bot2", "bot3"), ("dagster", "bot3"), ("bot3_reader", "dagster")]
)
def test_role_given_a_database_that_is_not_its_own_then_is_not_let_in(stores: Production, role: str, database: str) -> None:
    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
        stores.execute(role, database, "SELECT 1")


@pytest.mark.parametrize("role", ["bot1", "bot2", "bot3", "bot3_reader", "dagster"])
def test_role_given_any_then_makes_no_roles_and_no_databases(stores: Production, role: str) -> None:
    database = "bot3" if role == "bot3_reader" else role

    rights = stores.execute(
        role, database, "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = current_user"
    )

    assert rights == [(False, False, False, False)]


@pytest.mark.parametrize("database", OWNERS)
def test_session_given_a_server_in_local_time_then_is_in_utc(stores: Production, database: str) -> None:
    server = stores.server.url("postgres")

    with sa.create_engine(server, poolclass=sa.NullPool).connect() as connection:
        assert connection.exec_driver_sql("SHOW timezone").scalar_one() == "Asia/Tokyo"
    assert stores.execute(OWNERS[database], database, "SHOW timezone") == [("UTC",)]


def test_server_given_a_wrong_password_then_lets_nobody_in(stores: Production) -> None:
    url = sa.make_url(stores.url("bot3", "bot3")).set(password="wrong")

    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        sa.create_engine(url, poolclass=sa.NullPool).connect()


def test_roles_given_the_script_runs_again_then_nothing_is_lost(stores: Production) -> None:
    before = stores.execute("bot3_reader", "bot3", "SELECT version_num FROM alembic_version_platform")

    stores.set_up()

    assert stores.execute("bot3_reader", "bot3", "SELECT version_num FROM alembic_version_platform") == before != []


def test_learning_given_it_reads_a_bot_as_the_reader_then_opens_its_store_but_cannot_write(stores: Production) -> None:
    facts = {"bot": "BOT3", "run_mode": RunMode.PAPER, "account": "paper-BOT3"}
    SqlBotStore.open(stores.url("bot3", "bot33"), **facts).close()

    store = SqlBotStore.open(stores.url("bot3_reader", "bot33"), **facts)

    try:
        assert store.count_closed(closed_since=None) == 0
        assert store.change_token()
        with pytest.raises(StoreError):
            store.mark_rates(1, min_rate=1.0, max_rate=2.0)
    finally:
        store.close()


def test_secrets_given_made_again_then_are_kept_and_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = ["bash", ROOT / "deploy" / "make-secrets.sh", folder]
    subprocess.run(command, check=True, timeout=30)
    made = {path.name: path.read_text() for path in folder.iterdir()}

    subprocess.run(command, check=True, timeout=30)

    assert {path.name: path.read_text() for path in folder.iterdir()} == made
    assert made.pop(".gitignore") == "*\n"
    assert folder.stat().st_mode & 0o077 == 0
    assert len(set(made.values())) == len(made) > 0


def test_operators_query_given_it_is_typed_as_ever_then_counts_closed_trades(stores: Production) -> None:
    typed = 'psql -d bot33 -c "SELECT COUNT(*) FROM trades WHERE is_open=false;"'
    password = (stores.secrets / "reader_db_password").read_text()
    given = {"PGHOST": "127.0.0.1", "PGPORT": str(stores.port), "PGUSER": "bot3_reader", "PGPASSWORD": password}

    ended = subprocess.run(["bash", "-c", typed], env={**os.environ, **given}, capture_output=True, text=True, timeout=30, check=True)

    assert ended.stdout.split() == ["count", "-------", "0", "(1", "row)"]
