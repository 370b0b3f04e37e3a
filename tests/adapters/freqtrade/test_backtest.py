"""Backtest results of freqtrade as trades of ours; files that are none, or mean harm, are refused."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.freqtrade.backtest import LARGEST_RESULT, FreqtradeBacktest
from bot3.errors import Bot3Error, DataError, SettingsError, StoreError
from bot3.ports.foreign_trades import FilledOrder
from bot3.trading.trades import OrderPattern, RunMode, Trade
from tests.servers.freqtrade_result import OPENED, STEM, a_result, a_result_order, a_result_trade, write_zip

LATER = OPENED + timedelta(hours=1)


def test_read_all_given_an_archive_then_returns_its_trades_in_our_words(tmp_path: Path) -> None:
    path = write_zip(tmp_path, a_result(Sample=[a_result_trade()]))

    found = FreqtradeBacktest.open(path).read_all()

    assert found.closed == (
        Trade(
            bot="Sample",
            run_mode=RunMode.BACKTEST,
            account="backtest",
            trade_id=1,
            pair="BTC/USDT:USDT",
            is_short=False,
            leverage=5.0,
            open_date=OPENED,
            open_rate=100.0,
            amount=2.0,
            stake_amount=40.0,
            fee_open=0.0005,
            fee_close=0.0005,
            enter_tag="F07",
            is_open=False,
            close_date=LATER,
            close_rate=101.0,
            close_profit=0.0449,
            close_profit_abs=1.8,
            exit_reason="roi",
            funding_fees=-0.01,
            min_rate=99.7,
            max_rate=101.2,
            initial_stop_loss_pct=-0.03,
            stop_loss_pct=-0.03,
            order_pattern=OrderPattern.SINGLE,
        ),
    )
    assert found.orders[1] == (
        FilledOrder(is_entry=True, rate=100.0, amount=2.0, filled_at=OPENED),
        FilledOrder(is_entry=False, rate=101.0, amount=2.0, filled_at=LATER),
    )
    assert (found.open, found.refused) == ((), ())


def test_read_all_given_orders_then_they_decide_the_pattern(tmp_path: Path) -> None:
    entry, last = a_result_order(is_entry=True, at=OPENED), a_result_order(is_entry=False, at=LATER)
    unfilled = a_result_order(is_entry=True, at=OPENED) | {"order_filled_timestamp": None}
    orders = [[entry, entry, last], [entry, last, last], [entry, unfilled, last], []]
    old = a_result_trade()
    del old["orders"]

    found = FreqtradeBacktest.open(
        write_zip(tmp_path, a_result(Sample=[*(a_result_trade(orders=each) for each in orders), old]))
    ).read_all()

    multiple, single, unknown = OrderPattern.MULTIPLE, OrderPattern.SINGLE, OrderPattern.UNKNOWN
    assert [trade.order_pattern for trade in found.closed] == [multiple, multiple, single, unknown, unknown]


def test_open_given_a_renamed_archive_or_plain_json_then_reads_it_too(tmp_path: Path) -> None:
    result = a_result(Sample=[a_result_trade()])
    plain = tmp_path / "old.json"
    plain.write_text(json.dumps(result))

    for path in (plain, write_zip(tmp_path, result, name="mine.zip")):
        assert len(FreqtradeBacktest.open(path).read_all().closed) == 1


def test_open_given_several_strategies_then_one_must_be_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path, a_result(First=[a_result_trade()], Second=[a_result_trade(), a_result_trade()]))

    assert len(FreqtradeBacktest.open(path, strategy="Second").read_all().closed) == 2
    with pytest.raises(SettingsError, match=r"contains 2 strategies \(First, Second\): name one with --strategy"):
        FreqtradeBacktest.open(path)
    with pytest.raises(SettingsError, match="contains no strategy 'Third': it contains First, Second"):
        FreqtradeBacktest.open(path, strategy="Third")


def test_open_given_a_strategy_with_an_odd_name_then_shows_it_on_one_line(tmp_path: Path) -> None:
    path = write_zip(tmp_path, a_result(**{"A\n\ud800": [a_result_trade()], "B": []}))

    with pytest.raises(SettingsError, match=r"\(A\\n\\ud800, B\)"):
        FreqtradeBacktest.open(path)


def test_read_all_given_odd_values_then_refuses_the_trade_and_keeps_the_others(tmp_path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"open_rate": 0.0},
        {"open_rate": float("nan")},
        {"open_timestamp": 10**300},
        {"open_timestamp": "soon"},
        {"close_timestamp": None},
        {"is_short": "yes"},
        {"profit_ratio": {}},
        {"amount": 10**400},
        {"leverage": 0.5},
    ]

    found = FreqtradeBacktest.open(
        write_zip(tmp_path, a_result(S=[*(a_result_trade(**each) for each in odd), a_result_trade()]))
    ).read_all()

    assert [row.trade_id for row in found.refused] == [*range(1, len(odd) + 1)]
    assert [trade.trade_id for trade in found.closed] == [len(odd) + 1]


def text(directory: Path) -> Path:
    path = directory / "notes.json"
    path.write_text("pair,profit")
    return path


def cut(directory: Path) -> Path:
    path = write_zip(directory, a_result(S=[a_result_trade()]))
    path.write_bytes(path.read_bytes()[:-200])
    return path


def changed(directory: Path) -> Path:
    path = write_zip(directory, a_result(S=[a_result_trade()] * 50), compression=zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b'"pair"', b'"pear"'))
    return path


def nested(directory: Path) -> Path:
    return write_zip(directory, b"[" * 200_000)


def listed(directory: Path) -> Path:
    return write_zip(directory, [1, 2])


def without_trades(directory: Path) -> Path:
    return write_zip(directory, {"strategy": {"S": {"results": 3}}})


def lacking(directory: Path) -> Path:
    trade = a_result_trade()
    del trade["profit_ratio"]
    return write_zip(directory, a_result(S=[a_result_trade(), trade]))


def other_archive(directory: Path) -> Path:
    path = directory / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"")
    return path


def metadata(directory: Path) -> Path:
    write_zip(directory, a_result(S=[]))
    return directory / f"{STEM}.meta.json"


def gone(directory: Path) -> Path:
    return directory / "gone.zip"


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (text, DataError, "is not valid JSON"),
        (cut, DataError, "is not valid JSON"),
        (changed, DataError, "damaged or encrypted archive"),
        (nested, DataError, "is not valid JSON"),
        (listed, DataError, "it contains no `strategy`"),
        (without_trades, DataError, "contains no list `trades`"),
        (lacking, DataError, "trade 2 lacks profit_ratio"),
        (other_archive, DataError, "is no backtest result of freqtrade"),
        (metadata, SettingsError, f"name the result beside it, {STEM}.zip"),
        (gone, StoreError, "does not exist"),
        (lambda directory: directory, StoreError, "cannot be read"),
    ],
)
def test_open_given_what_is_no_result_then_says_so(tmp_path: Path, make: Callable[[Path], Path], kind: type[Bot3Error], words: str) -> None:
    with pytest.raises(kind) as raised:
        FreqtradeBacktest.open(make(tmp_path))

    assert words in str(raised.value)


def test_open_given_an_archive_that_unpacks_to_more_than_is_allowed_then_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / f"{STEM}.zip"
    block = b" " * 2**20
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(f"{STEM}.json", "w", force_zip64=True) as member:
        for _ in range(LARGEST_RESULT // len(block) + 1):
            member.write(block)

    assert path.stat().st_size < 2**20
    with pytest.raises(DataError, match="is larger than 256 MiB"):
        FreqtradeBacktest.open(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["strategy", "trades", "orders", "S", "pair"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(a_result_trade())), value=JSON)
def test_read_all_given_any_value_in_any_field_then_the_trade_is_read_or_refused(name: str, value: Any) -> None:
    rows = (a_result_trade() | {name: value}, a_result_trade())

    found = FreqtradeBacktest(strategy="S", rows=rows).read_all()

    assert len(found.closed) + len(found.open) + len(found.refused) == 2
    assert 2 in {trade.trade_id for trade in found.closed}
