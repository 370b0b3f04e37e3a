"""A foreign database that comes and goes."""

from __future__ import annotations

from datetime import datetime

import pytest

from bot3.errors import StoreBusyError, StoreError
from bot3.ports.trade_columns import TradeColumns
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.fleet.foreign_sources import AWAY, UnreliableReader, trouble_of
from tests.journals import a_closed_trade
from tests.usecases.fakes import FakeReader
from tests.usecases.foreign import FakeForeignTrades


class Server:
    """A database that can be down; every opening is counted, every opened reader has tokens of its own."""

    def __init__(self) -> None:
        self.is_up = True
        self.commits = 0
        self.opened = 0
        self.now_s = 100.0

    def connect(self) -> ServerReader:
        self.require()
        self.opened += 1
        return ServerReader(self, number=self.opened)

    def require(self) -> None:
        if not self.is_up:
            raise StoreBusyError("the server cannot be reached")

    def reader(self) -> UnreliableReader:
        return UnreliableReader(
            bot="GRID7",
            run_mode=RunMode.LIVE,
            store_id="grid",
            connect=self.connect,
            retry_after_s=15.0,
            monotonic=lambda: self.now_s,
        )


class ServerReader(FakeReader, FakeForeignTrades):
    def __init__(self, server: Server, *, number: int) -> None:
        FakeReader.__init__(self, "GRID7", [a_closed_trade(1)])
        self.server, self.number = server, number
        self.is_closed = False

    def change_token(self) -> str:
        self.server.require()
        return f"{self.number}.{self.server.commits}"

    def closed_columns(self, *, closed_since: datetime | None) -> TradeColumns:
        return TradeColumns.of(self.closed_trades(closed_since=closed_since))

    def open_trades(self) -> list[Trade]:
        raise StoreError("the disk cannot be read")

    def close(self) -> None:
        self.is_closed = True


def test_reader_given_nobody_asked_then_opens_nothing() -> None:
    server = Server()

    reader = server.reader()

    assert (reader.bot, reader.store_id, server.opened) == ("GRID7", "grid", 0)


def test_change_token_given_an_outage_then_is_away_and_afterwards_another_one() -> None:
    server = Server()
    reader = server.reader()
    before = reader.change_token()

    server.is_up = False
    away = reader.change_token()
    server.is_up, server.now_s = True, server.now_s + 15.0
    after = reader.change_token()

    assert (away, trouble_of(reader)) == (AWAY, None)
    assert len({before, away, after}) == 3


def test_reader_given_an_outage_then_is_left_alone_for_a_while() -> None:
    server = Server()
    server.is_up = False
    reader = server.reader()
    with pytest.raises(StoreBusyError):
        reader.count_closed(closed_since=None)
    server.is_up, server.now_s = True, server.now_s + 14.0

    with pytest.raises(StoreBusyError, match="cannot be reached"):
        reader.count_closed(closed_since=None)

    assert server.opened == 0
    server.now_s += 1.0
    assert reader.count_closed(closed_since=None) == 1
    assert reader.trouble is None


def test_reader_given_any_failure_then_its_connections_are_dropped() -> None:
    server = Server()
    reader = server.reader()

    with pytest.raises(StoreError, match="disk"):
        reader.open_trades()

    assert trouble_of(reader) == "the disk cannot be read"
    server.now_s += 15.0
    reader.change_token()
    assert server.opened == 2
