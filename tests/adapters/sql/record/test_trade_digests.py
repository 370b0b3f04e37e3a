"""A digest is of all that a trade says, and of nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.record.trade_digests import row_digests
from bot3.ports.trade_columns import FLOATS as NUMBERS
from bot3.ports.trade_columns import TradeColumns
from bot3.trading.trades import RunMode, Trade
from tests.journals import a_closed_trade, minutes

OTHERS: dict[str, Any] = {
    "bot": "BOT2",
    "run_mode": RunMode.LIVE,
    "trade_id": 2,
    "is_short": True,
    "open_date": minutes(-1),
    "close_date": minutes(61),
    "min_rate": None,
    "exit_reason": None,
}


def digest(trade: Trade) -> str:
    (found,) = row_digests(TradeColumns.of([trade]))
    return found


def other(trade: Trade, name: str) -> Trade:
    """Return a trade that differs in one field."""
    value = getattr(trade, name)
    if name in OTHERS:
        return replace(trade, **{name: OTHERS[name]})
    return replace(trade, **{name: f"{value}?" if isinstance(value, str | None) and name not in FLOATS else (value or 0.0) + 1e-12})


FLOATS = {field.name for field in fields(Trade) if "float" in str(field.type)}


@pytest.mark.parametrize("name", [field.name for field in fields(Trade) if field.name != "is_open"])
def test_digest_given_another_value_of_one_field_then_is_another(name: str) -> None:
    trade = replace(a_closed_trade(1), min_rate=99.0)

    assert digest(other(trade, name)) != digest(trade)


def test_digest_then_is_the_same_on_every_machine() -> None:
    assert digest(a_closed_trade(1)) == "a772b6f3dcf3f431e6296645"


@given(first=st.floats(0.1, 1e9), second=st.floats(0.1, 1e9))
def test_digest_given_two_rates_then_is_equal_only_for_equal_ones(first: float, second: float) -> None:
    trade = a_closed_trade(1)

    assert (digest(replace(trade, open_rate=first)) == digest(replace(trade, open_rate=second))) == (first == second)


@given(order=st.permutations(range(6)))
def test_digests_given_any_order_then_stay_with_their_trades(order: list[int]) -> None:
    trades = [a_closed_trade(number, close_date=minutes(60) + timedelta(seconds=number)) for number in range(6)]

    assert row_digests(TradeColumns.of([trades[place] for place in order])) == [digest(trades[place]) for place in order]


def test_digest_given_a_correction_of_profit_and_its_amount_then_is_another() -> None:
    trade = replace(a_closed_trade(1), close_profit=0.013, close_profit_abs=0.52)

    assert digest(replace(trade, close_profit=-0.013, close_profit_abs=-0.5199980926513672)) != digest(trade)


BITS = np.uint64(1) << np.arange(64, dtype="uint64")
# Every one and every two bits.
CHANGES = np.unique(np.bitwise_or.outer(np.append(BITS, np.uint64(0)), BITS))


@given(place=st.integers(0, len(NUMBERS) - 2), bit=st.integers(0, 63))
@example(place=NUMBERS.index("close_profit"), bit=63)
@settings(max_examples=20, deadline=None)
def test_digests_given_a_bit_of_a_number_and_any_two_of_the_next_then_are_all_different(place: int, bit: int) -> None:
    first, second = NUMBERS[place : place + 2]
    trade = TradeColumns.of([a_closed_trade(1)])
    arrays = {name: np.repeat(column, 2 * len(CHANGES)) for name, column in trade.arrays.items()}
    arrays[first].view("uint64")[len(CHANGES) :] ^= BITS[bit]
    arrays[second].view("uint64")[:] ^= np.tile(CHANGES, 2)

    digests = row_digests(TradeColumns(arrays=arrays))

    assert len(set(digests)) == 2 * len(CHANGES)
    # By the second lane alone, whose 32 bits some rows share by chance.
    assert len({text[16:] for text in digests}) > 2 * len(CHANGES) - 10
