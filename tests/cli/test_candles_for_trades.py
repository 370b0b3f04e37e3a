"""`bot3 candles fetch --for-trades` against a loopback exchange."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from bot3.adapters.files.candles import FileCandles
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.adapters.sql.engine import sqlite_url
from tests.cli.commands import Ended, bot3
from tests.servers.freqtrade_db import FreqtradeDb, a_row
from tests.servers.kline_server import KlineServer

pytestmark = pytest.mark.slow

START = datetime(2025, 1, 6, tzinfo=UTC)
PAIR = "ALFA/USDT:USDT"
END = START + timedelta(days=60)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(3, starts_at=START, ends_at=END, pairs=1)


@pytest.fixture
def server(market: SimulatedMarket) -> Iterator[KlineServer]:
    candles, funding = market.candles(PAIR, "5m", start=START, end=END), market.funding(PAIR, start=START, end=END)
    with KlineServer(candles, funding, symbol="ALFAUSDT", now=END) as running:
        yield running


@pytest.fixture
def bot(home: Path, tmp_path: Path) -> FreqtradeDb:
    """Return a foreign bot whose two trades, on days 30 and 40, are in the record."""
    bot = FreqtradeDb(sqlite_url(tmp_path / "old.sqlite"))
    bot.add(*(a_trade(number, day=day) for number, day in ((1, 30), (2, 40))))
    imported(home, tmp_path)
    return bot


def a_trade(trade_id: int, *, day: int, pair: str = PAIR) -> dict[str, object]:
    opened = (START + timedelta(days=day, hours=3)).replace(tzinfo=None)
    return a_row(trade_id, pair=pair, open_date=opened, close_date=opened + timedelta(hours=2))


def imported(home: Path, tmp_path: Path) -> None:
    database = str(tmp_path / "old.sqlite")
    assert bot3("import", "--bot", "OLD", "--db", database, "--run-mode", "paper", home=home).code == 0


def fetch(home: Path, server: KlineServer, directory: Path) -> Ended:
    return bot3("candles", "fetch", "--for-trades", "--directory", str(directory), "--exchange-url", server.url, home=home)


def span(market: SimulatedMarket) -> pd.DataFrame:
    """Return what the two trades need: twenty days before the first, and the last one's day (the market has outages).

    The bot held its first trade for two hours, so the horizon of its second one is 8 h, which ends on the day of its entry.
    """
    return market.candles(PAIR, "5m", start=START + timedelta(days=10), end=START + timedelta(days=41))


def read(directory: Path) -> pd.DataFrame:
    return FileCandles(directory, wall_now=lambda: END).candles(PAIR, "5m", start=START, end=END)


def test_fetch_given_trades_then_brings_just_their_span(
    home: Path, tmp_path: Path, bot: FreqtradeDb, server: KlineServer, market: SimulatedMarket
) -> None:
    ended = fetch(home, server, tmp_path / "data")

    assert ended.code == 0, ended.said
    pd.testing.assert_frame_equal(read(tmp_path / "data"), span(market))


def test_fetch_given_a_failure_midway_then_the_next_one_goes_on(
    home: Path, tmp_path: Path, bot: FreqtradeDb, server: KlineServer, market: SimulatedMarket
) -> None:
    server.faults["klines"] = {4: 503}
    first = fetch(home, server, tmp_path / "data")
    held = len(read(tmp_path / "data"))
    server.requests.clear()

    second = fetch(home, server, tmp_path / "data")

    asked = sum(endpoint == "klines" for endpoint, _ in server.requests)
    assert (first.code, second.code) == (3, 0)
    assert "not fetched" in first.said
    assert held == 4_000
    assert asked == 5
    pd.testing.assert_frame_equal(read(tmp_path / "data"), span(market))


def test_fetch_given_older_trades_later_then_newer_candles_on_disk_stay(
    home: Path, tmp_path: Path, bot: FreqtradeDb, server: KlineServer
) -> None:
    fetch(home, server, tmp_path / "data")
    bot.execute("DELETE FROM trades")
    bot.add(a_trade(3, day=22))
    imported(home, tmp_path)

    fetch(home, server, tmp_path / "data")

    opens = read(tmp_path / "data")["open_time"]
    assert (opens.iloc[0], opens.iloc[-1]) == (START + timedelta(days=2), START + timedelta(days=41, minutes=-5))


def test_fetch_given_a_pair_that_the_exchange_has_not_then_fetches_the_others_and_says_so(
    home: Path, tmp_path: Path, bot: FreqtradeDb, server: KlineServer, market: SimulatedMarket
) -> None:
    bot.add(a_trade(3, day=30, pair="AAAA/USDT"))
    imported(home, tmp_path)

    ended = fetch(home, server, tmp_path / "data")

    assert ended.code == 3
    assert "AAAA/USDT: not fetched" in ended.said
    pd.testing.assert_frame_equal(read(tmp_path / "data"), span(market))


def test_fetch_given_no_foreign_trades_then_says_what_to_do(home: Path, tmp_path: Path, server: KlineServer) -> None:
    ended = fetch(home, server, tmp_path / "data")

    assert ended.code == 2
    assert "no trades of foreign bots" in ended.said
