"""Planted regimes: fixed, and as hard as they were calibrated to be."""

from __future__ import annotations

import numpy as np

from benchmarks.regime_world import HOURS_A_YEAR, TUNING_SEEDS, make_regime_world, worlds_digest


def test_worlds_given_their_seeds_then_are_the_ones_that_detectors_were_tuned_on() -> None:
    assert worlds_digest(TUNING_SEEDS[:2]) == "7e374510eab5849afb69f049"


def test_filter_with_true_parameters_then_recognises_most_hours_of_every_regime() -> None:
    worlds = [make_regime_world(seed) for seed in TUNING_SEEDS]

    known = np.concatenate([world.filtered[HOURS_A_YEAR:].argmax(axis=1) for world in worlds])
    truth = np.concatenate([world.regime[HOURS_A_YEAR:] for world in worlds])

    assert 0.82 <= np.mean([(known[truth == regime] == regime).mean() for regime in range(4)]) <= 0.87
    np.testing.assert_allclose(sum(world.filtered.sum(axis=1) for world in worlds), len(worlds))


def test_world_given_its_seed_then_switches_about_twice_in_thirty_days() -> None:
    switches = [np.count_nonzero(np.diff(make_regime_world(seed).regime)) for seed in TUNING_SEEDS]

    assert 1.5 <= np.mean(switches) / (2 * HOURS_A_YEAR / 720) <= 2.5
