from __future__ import annotations

import numpy as np
import pytest

from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.surface_basis import smooth_basis
from bot3.learning.pooling.surface_model import fit_model
from bot3.learning.pooling.surfaces import Surfaces, labels_of, posterior_surfaces, refreshed

SHAPE = (8, 8)
GROUPS, PERIODS = 40, 6
STOPS, TARGETS = np.meshgrid(np.linspace(-1.0, 1.0, 8), np.linspace(-1.0, 1.0, 8), indexing="ij")
PRIOR = -0.001 * np.ones(SHAPE)
PAIR, DIRECTION, BIN = np.arange(GROUPS) // 10, np.arange(GROUPS) // 5 % 2, np.arange(GROUPS) % 5


def truth(*, spread: float, seed: int) -> np.ndarray:
    """Hills in the surface whose top differs by pair and a little by group."""
    rng = np.random.default_rng(seed)
    top = spread * (rng.normal(0.0, 0.5, (4, 2))[PAIR] + rng.normal(0.0, 0.2, (GROUPS, 2)))
    away = (STOPS - top[:, 0, None, None]) ** 2 + (TARGETS - top[:, 1, None, None]) ** 2
    return 0.002 - 0.002 * away


def evidence_of(surfaces: np.ndarray, *, n: np.ndarray, seed: int, shared: float = 0.0) -> Evidence:
    """Trades whose noise is common to neighbouring settings, `n` of a group each period."""
    rng = np.random.default_rng(seed)
    smooth = smooth_basis(SHAPE, degrees=3) * 8.0 / 3.0
    noise = rng.normal(0.0, 0.02, (GROUPS, PERIODS, len(smooth))) * np.sqrt(n)[:, None, None]
    market = shared * rng.normal(size=(2, PERIODS, len(smooth)))[DIRECTION] * n[:, None, None]
    totals = surfaces[:, None] * n[:, None, None, None] + ((noise + market) @ smooth).reshape(GROUPS, PERIODS, *SHAPE)
    counts = np.tile(n[:, None], (1, PERIODS)).astype(np.float64)
    return Evidence(n=counts, totals=totals, pair=PAIR, direction=DIRECTION, leverage_bin=BIN)


def learned(evidence: Evidence) -> Surfaces:
    return posterior_surfaces(evidence, fit_model(evidence, prior=PRIOR, strength=200.0, deviation=0.03))


def regret(surfaces: np.ndarray, cells: np.ndarray) -> float:
    best = surfaces.reshape(GROUPS, -1).max(axis=1)
    return float((best - surfaces[np.arange(GROUPS), cells[:, 0], cells[:, 1]]).mean())


def test_labels_given_groups_and_rows_above_them_then_are_by_level_and_any_stays_any() -> None:
    pair, direction, leverage_bin = np.array([0, 2, 3, -1]), np.array([1, 0, -1, 1]), np.array([4, -1, 0, 1])
    evidence = Evidence(n=np.zeros((4, 1)), totals=np.zeros((4, 1, 2, 2)), pair=pair, direction=direction, leverage_bin=leverage_bin)

    assert labels_of(evidence).tolist() == [
        [0, 0, 0, 0],
        [1, 0, -1, 1],
        [0, 2, 3, -1],
        [1, 4, -1, -1],
        [4, -1, 0, 1],
        [0, 0, 0, 0],
        [1, 0, -1, 1],
    ]


def test_surfaces_given_pairs_that_differ_then_lose_less_than_one_setting_for_all_and_than_each_group_alone() -> None:
    lost = []
    for seed in range(10):
        planted = truth(spread=1.0, seed=seed)
        evidence = evidence_of(planted, n=np.full(GROUPS, 20.0), seed=100 + seed)
        alone = evidence.totals.sum(axis=1) / evidence.n.sum(axis=1)[:, None, None]
        together = np.broadcast_to(evidence.totals.sum(axis=(0, 1)), alone.shape)
        rivals = [np.stack(np.unravel_index(means.reshape(GROUPS, -1).argmax(axis=1), SHAPE), axis=1) for means in (alone, together)]
        lost.append([regret(planted, cells) for cells in (learned(evidence).best(), *rivals)])

    ours, each_alone, one_for_all = np.mean(lost, axis=0)
    assert ours < 0.7 * min(each_alone, one_for_all)


def test_surfaces_given_groups_that_do_not_differ_then_show_all_the_same_choice() -> None:
    planted = truth(spread=0.0, seed=3)

    cells = learned(evidence_of(planted, n=np.full(GROUPS, 50.0), seed=4)).best()

    assert regret(planted, cells) < 0.0002


