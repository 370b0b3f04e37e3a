"""Shadow trades go on from where they stopped: in steps or in one go they are the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode
from bot3.wiring import open_platform
from tests.seeded import copy_of_home, seeded_until, set_market_time, tiny_settings

pytestmark = pytest.mark.slow  # on a seeded home

PAPER = (RunMode.PAPER,)


def extended(home: Path, *, to: datetime) -> tuple[int, pd.DataFrame]:
    """Extend a home's shadow trades up to a market time; return how many came, and all of them."""
    set_market_time(home, to)
    with open_platform(tiny_settings(home)) as platform:
        added = platform.feeders.extend_shadow_trades()
        frame = platform.record.shadow_trades.frame(as_of=to, run_modes=PAPER)
    columns = [name for name in frame.columns if name not in {"revision", "computed_at"}]
    return added, frame[columns].sort_values(["feeder_id", "pair", "open_date"], ignore_index=True)


def test_shadow_feeders_given_two_steps_or_one_then_the_same_trades(tmp_path: Path) -> None:
    stepped, whole = copy_of_home(tmp_path / "stepped"), copy_of_home(tmp_path / "whole")
    end = seeded_until(stepped) + timedelta(days=2)

    first, _ = extended(stepped, to=end - timedelta(hours=31))
    second, mine = extended(stepped, to=end)
    once, theirs = extended(whole, to=end)

    assert min(first, second) > 0
    assert first + second == once == len(theirs)
    pd.testing.assert_frame_equal(mine, theirs)


def test_shadow_feeders_given_no_new_candle_then_adds_nothing(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)
    end = seeded_until(home) + timedelta(days=1)
    _, before = extended(home, to=end)

    added, after = extended(home, to=end)

    assert added == 0
    pd.testing.assert_frame_equal(after, before)


def test_shadow_feeders_given_days_then_no_feeder_holds_a_pair_twice_at_once_and_none_closed_later(tmp_path: Path) -> None:
    home = copy_of_home(tmp_path)
    start, end = seeded_until(home), seeded_until(home) + timedelta(days=2)

    _, frame = extended(home, to=end)

    assert set(frame["feeder_id"]) <= set(FEEDER_IDS)
    assert frame["close_date"].max() <= end
    assert frame["open_date"].min() >= start
    overlaps = frame["open_date"] < frame.groupby(["feeder_id", "pair"])["close_date"].shift()
    assert not overlaps.any()
