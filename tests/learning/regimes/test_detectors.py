"""Detectors: the one in production and its rivals of the benchmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.regimes import RIVALS
from bot3.learning.regimes.detectors import WARM_UP_HOURS, RegimeDetector, regime_states, with_hysteresis
from bot3.learning.regimes.hidden_markov import HiddenMarkovDetector
from bot3.learning.regimes.index import hourly_index
from bot3.market.regimes import Regime
from bot3.usecases.learning.detect_regimes import REGIME_DETECTOR
from tests.learning.worlds import NOW, candle_frame

DETECTORS = {REGIME_DETECTOR.version: REGIME_DETECTOR, **RIVALS}
HOURS = 1_600
"""Long enough for the fits after 72, 168, 336, 720 and 1,440 hours."""
BULL, BEAR, SIDEWAYS, VOLATILE = range(4)


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(WARM_UP_HOURS + 1, HOURS - 1))
@example(seed=1, cut=720)
@example(seed=2, cut=1_440)
def test_detector_given_another_future_then_the_past_is_the_same(detector: RegimeDetector, seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    one = np.cumsum(rng.normal(0.0, 0.01, HOURS))
    other = np.concatenate([one[:cut], one[cut - 1] + np.cumsum(rng.normal(0.002, 0.05, HOURS - cut))])

    whole, changed, ended = (detector.detect(path) for path in (one, other, one[:cut]))

    assert not np.array_equal(whole.probabilities[cut:], changed.probabilities[cut:])
    for field in ("probabilities", "regime", "since"):
        np.testing.assert_array_equal(getattr(whole, field)[:cut], getattr(changed, field)[:cut])
        np.testing.assert_array_equal(getattr(whole, field)[:cut], getattr(ended, field))


@pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.0, 0.2), hours=st.integers(1, 800))
def test_detector_given_any_index_then_its_results_are_valid(detector: RegimeDetector, seed: int, size: float, hours: int) -> None:
    path = np.cumsum(np.random.default_rng(seed).standard_t(2.0, hours) * size)

    found = detector.detect(path)

    np.testing.assert_allclose(found.probabilities.sum(axis=1), np.ones(hours))
    assert (found.probabilities >= 0.0).all()
    assert np.isin(found.regime, range(4)).all()
    assert (found.since <= np.arange(hours)).all()
    np.testing.assert_array_equal(found.regime[found.since], found.regime)


def test_detector_given_the_same_moves_on_another_scale_then_finds_the_same_regimes() -> None:
    path = np.cumsum(np.random.default_rng(5).standard_t(4.0, HOURS) * 0.004)

    one, other = (REGIME_DETECTOR.detect(path * scale) for scale in (1.0, 8.0))

    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_detector_given_the_mirrored_market_then_bull_and_bear_change_places(seed: int) -> None:
    path = np.cumsum(np.random.default_rng(seed).standard_t(4.0, 900) * 0.005)

    one, mirrored = (REGIME_DETECTOR.detect(sign * path) for sign in (1.0, -1.0))

    np.testing.assert_allclose(one.probabilities, mirrored.probabilities[:, [BEAR, BULL, SIDEWAYS, VOLATILE]], atol=1e-9)


@pytest.mark.parametrize(("drift", "regime"), [(0.0012, BULL), (-0.0012, BEAR)])
def test_detector_given_a_trend_of_the_same_volatility_then_finds_it(drift: float, regime: int) -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(0.0, 0.0045, 24 * 40), rng.normal(0.0, 0.0045, 24 * 20)

    found = REGIME_DETECTOR.detect(np.cumsum(np.concatenate([before, after - after.mean() + drift])))

    assert (found.regime[-24 * 15 :] == regime).mean() > 0.6


def test_detector_given_a_market_that_calms_down_then_calls_it_sideways() -> None:
    rng = np.random.default_rng(6)
    lively, calm = rng.normal(0.0, 0.006, 24 * 40), rng.normal(0.0, 0.003, 24 * 20)

    found = REGIME_DETECTOR.detect(np.cumsum(np.concatenate([lively, calm - calm.mean()])))

    assert (found.regime[-24 * 15 :] == SIDEWAYS).mean() > 0.6


def test_detector_given_a_burst_of_volatility_then_calls_it_volatile() -> None:
    rng = np.random.default_rng(4)
    calm, wild = rng.normal(0.0, 0.003, 24 * 40), rng.normal(0.0, 0.02, 72)

    found = REGIME_DETECTOR.detect(np.cumsum(np.concatenate([calm, wild])))

    assert found.regime[-1] == VOLATILE


def test_hysteresis_given_a_short_spell_then_the_regime_stays_and_a_long_one_replaces_it() -> None:
    sideways, bull = [0.1, 0.1, 0.7, 0.1], [0.8, 0.1, 0.05, 0.05]
    probabilities = np.array([sideways] * 2 + [bull] * 2 + [sideways] + [bull] * 4)

    found = with_hysteresis(probabilities, switch_at=0.7, switch_hours=3)

    assert found.regime.tolist() == [SIDEWAYS] * 7 + [BULL] * 2
    assert found.since.tolist() == [0] * 7 + [7] * 2


def test_regime_states_name_their_detector_and_the_hour_they_were_known() -> None:
    states = regime_states(hourly_index({"A": candle_frame(seed=1)}), detector=REGIME_DETECTOR, computed_at=NOW)

    assert len(states) == 20 * 24 - WARM_UP_HOURS
    assert all(sum(state.probabilities) == pytest.approx(1.0) for state in states)
    assert all(state.since <= state.known_at for state in states)
    assert (states[-1].known_at, states[-1].version) == (NOW, REGIME_DETECTOR.version)
    assert states[-1].regime in Regime


def test_version_given_other_settings_then_differs_under_the_same_name() -> None:
    one = HiddenMarkovDetector()

    assert one.version == HiddenMarkovDetector().version
    assert one.version != replace(one, switch_hours=7).version
    assert one.version[:4] == replace(one, switch_hours=7).version[:4] == "hmm-"