def test_posterior_given_effects_that_are_not_normal_then_the_chosen_setting_is_told_without_optimism() -> None:
    errors, deviations, corrections = [], [], []
    for seed in range(20):
        planted = truth(spread=1.0, seed=seed)  # every hill is equally high, which no normal prior expects
        surfaces = learned(evidence_of(planted, n=np.full(GROUPS, 100.0), seed=100 + seed))
        for group, (stop, target) in enumerate(surfaces.best().tolist()):
            told = surfaces.posterior(group, (stop, target))
            errors.append(told.mean - planted[group, stop, target])
            deviations.append(told.deviation)
        corrections.append(surfaces.model.optimism)

    assert abs(np.mean(errors)) < 0.0001
    assert np.mean(corrections) * np.mean(deviations) > 0.00015  # what it would have been without the correction
    assert 0.7 < np.std(errors) / np.mean(deviations) < 1.2


def test_posterior_given_a_market_that_a_direction_shared_then_is_less_certain() -> None:
    planted, n = truth(spread=1.0, seed=5), np.full(GROUPS, 100.0)
    calm, moved = (learned(evidence_of(planted, n=n, seed=6, shared=shared)) for shared in (0.0, 0.01))

    assert moved.posterior(0, (4, 4)).deviation > 1.5 * calm.posterior(0, (4, 4)).deviation


def test_surfaces_given_a_group_without_trades_then_show_what_its_relatives_say() -> None:
    planted = truth(spread=1.0, seed=7)
    n = np.full(GROUPS, 400.0)
    n[3] = 0.0

    surfaces = learned(evidence_of(planted, n=n, seed=8))

    assert surfaces.own_share(3, (4, 4)) == 0.0
    assert 0.0 < surfaces.own_share(4, (4, 4)) <= 1.0
    assert surfaces.posterior(3, (4, 4)).deviation > surfaces.posterior(4, (4, 4)).deviation


def test_best_given_settings_that_are_not_allowed_then_stays_off_them() -> None:
    surfaces = learned(evidence_of(truth(spread=1.0, seed=9), n=np.full(GROUPS, 50.0), seed=10))
    allowed = np.zeros((GROUPS, *SHAPE), dtype=np.bool_)
    allowed[:, :2, 6:] = True

    cells = surfaces.best(lambda mean: np.where(allowed, mean, -np.inf))

    assert (cells[:, 0] < 2).all()
    assert (cells[:, 1] >= 6).all()


@pytest.mark.parametrize("trades", [0.0, 1.0, 3.0])
def test_surfaces_given_hardly_a_trade_then_believe_little_and_are_not_sure(trades: float) -> None:
    totals = np.full((1, 1, *SHAPE), 0.05 * trades)
    one = np.zeros(1, dtype=np.int64)
    evidence = Evidence(n=np.full((1, 1), trades), totals=totals, pair=one, direction=one, leverage_bin=one)

    told = learned(evidence).posterior(0, (4, 4))

    assert told.mean < 0.01
    assert told.lower < 0.0


def test_surfaces_given_only_touched_groups_then_are_those_of_the_full_run_at_the_same_model() -> None:
    evidence = evidence_of(truth(spread=1.0, seed=13), n=np.full(GROUPS, 30.0), seed=14)
    model = fit_model(evidence, prior=PRIOR, strength=200.0, deviation=0.03)
    rows = np.array([3, 17])
    touched = Evidence(n=evidence.n[rows], totals=evidence.totals[rows], pair=PAIR[rows], direction=DIRECTION[rows], leverage_bin=BIN[rows])

    full, some = posterior_surfaces(evidence, model), posterior_surfaces(touched, model)

    assert np.abs(some.mean - full.mean[rows]).max() < 1e-12
    assert some.posterior(1, (2, 3)).deviation == pytest.approx(full.posterior(17, (2, 3)).deviation, rel=1e-9)


def test_refreshed_given_the_same_trades_and_weights_then_changes_nothing() -> None:
    evidence = evidence_of(truth(spread=1.0, seed=15), n=np.full(GROUPS, 30.0), seed=16)
    model = fit_model(evidence, prior=PRIOR, strength=200.0, deviation=0.03)

    again = refreshed(evidence, model, weights=model.weights)

    assert np.array_equal(again.effects.mean, model.effects.mean)


def test_surfaces_given_a_row_above_the_cells_then_tell_what_its_cells_share_with_less_certainty() -> None:
    evidence = evidence_of(truth(spread=1.0, seed=17), n=np.full(GROUPS, 400.0), seed=18)
    model = fit_model(evidence, prior=PRIOR, strength=200.0, deviation=0.03)
    above = Evidence(
        n=np.zeros((3, PERIODS)),
        totals=np.zeros((3, PERIODS, *SHAPE)),
        pair=np.array([1, -1, -1]),
        direction=np.array([0, 0, -1]),
        leverage_bin=np.array([-1, -1, -1]),
    )

    cells, rows = posterior_surfaces(evidence, model), posterior_surfaces(above, model)

    members = (PAIR == 1) & (DIRECTION == 0)
    assert (
        np.abs(rows.mean[0] - cells.mean[members].mean(axis=0)).max() < 0.5 * np.abs(rows.mean[2] - cells.mean[members].mean(axis=0)).max()
    )
    deviations = [rows.posterior(row, (4, 4)).deviation for row in range(3)]
    assert cells.posterior(10, (4, 4)).deviation < deviations[0] < deviations[1] < deviations[2]
