"""Which feeders may trade in which direction, by their shadow trades."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.feeders.permissions import NODES, FeederPermission, feeder_permissions
from bot3.learning.promotion.permissions import Node

NOW = datetime(2025, 6, 1, 9, tzinfo=UTC)
LONG: Node = ("F04", "long")


def shadow(edges: Mapping[Node, float | np.ndarray], *, n: int = 600, hours: float = 4.0, seed: int = 0) -> pd.DataFrame:
    """Return `n` shadow trades of each node over 300 days; half of their variance is the market's."""
    rng = np.random.default_rng(seed)
    market, frames = rng.normal(0.0, 0.01, n), []
    for (feeder, side), edge in edges.items():
        opened = pd.Series(pd.date_range(NOW - timedelta(days=300), periods=n, freq="12h")).astype("datetime64[us, UTC]")
        closed = opened + pd.Timedelta(hours=hours)
        frames.append(
            pd.DataFrame(
                {
                    "feeder_id": feeder,
                    "is_short": side == "short",
                    "open_date": opened,
                    "close_date": closed,
                    "known_at": closed,
                    "close_move": np.clip(market + rng.normal(0.0, 0.01, n), -0.03, 0.05) + edge,
                    "leverage": 1.0,
                    "sigma": 0.02,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def permissions(trades: pd.DataFrame, *, now: datetime = NOW) -> Mapping[Node, FeederPermission]:
    return feeder_permissions(trades, now=now, stop_loss=-0.03, round_trip=0.0012)


def opened(found: Mapping[Node, FeederPermission]) -> set[Node]:
    return {node for node, of in found.items() if of.is_open}


def test_permissions_given_one_direction_with_skill_then_it_alone_is_open() -> None:
    found = permissions(shadow(dict.fromkeys(NODES, -0.001) | {LONG: 0.006}))

    assert opened(found) == {LONG}
    assert found[LONG].progress.is_open
    assert {of.trades for of in found.values()} == {600 - 14}  # seven days of two trades, the longest horizon, are not counted yet
    assert not any(of.drifted_at for of in found.values())


def test_permissions_given_no_skill_looked_at_monthly_then_almost_no_world_opens_any() -> None:
    wrong = 0
    for seed in range(12):
        trades = shadow(dict.fromkeys(NODES, 0.0), seed=seed)
        wrong += any(opened(permissions(trades, now=NOW - timedelta(days=days))) for days in range(0, 300, 60))

    assert wrong <= 2


def test_permissions_given_no_trade_then_nothing_is_open() -> None:
    found = permissions(shadow({LONG: 0.0}).iloc[:0])

    assert set(found) == set(NODES)
    assert {of.progress.log_evidence for of in found.values()} == {0.0}
    assert opened(found) == set()


def test_permissions_given_skill_that_turns_into_loss_then_drift_closes_the_node() -> None:
    edge = np.where(np.arange(600) < 400, 0.006, -0.008)
    trades = shadow(dict.fromkeys(NODES, -0.001) | {LONG: edge})

    before, after = permissions(trades, now=NOW - timedelta(days=105)), permissions(trades)

    assert opened(before) == {LONG}
    assert before[LONG].drifted_at is None
    assert opened(after) == set()
    drifted = after[LONG].drifted_at
    assert drifted is not None
    assert NOW - timedelta(days=100) < drifted < NOW - timedelta(days=50)


@pytest.mark.parametrize(("hours", "waits"), [(2.0, 7), (60.0, 7), (204.0, 9)])
def test_permissions_given_trades_of_any_duration_then_they_are_counted_once_the_longest_of_their_day_are_known(
    hours: float, waits: int
) -> None:
    found = permissions(shadow({LONG: 0.0}, hours=hours))

    # The longest horizon is seven days. 09:00 less 204 hours is in the ninth day before: its two trades and those after it are not counted.
    assert found[LONG].trades == 600 - 2 * waits


@settings(max_examples=8, deadline=None)
@given(days=st.integers(5, 250))
def test_permissions_never_depend_on_later_closes(days: int) -> None:
    now = NOW - timedelta(days=days)
    trades = shadow(dict.fromkeys(NODES, 0.001), n=300)
    known = trades[trades["known_at"] <= pd.Timestamp(now)]

    assert permissions(trades, now=now) == permissions(known, now=now)


def test_permissions_given_other_feeders_then_ignores_them() -> None:
    trades = shadow({LONG: 0.003})
    others = shadow({("rsi", "long"): 0.05})

    assert permissions(pd.concat([trades, others], ignore_index=True))[LONG] == permissions(trades)[LONG]
