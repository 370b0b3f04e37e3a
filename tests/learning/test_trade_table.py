"""Which trades are observations, and what is said of those that are not."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from bot3.learning.groups import left_out_reason
from bot3.trading.leverage_bins import ABOVE_BINS
from tests.learning.worlds import NOW, PAIRS, START, learner_with, many_trades, trade_row


@pytest.mark.parametrize("reason", ["force_exit", "emergency_exit", "liquidation", "sold_on_exchange"])
def test_left_out_reason_given_a_hand_ended_it_then_names_it(reason: str) -> None:
    assert left_out_reason({"exit_reason": reason}) == f"ended by {reason}"


def test_left_out_reason_given_several_fills_then_says_how_many() -> None:
    assert left_out_reason({"exit_reason": "roi", "entries": 3, "exits": 2}) == "in parts: 3 entries, 2 exits"
    assert left_out_reason({"exit_reason": "roi", "entries": 1, "exits": 1}) is None


def test_replays_given_a_trade_in_parts_then_is_left_out_and_told() -> None:
    trades = pd.DataFrame([trade_row(1, opened=START + timedelta(days=5))]).assign(entries=2, exits=1)

    replays, _ = learner_with(trades).unsaved_replays()

    assert replays[["state", "reason"]].to_numpy().tolist() == [["left_out", "in parts: 2 entries"]]


def test_replays_given_leverage_above_the_bins_then_is_left_out_and_touches_no_group() -> None:
    high = {"leverage": 20.0, "leverage_bin": ABOVE_BINS}
    learner = learner_with(pd.DataFrame([trade_row(1, opened=START + timedelta(days=5))]))
    cells, before = learner.cells(), set(learner.touched)

    learner.ingest(pd.DataFrame([trade_row(2, opened=START + timedelta(days=6)) | high]))
    learner.replay_due(now=NOW)

    replays, _ = learner.unsaved_replays()
    assert replays.loc[replays["trade_id"] == 2, ["state", "reason"]].to_numpy().tolist() == [["left_out", "leverage above 10"]]
    assert (learner.cells(), learner.touched) == (cells, before)


def test_replays_given_a_trade_was_corrected_then_it_is_replayed_again() -> None:
    opened = START + timedelta(days=5)
    learner = learner_with(pd.DataFrame([trade_row(1, opened=opened)]))
    _, rows = learner.unsaved_replays()
    learner.table.confirm_saved(rows)

    learner.ingest(pd.DataFrame([trade_row(1, opened=opened, open_rate=90.0)]))
    learner.replay_due(now=NOW)

    replays, _ = learner.unsaved_replays()
    assert replays["state"].tolist() == ["complete"]
    assert len(learner.table) == 1


def test_funding_missing_share_given_trades_before_the_first_rate_then_counts_them() -> None:
    learner = learner_with(many_trades(40))
    assert learner.funding_missing_share() == 0.0

    learner.ingest(pd.DataFrame([trade_row(900 + k, opened=START + timedelta(days=6, hours=k), pair="ZZZ/USDT:USDT") for k in range(10)]))

    assert learner.funding_missing_share() == pytest.approx(0.2)


def test_rows_of_a_cell_given_any_order_of_arrival_then_are_by_entry() -> None:
    trades = pd.DataFrame([trade_row(k, opened=START + timedelta(days=5, hours=h)) for k, h in enumerate((7, 1, 4))])

    table = learner_with(trades).table

    assert table.fact("open_us")[table.rows((PAIRS[0], "long", "2.0-3.5"))].tolist() == sorted(table.fact("open_us").tolist())
