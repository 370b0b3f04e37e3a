"""Keys of groups: what is joined comes apart again, whatever a pair is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.learning.replay.groups import (
    ROOT,
    Group,
    bin_group,
    ended_by_hand,
    group_key,
    group_of_key,
    has_unknown_orders,
    is_learned,
    left_out_reason,
    level_of,
    members_by_group,
    parent_groups,
    parent_of,
    signal_rank,
)
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ANY
from bot3.trading.trades import DIRECTIONS


@given(
    pair=st.text() | st.sampled_from(["NA|STY/USDT", "|", "a|long|1.0-2.0"]),
    side=st.sampled_from([*DIRECTIONS, ANY]),
    name=st.sampled_from([*DEFAULT_BINS.names, ANY, "2.0-3.5@7d", "*@8h"]),
)
def test_group_of_key_given_any_pair_then_is_the_group_that_made_the_key(pair: str, side: str, name: str) -> None:
    assert group_of_key(group_key((pair, side, name))) == (pair, side, name)


@pytest.mark.parametrize(
    ("group", "level", "parent"),
    [
        (("A", "long", "1.0-2.0"), "cell", ("A", "long", "*")),
        (("A", "long", "*"), "pair", ("*", "long", "*")),
        (("*", "short", "*"), "direction", ROOT),
        (("*", "*", "1.0-2.0"), "bin", ROOT),
        (ROOT, "root", None),
        (("A", "long", "1.0-2.0@7d"), "cell", ("A", "long", "*@7d")),
        (("A", "long", "*@7d"), "pair", ("*", "long", "*@7d")),
        (("*", "short", "*@7d"), "direction", ("*", "*", "*@7d")),
        (("*", "*", "1.0-2.0@7d"), "bin", ("*", "*", "*@7d")),
        (("*", "*", "*@7d"), "horizon", ROOT),
    ],
)
def test_group_given_its_place_then_has_a_level_and_a_parent(group: Group, level: str, parent: Group | None) -> None:
    assert (level_of(group), parent_of(group)) == (level, parent)


def test_parent_groups_given_cells_then_are_root_first_and_bins_last() -> None:
    found = parent_groups([("B", "short", "1.0-2.0"), ("A", "long", "2.0-3.5"), ("A", "long", "1.0-2.0")], bins=DEFAULT_BINS)

    above = [("*", "*", "*"), ("*", "long", "*"), ("*", "short", "*"), ("A", "long", "*"), ("B", "short", "*")]
    assert found == [*above, *(bin_group(name) for name in DEFAULT_BINS.names)]


def test_groups_given_cells_of_another_horizon_then_it_has_its_own_and_those_of_24_hours_do_not_change() -> None:
    day = [("B", "short", "1.0-2.0"), ("A", "long", "2.0-3.5")]
    week = ("C", "long", "2.0-3.5@7d")

    found, members = parent_groups([*day, week], bins=DEFAULT_BINS), members_by_group([*day, week])

    only_day = parent_groups(day, bins=DEFAULT_BINS)
    others = [("*", "*", "*@7d"), ("*", "long", "*@7d"), ("*", "short", "*@7d"), ("C", "long", "*@7d")]
    assert found == [*only_day, *others, *(bin_group(f"{name}@7d") for name in DEFAULT_BINS.names)]
    assert members[ROOT] == sorted(day)
    assert [members[group] for group in (week, *others[:2], bin_group("2.0-3.5@7d"))] == [[week]] * 4


def test_members_given_cells_in_any_order_then_each_group_has_its_own_sorted() -> None:
    cells = [("B", "long", "1.0-2.0"), ("A", "short", "1.0-2.0"), ("A", "long", "2.0-3.5")]

    found = members_by_group(cells)

    assert found[ROOT] == sorted(cells)
    assert found["*", "long", "*"] == [("A", "long", "2.0-3.5"), ("B", "long", "1.0-2.0")]
    assert found["A", "short", "*"] == found["A", "short", "1.0-2.0"] == [("A", "short", "1.0-2.0")]
    assert found["*", "*", "1.0-2.0"] == [("A", "short", "1.0-2.0"), ("B", "long", "1.0-2.0")]


@pytest.mark.parametrize("reason", ["force_exit", "emergency_exit", "liquidation", "force_sell", "emergency_sell", "sold_on_exchange"])
def test_left_out_reason_given_a_hand_ended_it_then_names_it(reason: str) -> None:
    trade = {"exit_reason": reason, "order_pattern": "single"}

    assert ended_by_hand(trade) == left_out_reason(trade) == f"ended by {reason}"


def test_left_out_reason_given_several_orders_or_a_leverage_above_the_bins_then_names_it() -> None:
    trade = {"exit_reason": "roi", "leverage_bin": "7.5-10.0"}

    found = [left_out_reason({**trade, "order_pattern": pattern}) for pattern in ("single", "unknown", "multiple")]

    assert found == [None, None, "several entries or exits (their rates do not describe the whole trade)"]
    assert left_out_reason({**trade, "leverage_bin": DEFAULT_BINS.outside[-1]}) == "leverage outside the bins"
    assert left_out_reason(trade) is None
    assert (is_learned("7.5-10.0"), is_learned(DEFAULT_BINS.outside[-1])) == (True, False)


def test_has_unknown_orders_given_a_pattern_then_only_unknown_ones() -> None:
    patterns = ({"order_pattern": name} for name in ("single", "multiple", "unknown", None))

    assert [has_unknown_orders(trade) for trade in (*patterns, {})] == [False, False, True, True, False]


def test_signal_rank_given_trades_of_a_signal_then_the_earliest_then_a_control_bot_then_the_key_represents_it() -> None:
    keys = [(5, "BOT3", 1), (4, "BOT9", 2), (4, "BOT2", 9), (4, "BOT1", 3), (4, "BOT1", 2)]
    trades = [{"open_us": at, "bot": bot, "run_mode": "paper", "trade_id": number} for at, bot, number in keys]

    ranked = sorted(trades, key=signal_rank)

    assert [(trade["bot"], trade["trade_id"]) for trade in ranked] == [("BOT1", 2), ("BOT1", 3), ("BOT2", 9), ("BOT9", 2), ("BOT3", 1)]
    assert min(trades, key=lambda trade: signal_rank(trade, control_bots=("BOT9",)))["bot"] == "BOT9"
