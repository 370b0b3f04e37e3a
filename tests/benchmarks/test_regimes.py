"""The comparison of regime detectors, and its figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.regime_returns import FIRST_DAYS, judge_returns, log_scores
from benchmarks.regime_world import HOURS_A_YEAR, JUDGING_SEEDS, TUNING_SEEDS, RegimeWorld, make_regime_world
from benchmarks.regimes import RIVALS, labels_figures, planted_figures, run
from bot3.usecases.learning.detect_regimes import REGIME_DETECTOR


def test_detector_in_production_then_reaches_its_figures_and_beats_every_rival_on_planted_regimes() -> None:
    found = run(worlds=3)

    assert not set(TUNING_SEEDS) & set(JUDGING_SEEDS)
    assert found["balanced_accuracy"] >= 0.60
    assert found["switches"] <= 5.0
    assert set(found["rivals"]) == set(RIVALS)
    assert found["balanced_accuracy"] > max(rival["balanced_accuracy"] for rival in found["rivals"].values())
    assert found["balanced_accuracy"] < found["ceiling"]["balanced_accuracy"]


def test_figures_given_known_regimes_then_count_hours_switches_and_delays() -> None:
    truth = np.repeat([0, 1, 2, 3], HOURS_A_YEAR // 4)
    world = RegimeWorld(log_index=np.zeros(0), regime=np.tile(truth, 2), filtered=np.zeros((0, 4)))
    late = np.tile(np.concatenate(([0] * 100, truth[:-100])), 2)

    right, delayed, deaf = (labels_figures([labels], [world]) for labels in (world.regime, late, np.full(2 * HOURS_A_YEAR, 2)))

    assert (right["balanced_accuracy"], right["delay_hours"], right["never"]) == (1.0, 0.0, 0.0)
    assert delayed["recall"] == {"bull_trending": 1.0} | dict.fromkeys(("bear_trending", "sideways", "volatile"), round(1 - 100 / 2190, 3))
    assert delayed["delay_hours"] == 100.0
    assert delayed["switches"] == round(3 / (HOURS_A_YEAR / 720), 2)
    assert (deaf["balanced_accuracy"], deaf["switches"], deaf["never"]) == (0.25, 0.0, 0.75)


def test_log_score_given_regimes_that_tell_volatility_then_gains_and_a_later_move_changes_no_earlier_score() -> None:
    rng = np.random.default_rng(2)
    wild = np.repeat(rng.random(60) < 0.5, 10)
    moves = rng.normal(0.0, np.where(wild, 0.06, 0.01))
    weights = np.column_stack([wild, ~wild]).astype(np.float64)

    informed, alone = log_scores(weights, moves), log_scores(np.ones((600, 1)), moves)
    changed = log_scores(weights, np.concatenate([moves[:400], moves[400:] * 3.0]))

    assert informed.mean() - alone.mean() > 0.3
    np.testing.assert_array_equal(informed[: 400 - FIRST_DAYS], changed[: 400 - FIRST_DAYS])
    assert not np.isclose(informed[-1], changed[-1])


def test_returns_given_recorded_candles_then_every_detector_is_judged_on_the_same_days(tmp_path: Path) -> None:
    close = 100.0 * np.exp(make_regime_world(1).log_index[: 24 * 200])
    times = pd.date_range("2024-01-01", periods=len(close), freq="h", tz="UTC").as_unit("us")
    pd.DataFrame({"date": times, "close": close}).to_feather(tmp_path / "BTC_USDT_USDT-1h-futures.feather")

    found = judge_returns(tmp_path, {REGIME_DETECTOR.version: REGIME_DETECTOR, **RIVALS})

    assert found["days"] == 200 - 3 - 1 - FIRST_DAYS
    assert found[REGIME_DETECTOR.version]["behind_first"] == (0.0, 0.0)
    assert [sum(found[name]["shares"].values()) for name in RIVALS] == pytest.approx([1.0] * len(RIVALS), abs=0.005)


def test_returns_given_no_candles_then_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="1h candles"):
        judge_returns(tmp_path, {})


def test_planted_figures_given_one_world_then_have_no_standard_error() -> None:
    assert planted_figures(RIVALS["thresholds"], [make_regime_world(1)])["standard_error"] is None
