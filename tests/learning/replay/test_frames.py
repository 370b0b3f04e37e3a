"""The rows of the record's replay frame."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from bot3.learning.replay.frames import replay_frame
from tests.learning.worlds import NOW, PAIRS, START, learner_with, trade_row

OPENED = START + timedelta(days=5)


def row(trade_id: int, *, closed_after: timedelta, **changes: object) -> dict[str, object]:
    return trade_row(trade_id, opened=OPENED + timedelta(hours=trade_id)) | {
        "close_date": pd.Timestamp(OPENED + timedelta(hours=trade_id) + closed_after),
        **changes,
    }


def test_replay_frame_given_trades_then_a_replay_is_known_at_the_later_of_horizon_and_close() -> None:
    hour = timedelta(hours=1)
    trades = [
        row(1, closed_after=hour),
        row(2, closed_after=48 * hour),
        row(3, closed_after=hour, exit_reason="force_exit"),
        row(4, closed_after=hour, pair="ZZZ/USDT:USDT"),
    ]
    table = learner_with(pd.DataFrame(trades)).table

    frame = replay_frame(table, np.array([0, 1, 2, 3]), version="x1")

    horizon = 24 * hour + timedelta(minutes=5)
    opened = [OPENED + number * hour for number in (1, 2, 3, 4)]
    assert frame["trade_id"].tolist() == [1, 2, 3, 4]
    assert frame["pair"].tolist() == [PAIRS[0]] * 3 + ["ZZZ/USDT:USDT"]
    assert frame["state"].tolist() == ["complete", "complete", "left_out", "no_candles"]
    assert frame["reason"].tolist() == ["", "", "ended by force_exit", "no candles of ZZZ/USDT:USDT"]
    assert frame["open_date"].tolist() == opened
    assert frame["due_at"].tolist() == [at + horizon for at in opened]
    known = [opened[0] + horizon, opened[1] + 48 * hour, opened[2] + hour, opened[3] + hour]
    assert frame["known_at"].tolist() == known
    assert frame["candles"].tolist() == [288, 288, 0, 0]
    for name in ("mae_move", "mfe_move", "exit_move", "funding_move"):
        assert np.isfinite(frame[name]).tolist() == [True, True, False, False]
        assert frame[name].tolist()[:2] == table.fact(name)[:2].tolist()
    assert frame["version"].unique().tolist() == ["x1"]
    assert str(frame["known_at"].dtype) == str(frame["due_at"].dtype) == "datetime64[us, UTC]"


def test_replay_frame_given_some_rows_then_has_only_those_in_their_order() -> None:
    table = learner_with(pd.DataFrame([row(number, closed_after=timedelta(hours=1)) for number in (1, 2, 3)]), now=NOW).table

    assert replay_frame(table, np.array([2, 0]), version="x1")["trade_id"].tolist() == [3, 1]
