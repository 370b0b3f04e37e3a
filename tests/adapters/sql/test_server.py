"""PostgreSQL connections: half-open ones are noticed, their sessions ended, and a statement that takes long is left alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from bot3.adapters.freqtrade.database import FreqtradeDatabase
from bot3.adapters.sql.bot.store import SqlBotStore
from bot3.adapters.sql.control.control import SqlControl
from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.server import SILENCE_S, server_engine
from bot3.cli.services import free_port
from bot3.trading.trades import RunMode
from tests.journals import ACCOUNT, OPENED
from tests.servers.cut_proxy import CutProxy
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.postgres

SHORT_S = 0.4


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Yield a server that is reached over TCP, as one beyond a proxy is."""
    with PostgresServer(port=free_port()) as server:
        engine = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("ALTER ROLE bot3 PASSWORD 'secret'")
        yield server


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[CutProxy]:
    with CutProxy(int(server.url("x").rpartition("=")[2])) as proxy:
        yield proxy


def beyond(proxy: CutProxy, server: PostgresServer) -> str:
    """Return the URL of a new database, through the proxy."""
    name = make_url(server.new_database()).database
    return f"postgresql+psycopg://bot3:secret@127.0.0.1:{proxy.port}/{name}"


def sessions(server: PostgresServer, url: str) -> list[str]:
    engine = sa.create_engine(server.url("postgres"), poolclass=sa.NullPool)
    question = sa.text("SELECT state FROM pg_stat_activity WHERE datname = :name")
    with engine.connect() as connection:
        return list(connection.execute(question, {"name": make_url(url).database}).scalars())


@contextmanager
def an_engine(url: str, *, silence_s: float = SHORT_S) -> Iterator[sa.Engine]:
    engine = server_engine(make_url(url), session={"timezone": "UTC"}, silence_s=silence_s, pool_pre_ping=True)
    try:
        yield engine
    finally:
        engine.dispose()


def ask(engine: sa.Engine, statement: str = "SELECT 1") -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


def test_statement_given_a_half_open_connection_then_ends_and_the_next_one_works(server: PostgresServer, proxy: CutProxy) -> None:
    with an_engine(beyond(proxy, server)) as engine, engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        proxy.stall()

        with pytest.raises(sa.exc.OperationalError, match="no answer for"):
            connection.exec_driver_sql("SELECT 2")

        assert ask(engine) == 1


def test_connections_given_one_was_found_half_open_then_none_of_its_age_is_waited_for(server: PostgresServer, proxy: CutProxy) -> None:
    url = beyond(proxy, server)
    with an_engine(url) as first, an_engine(url, silence_s=60.0) as second:
        assert (ask(first), ask(second)) == (1, 1)
        proxy.stall()

        # Its pool asks the old connection, finds it silent, and opens another.
        assert ask(first) == 1
        began = time.monotonic()
        assert ask(second) == 1

        assert time.monotonic() - began < 30.0


def test_statement_given_the_server_works_on_it_for_long_then_is_left_alone(server: PostgresServer, proxy: CutProxy) -> None:
    with an_engine(beyond(proxy, server), silence_s=0.5) as engine:
        assert ask(engine, "SELECT 7 FROM pg_sleep(3)") == 7


def test_statement_given_no_server_answers_at_all_then_ends(server: PostgresServer, proxy: CutProxy) -> None:
    with an_engine(beyond(proxy, server)) as engine:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            proxy.stall(new_too=True)

            with pytest.raises(sa.exc.OperationalError, match="no answer for"):
                connection.exec_driver_sql("SELECT 2")

        proxy.mend()
        assert ask(engine) == 1


def test_transaction_given_its_connection_was_half_open_then_its_locks_are_free(server: PostgresServer, proxy: CutProxy) -> None:
    url = beyond(proxy, server)
    with an_engine(url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE held (id int)")
        with engine.connect() as connection:
            connection.exec_driver_sql("LOCK TABLE held")
            proxy.stall()
            with pytest.raises(sa.exc.OperationalError):
                connection.exec_driver_sql("INSERT INTO held VALUES (1)")

        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '20s'")
            connection.exec_driver_sql("LOCK TABLE held")
            assert connection.exec_driver_sql("SELECT count(*) FROM held").scalar_one() == 0
        assert "idle in transaction" not in sessions(server, url)


def limits(database: Database | FreqtradeDatabase) -> dict[str, str]:
    names = ("statement_timeout", "tcp_user_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    with database.read() as connection:
        found = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in names}
        driver = connection.connection.driver_connection
    assert driver is not None
    asked = driver.info.get_parameters()
    return found | {name: asked[name] for name in ("keepalives_idle", "keepalives_count", "connect_timeout") if name in asked}


def test_stores_given_a_server_then_each_session_has_limits(server: PostgresServer, proxy: CutProxy) -> None:
    url = beyond(proxy, server)
    store = SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT)
    foreign = FreqtradeDatabase.open(url)

    own, others = limits(store._database), limits(foreign)

    store.close()
    foreign.close()
    assert own == {
        "statement_timeout": "10min",
        "tcp_user_timeout": "10000",
        "idle_in_transaction_session_timeout": "5min",
        "lock_timeout": "5s",
        "keepalives_idle": "5",
        "keepalives_count": "3",
        "connect_timeout": "5",
    }
    assert (others["keepalives_idle"], others["connect_timeout"], others["lock_timeout"]) == ("5", "5", "5s")


@pytest.mark.slow
def test_store_given_half_open_connections_then_works_again_within_fifteen_seconds_and_others_at_once(
    server: PostgresServer, proxy: CutProxy
) -> None:
    url = beyond(proxy, server)
    store, control = SqlBotStore.open(url, bot="BOT1", run_mode=RunMode.PAPER, account=ACCOUNT), SqlControl.open(url)
    proxy.stall()

    began = time.monotonic()
    store.set_bookmark("candle", OPENED)
    noticed_s = time.monotonic() - began
    assert control.anchor() is None
    others_s = time.monotonic() - began - noticed_s

    assert store.bookmark("candle") == OPENED
    assert noticed_s < 2.0 * SILENCE_S
    assert others_s < SILENCE_S
    store.close()
    control.close()
