from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from bot3.adapters.ccxt.candles import CcxtCandles
from bot3.adapters.files.candle_format import exchange_of, write_candles, write_funding
from bot3.adapters.files.candles import FileCandles
from bot3.adapters.files.markets import FileMarkets
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import CandleError, ExchangeBusyError
from tests.servers.kline_server import KlineServer

START = datetime(2025, 1, 6, tzinfo=UTC)
NOW = START + timedelta(days=9, minutes=2)
PAIR = "ALFA/USDT:USDT"


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(3, starts_at=START, ends_at=START + timedelta(days=20), pairs=1)


@pytest.fixture
def server(market: SimulatedMarket) -> Iterator[KlineServer]:
    end = START + timedelta(days=20)
    candles = market.candles(PAIR, "5m", start=START, end=end)
    funding = market.funding(PAIR, start=START, end=end)
    with KlineServer(candles, funding, symbol="ALFAUSDT", now=NOW) as running:
        yield running


def a_source(server: KlineServer, directory: Path) -> CcxtCandles:
    return CcxtCandles(directory, base_url=server.url, is_rate_limited=False)


def read(directory: Path) -> pd.DataFrame:
    return FileCandles(directory, wall_now=lambda: NOW + timedelta(days=300)).candles(
        PAIR, "5m", start=START, end=NOW + timedelta(days=300)
    )


def test_download_given_several_pages_then_every_closed_candle_is_on_disk(
    server: KlineServer, market: SimulatedMarket, tmp_path: Path
) -> None:
    download = a_source(server, tmp_path).download_candles(PAIR, "5m", since=START, now=NOW)

    expected = market.candles(PAIR, "5m", start=START, end=NOW)
    pd.testing.assert_frame_equal(read(tmp_path), expected)
    assert download.added == download.rows == len(expected)
    assert download.path == tmp_path / "futures" / "ALFA_USDT_USDT-5m-futures.feather"


def test_download_given_the_candle_in_progress_then_it_is_dropped_even_by_a_clock_that_is_ahead(
    server: KlineServer, tmp_path: Path
) -> None:
    a_source(server, tmp_path).download_candles(PAIR, "5m", since=START, now=NOW + timedelta(minutes=7))

    assert read(tmp_path)["open_time"].iloc[-1] == START + timedelta(days=9, minutes=-5)


def test_download_given_candles_on_disk_then_asks_for_the_rest_only(server: KlineServer, tmp_path: Path) -> None:
    source = a_source(server, tmp_path)
    first = source.download_candles(PAIR, "5m", since=START, now=NOW)
    server.now = NOW + timedelta(hours=1)
    server.requests.clear()

    second = source.download_candles(PAIR, "5m", since=START, now=NOW + timedelta(hours=1))

    asked = [query["startTime"] for endpoint, query in server.requests if endpoint == "klines"]
    assert second.added == 12
    assert second.rows == first.rows + 12
    assert asked == [str(int((START + timedelta(days=9)).timestamp()) * 1_000)]


def test_download_given_an_earlier_start_then_the_older_candles_are_added(
    server: KlineServer, market: SimulatedMarket, tmp_path: Path
) -> None:
    source = a_source(server, tmp_path)
    source.download_candles(PAIR, "5m", since=START + timedelta(days=5), now=NOW)

    source.download_candles(PAIR, "5m", since=START, now=NOW)

    pd.testing.assert_frame_equal(read(tmp_path), market.candles(PAIR, "5m", start=START, end=NOW))


@pytest.mark.parametrize("fault", [500, 429, 418, 503, "cut", "html"])
def test_download_given_a_server_that_fails_midway_then_the_next_call_goes_on(
    server: KlineServer, market: SimulatedMarket, tmp_path: Path, fault: int | str
) -> None:
    server.faults["klines"] = {2: fault}
    source = a_source(server, tmp_path)

    with pytest.raises(ExchangeBusyError):
        source.download_candles(PAIR, "5m", since=START, now=NOW)
    held = len(read(tmp_path))
    server.requests.clear()
    source.download_candles(PAIR, "5m", since=START, now=NOW)

    assert held >= 1_900
    assert sum(endpoint == "klines" for endpoint, _ in server.requests) == 1
    pd.testing.assert_frame_equal(read(tmp_path), market.candles(PAIR, "5m", start=START, end=NOW))


def test_download_given_an_exchange_that_is_gone_then_busy(tmp_path: Path) -> None:
    source = CcxtCandles(tmp_path, base_url="http://127.0.0.1:9", is_rate_limited=False)

    with pytest.raises(ExchangeBusyError, match="cannot be reached"):
        source.download_candles(PAIR, "5m", since=START, now=NOW)


def test_download_given_a_pair_the_exchange_has_not_then_a_clear_error(server: KlineServer, tmp_path: Path) -> None:
    with pytest.raises(CandleError, match="no such pair"):
        a_source(server, tmp_path).download_candles("NONE/USDT:USDT", "5m", since=START, now=NOW)


