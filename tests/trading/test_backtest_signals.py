"""Signals and regimes of a backtest, by time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bot3.errors import InvalidTradeError
from bot3.market.instants import instant_us
from bot3.market.regimes import Regime
from bot3.trading.backtest_signals import RegimeLine, SignalTable, signals_between, signals_of_directions
from tests.markets import BTC, CANDLE, ETH, NOON, a_signal


def frame_of(*rows: tuple[int, str, bool]) -> pd.DataFrame:
    """Return signals of (candles after noon, pair, is_short)."""
    known = pd.Series([pd.Timestamp(NOON + row[0] * CANDLE) for row in rows], dtype="datetime64[us, UTC]")
    columns: dict[str, Any] = {"pair": [row[1] for row in rows], "is_short": pd.Series([row[2] for row in rows], dtype=bool)}
    return pd.DataFrame(
        {"known_at": known, "candle_open_time": known - CANDLE, **columns, "confidence": 0.6, "feeder_id": "F01", "model_digest": "d1"}
        | {"horizon": "24h"}
    )


FRAME = frame_of((0, BTC, False), (0, ETH, True), (1, BTC, True), (3, ETH, False))


def test_signals_between_given_a_span_then_its_start_is_in_and_its_end_is_not() -> None:
    found = signals_between(FRAME, start=NOON + CANDLE, end=NOON + 3 * CANDLE)

    assert found.index.tolist() == [2]
    assert signals_between(FRAME, start=NOON, end=NOON + 4 * CANDLE).index.tolist() == [0, 1, 2, 3]


def test_signals_between_given_signals_out_of_order_then_is_refused() -> None:
    with pytest.raises(InvalidTradeError, match="not in order"):
        signals_between(FRAME.iloc[::-1], start=NOON, end=NOON)


@pytest.mark.parametrize(("directions", "rows"), [({"long"}, [0, 3]), ({"short"}, [1, 2]), ({"long", "short"}, [0, 1, 2, 3]), (set(), [])])
def test_signals_of_directions_given_some_then_are_only_theirs(directions: set[str], rows: list[int]) -> None:
    assert signals_of_directions(FRAME, frozenset(directions)).index.tolist() == rows


def test_signal_table_given_rows_then_groups_them_by_instant_and_returns_each() -> None:
    table = SignalTable(FRAME)

    noon = instant_us(NOON)
    assert len(table) == 4
    assert list(table.closes()) == [(noon, 0, 2), (noon + 300_000_000, 2, 3), (noon + 900_000_000, 3, 4)]
    assert table.signal(1) == a_signal(ETH, is_short=True)
    assert list(SignalTable(FRAME.iloc[:0]).closes()) == []


def test_regime_line_given_regimes_then_is_the_newest_known_one() -> None:
    known = pd.Series([pd.Timestamp(NOON), pd.Timestamp(NOON + CANDLE)], dtype="datetime64[us, UTC]")
    line = RegimeLine(pd.DataFrame({"known_at": known, "regime": ["volatile", "sideways"]}))
    noon = instant_us(NOON)

    found = [line.at(noon + after) for after in (-1, 0, 299_999_999, 300_000_000)]

    assert found == [None, Regime.VOLATILE, Regime.VOLATILE, Regime.SIDEWAYS]
    assert RegimeLine(None).at(noon) is None
    assert RegimeLine(pd.DataFrame({"known_at": known[:0], "regime": []})).at(noon) is None
