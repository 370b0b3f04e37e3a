from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.learning.feeders.calibration import LEAST_SLOPE, Calibration, fit_calibration, log_loss


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), slope=st.floats(0.3, 2.5), offset=st.floats(-1.0, 1.0))
def test_fit_calibration_given_planted_numbers_then_finds_them(seed: int, slope: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.1, 0.9, 40_000)
    truth = Calibration(slope=slope, offset=offset).probability(score)
    label = (rng.random(40_000) < truth).astype(np.float64)

    found = fit_calibration(score, label, np.ones(40_000))

    assert np.abs(found.probability(score) - truth).max() < 0.03


def test_fit_calibration_given_scores_that_mislead_then_stays_at_the_base_rate_and_keeps_the_order() -> None:
    rng = np.random.default_rng(1)
    score = rng.uniform(0.2, 0.8, 5_000)
    label = (rng.random(5_000) > score).astype(np.float64)

    found = fit_calibration(score, label, np.ones(5_000))
    probability = found.probability(np.sort(score))

    assert found.slope == LEAST_SLOPE
    assert (np.diff(probability) >= 0.0).all()
    assert np.abs(probability - label.mean()).max() < 0.02


def test_fit_calibration_given_one_label_only_then_refuses() -> None:
    with pytest.raises(ValueError, match="both labels"):
        fit_calibration(np.full(9, 0.5), np.ones(9), np.ones(9))


def test_log_loss_given_even_odds_then_is_ln_2() -> None:
    assert log_loss(np.full(4, 0.5), np.array([0.0, 1.0, 1.0, 0.0]), np.ones(4)) == pytest.approx(np.log(2.0))


_FIT = """
import numpy as np
from bot3.learning.feeders.calibration import fit_calibration
random = np.random.default_rng(3)
score = random.uniform(0.3, 0.7, 12_000)
label = (random.random(12_000) < score).astype(float)
print(repr(fit_calibration(score, label, random.random(12_000))))
"""


def test_fit_calibration_given_other_numbers_of_threads_then_is_the_same_to_the_last_bit() -> None:
    fits = [
        subprocess.run(
            [sys.executable, "-c", _FIT], env={**os.environ, "OPENBLAS_NUM_THREADS": threads}, capture_output=True, text=True, check=True
        )
        for threads in ("1", "2")
    ]

    assert fits[0].stdout == fits[1].stdout != ""