def test_download_given_a_broken_file_on_disk_then_it_is_named_and_left_alone(server: KlineServer, tmp_path: Path) -> None:
    path = tmp_path / "futures" / "ALFA_USDT_USDT-5m-futures.feather"
    path.parent.mkdir()
    path.write_bytes(b"no feather")

    with pytest.raises(CandleError, match=r"ALFA_USDT_USDT-5m-futures\.feather"):
        a_source(server, tmp_path).download_candles(PAIR, "5m", since=START, now=NOW)

    assert path.read_bytes() == b"no feather"


def test_download_given_funding_then_it_is_read_back_at_whole_seconds(server: KlineServer, market: SimulatedMarket, tmp_path: Path) -> None:
    source = a_source(server, tmp_path)
    source.download_candles(PAIR, "5m", since=START, now=NOW)

    first = source.download_funding(PAIR, since=START, now=NOW)
    again = source.download_funding(PAIR, since=START, now=NOW)

    reader = FileCandles(tmp_path, wall_now=lambda: NOW)
    expected = market.funding(PAIR, start=START, end=NOW)
    assert (first.added, again.added) == (len(expected), 0)
    pd.testing.assert_frame_equal(reader.funding(PAIR, start=START, end=NOW), expected)


def test_download_given_a_file_that_does_not_say_whose_it_is_then_goes_on_where_its_last_row_is_the_exchanges(
    server: KlineServer, market: SimulatedMarket, tmp_path: Path
) -> None:
    write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=market.candles(PAIR, "5m", start=START, end=START + timedelta(days=2)))
    write_funding(tmp_path, pair=PAIR, funding=market.funding(PAIR, start=START, end=START + timedelta(days=2)))

    source = a_source(server, tmp_path)
    found = source.download_candles(PAIR, "5m", since=START, now=NOW)
    rates = source.download_funding(PAIR, since=START, now=NOW)

    pd.testing.assert_frame_equal(read(tmp_path), market.candles(PAIR, "5m", start=START, end=NOW))
    assert [exchange_of(path) for path in (found.path, rates.path)] == ["binanceusdm"] * 2


@pytest.mark.parametrize("owner", [None, "bybit"])
def test_download_given_candles_of_another_exchange_then_adds_nothing_to_them(
    server: KlineServer, market: SimulatedMarket, tmp_path: Path, owner: str | None
) -> None:
    held = market.candles(PAIR, "5m", start=START, end=START + timedelta(days=2))
    prices = {name: held[name] * 1.0004 for name in ("open", "high", "low", "close")}
    path = write_candles(tmp_path, pair=PAIR, timeframe="5m", candles=held.assign(**prices), exchange=owner)
    before = path.read_bytes()

    with pytest.raises(CandleError, match="one file must not contain candles of two exchanges, choose another --directory"):
        a_source(server, tmp_path).download_candles(PAIR, "5m", since=START, now=NOW)

    assert path.read_bytes() == before


def test_download_given_funding_of_another_exchange_then_adds_nothing_to_it(
    server: KlineServer, market: SimulatedMarket, tmp_path: Path
) -> None:
    held = market.funding(PAIR, start=START, end=START + timedelta(days=2))
    write_funding(tmp_path, pair=PAIR, funding=held.assign(funding_rate=held["funding_rate"] + 1e-4))

    with pytest.raises(CandleError, match="contains rows of an unknown exchange"):
        a_source(server, tmp_path).download_funding(PAIR, since=START, now=NOW)


def test_download_given_progress_then_it_hears_the_end(server: KlineServer, tmp_path: Path) -> None:
    heard: list[tuple[datetime, datetime]] = []

    def progress(*, pair: str, reached: datetime, until: datetime) -> None:
        heard.append((reached, until))

    a_source(server, tmp_path).download_candles(PAIR, "5m", since=START, now=NOW, progress=progress)

    assert heard[-1] == (NOW, NOW)


def test_source_sends_no_key(server: KlineServer, tmp_path: Path) -> None:
    a_source(server, tmp_path).download_candles(PAIR, "5m", since=START, now=NOW)

    assert not any("x-mbx-apikey" in {name.lower() for name in headers} for headers in server.headers)
    assert not any("signature" in query for _, query in server.requests)


def test_markets_given_the_exchange_then_they_are_read_from_a_file(server: KlineServer, tmp_path: Path) -> None:
    path = tmp_path / "markets.json"
    path.write_text(json.dumps(a_source(server, tmp_path).markets()))

    market = FileMarkets(path, taker_fee=0.0005, maker_fee=0.0002).market(PAIR)

    assert (str(market.rate_tick), str(market.amount_step), market.min_notional_abs) == ("0.1", "0.001", 100)


def test_source_given_an_unknown_exchange_then_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CandleError, match="ccxt has no exchange 'nowhere'"):
        CcxtCandles(tmp_path, exchange_id="nowhere")


def test_source_is_rate_limited_unless_told_otherwise_and_never_retries_by_itself(tmp_path: Path) -> None:
    exchange = CcxtCandles(tmp_path)._exchange

    assert exchange.enableRateLimit
    assert not exchange.options.get("maxRetriesOnFailure")
