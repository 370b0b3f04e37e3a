from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.feeders.permissions import NODES
from bot3.learning.feeders.scores import ScoreSettings, feeder_scores
from bot3.trading.recommendations import FeederScore, FeederTier
from bot3.trading.signals import FEEDER_IDS

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def shadow(edges: dict[str, float], *, n: int = 300, seed: int = 0, regime_edge: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frames = []
    for feeder, edge in edges.items():
        opened = pd.Series(pd.date_range(NOW - timedelta(days=100), periods=n, freq="7h")).astype("datetime64[us, UTC]")
        regimes = np.array(["bull_trending", "bear_trending"])[rng.integers(2, size=n)]
        moves = rng.normal(edge, 0.02, n) + np.where(regimes == "bull_trending", regime_edge, -regime_edge)
        closed = opened + pd.Timedelta(hours=2)
        times = {"open_date": opened, "close_date": closed, "known_at": closed}
        entry = {"is_short": False, "leverage": 1.0, "sigma": 0.02}
        frames.append(pd.DataFrame({"feeder_id": feeder, "regime": regimes, **times, **entry, "close_move": moves}))
    return pd.concat(frames, ignore_index=True)


def overall(scores: tuple[FeederScore, ...]) -> dict[str, FeederScore]:
    return {score.feeder_id: score for score in scores if score.regime == "*"}


def test_feeder_scores_given_one_with_skill_then_it_trades_and_ranks_first() -> None:
    edges = dict.fromkeys(FEEDER_IDS, -0.001) | {"F04": 0.01}

    scores = overall(feeder_scores(shadow(edges), now=NOW, settings=ScoreSettings(), open_nodes=NODES))

    assert (scores["F04"].tier, scores["F04"].rank) == (FeederTier.TRADE, 1)
    assert sorted(score.rank for score in scores.values()) == list(range(1, 11))


def test_feeder_scores_given_no_skill_anywhere_then_none_trades_in_almost_every_world() -> None:
    worlds = [shadow(dict.fromkeys(FEEDER_IDS, -0.0012), seed=seed) for seed in range(20)]

    wrong = [any(s.tier is FeederTier.TRADE for s in feeder_scores(w, now=NOW, settings=ScoreSettings(), open_nodes=NODES)) for w in worlds]

    assert sum(wrong) <= 1


def test_feeder_scores_given_evidence_in_some_directions_then_a_feeder_without_any_is_a_probe_at_most() -> None:
    trades = shadow(dict.fromkeys(FEEDER_IDS, -0.001) | {"F04": 0.01, "F05": 0.01})

    found = feeder_scores(trades, now=NOW, settings=ScoreSettings(), open_nodes={("F04", "short"), ("F01", "long"), ("F01", "short")})

    scores = overall(found)
    assert [scores[feeder].open_directions for feeder in ("F01", "F04", "F05")] == ["long short", "short", ""]
    assert (scores["F04"].tier, scores["F05"].tier) == (FeederTier.TRADE, FeederTier.PROBE)
    assert scores["F05"].lower_bound > 0.0
    assert scores["F01"].tier is not FeederTier.TRADE
    assert {score.open_directions for score in found if score.feeder_id == "F04"} == {"short"}


def test_feeder_scores_given_no_trades_then_all_share_the_first_rank() -> None:
    scores = feeder_scores(shadow({"F01": 0.0}).iloc[:0], now=NOW, settings=ScoreSettings(), open_nodes=())

    assert {score.rank for score in scores} == {1}


def test_feeder_scores_given_no_trades_then_every_feeder_is_a_probe() -> None:
    scores = feeder_scores(shadow({"F01": 0.0}).iloc[:0], now=NOW, settings=ScoreSettings(), open_nodes=NODES)

    assert {score.tier for score in scores} == {FeederTier.PROBE}
    assert all(score.mean_move is None and score.win_rate_window is None for score in scores)


@settings(max_examples=10, deadline=None)
@given(days=st.integers(5, 80))
def test_feeder_scores_never_see_later_closes(days: int) -> None:
    now = NOW - timedelta(days=days)
    frame = shadow(dict.fromkeys(FEEDER_IDS, 0.0), n=100)
    known = frame[frame["known_at"] <= pd.Timestamp(now)]

    assert feeder_scores(frame, now=now, settings=ScoreSettings(), open_nodes=NODES) == feeder_scores(
        known, now=now, settings=ScoreSettings(), open_nodes=NODES
    )


def test_feeder_scores_given_regimes_that_matter_then_they_get_weight() -> None:
    frame = shadow(dict.fromkeys(FEEDER_IDS, 0.0), regime_edge=0.01)

    scores = {(s.feeder_id, s.regime): s for s in feeder_scores(frame, now=NOW, settings=ScoreSettings(), open_nodes=NODES)}

    assert scores["F01", "bull_trending"].own_share > 0.5
    assert scores["F01", "bull_trending"].expectancy > 0.0 > scores["F01", "bear_trending"].expectancy


SKILL = dict.fromkeys(FEEDER_IDS, -0.001) | {"F04": 0.01}
NO_SKILL = dict.fromkeys(FEEDER_IDS, -0.001)


def tiers_after(edges: dict[str, float], *, before: dict[str, float], hours: float) -> tuple[FeederTier, FeederTier]:
    """Return F04's tier at noon of one day, and some hours later, when its shadow trades are others."""
    noon = NOW + timedelta(hours=12)
    first = feeder_scores(shadow(before), now=noon, settings=ScoreSettings(), open_nodes=NODES)
    second = feeder_scores(shadow(edges), now=noon + timedelta(hours=hours), settings=ScoreSettings(), open_nodes=NODES, previous=first)
    return overall(first)["F04"].tier, overall(second)["F04"].tier


@pytest.mark.parametrize(("hours", "tier"), [(0.0, "shadow"), (11.9, "shadow"), (12.0, "trade"), (36.0, "trade")])
def test_feeder_scores_given_a_better_bound_then_raise_the_tier_on_the_next_day_and_not_before(hours: float, tier: str) -> None:
    assert tiers_after(SKILL, before=NO_SKILL, hours=hours) == (FeederTier.SHADOW, FeederTier(tier))


@pytest.mark.parametrize("hours", [0.1, 20.0])
def test_feeder_scores_given_a_worse_bound_then_lower_the_tier_at_once(hours: float) -> None:
    assert tiers_after(NO_SKILL, before=SKILL, hours=hours) == (FeederTier.TRADE, FeederTier.SHADOW)
