from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from benchmarks.planted import HETEROGENEITIES, choice_figures, run
from benchmarks.planted_bank import Bank, make_bank
from benchmarks.planted_methods import METHODS, Choice, default, one_global_setting, take_sample
from benchmarks.planted_nulls import clopper_pearson_upper, rival_gates
from benchmarks.planted_scores import Scores, score_choice, score_methods
from benchmarks.planted_world import CELLS, SIZES, make_world


@cache
def bank() -> Bank:
    return make_bank(paths=10_000)


@cache
def scores() -> dict[float, dict[str, Scores]]:
    return {h: score_methods(bank(), seeds=range(500, 504), heterogeneity=h) for h in HETEROGENEITIES}


def test_score_given_the_oracle_then_has_no_regret_and_no_optimism() -> None:
    sample = take_sample(bank(), make_world(bank(), seed=3))
    utility = sample.world.utility.reshape(CELLS, -1)
    stop, target = np.divmod(utility.argmax(axis=1), bank().grid.shape[1])

    found = score_choice(sample, Choice(stop=stop, target=target, reported=utility.max(axis=1)))

    assert np.abs(found[:2]).max() < 1e-9
    assert np.isnan(found[4]).all()  # it tells no interval


def test_score_given_the_default_then_is_worse_than_the_default_nowhere() -> None:
    sample = take_sample(bank(), make_world(bank(), seed=3))

    assert score_choice(sample, default(sample))[2].max() == 0.0


def test_choices_given_any_method_then_stay_on_the_grid_and_report_numbers() -> None:
    sample = take_sample(bank(), make_world(bank(), seed=4))

    for name, method in METHODS.items():
        choice = method(sample)
        assert ((choice.stop >= 0) & (choice.stop < 32) & (choice.target >= 0) & (choice.target < 32)).all(), name
        assert np.isfinite(choice.reported).all(), name


def test_ours_given_worlds_with_differences_then_loses_a_fraction_of_what_the_naive_rule_does() -> None:
    ratios = choice_figures(scores())["regret_ratio_by_heterogeneity"]
    assert isinstance(ratios, dict)

    for heterogeneity in ("1", "1.8"):
        for size, ratio in ratios[heterogeneity].items():
            assert ratio <= (0.40 if int(size) <= 100 else 0.25), (heterogeneity, size)


@pytest.mark.parametrize("heterogeneity", HETEROGENEITIES)
def test_ours_by_utility_given_any_world_then_loses_less_growth_than_every_method_that_chooses_by_the_mean(heterogeneity: float) -> None:
    growth = {name: of.growth.mean() for name, of in scores()[heterogeneity].items()}

    assert min(growth, key=lambda name: growth[name]) == "ours_by_utility"
    assert min(growth.values()) >= 0.0


@pytest.mark.parametrize("heterogeneity", HETEROGENEITIES[1:])
def test_ours_given_worlds_with_differences_then_loses_less_than_every_other_method(heterogeneity: float) -> None:
    means = {name: of.regret.mean() for name, of in scores()[heterogeneity].items()}

    assert min(means, key=lambda name: means[name]) == "ours"


def test_ours_given_no_differences_then_is_told_apart_from_one_setting_for_all_by_little() -> None:
    assert scores()[0.0]["ours"].regret.mean() <= 0.3


def test_ours_given_any_world_then_reports_what_is_true_within_a_few_bps() -> None:
    optimism = np.mean([of["ours"].optimism.mean() for of in scores().values()])

    assert abs(optimism) < 3.0
    assert np.mean([of["naive_best_average_min_5"].optimism[:, 3].mean() for of in scores().values()]) > 50.0


def test_ours_given_any_world_then_nine_intervals_in_ten_or_a_little_fewer_hold_the_truth() -> None:
    covered = np.mean([of["ours"].covered.mean() for of in scores().values()])

    assert 0.8 < covered < 1.0


def test_rival_gates_given_worlds_without_skill_then_promote_in_all_of_them() -> None:
    assert rival_gates(bank(), worlds=3)["best_realised_average_above_0"]["any_wrong"] == 1.0


def test_clopper_pearson_given_known_counts_then_is_the_tabled_bound() -> None:
    assert clopper_pearson_upper(0, 1000) == pytest.approx(0.002991, abs=1e-5)
    assert clopper_pearson_upper(5, 5) == 1.0


def test_one_global_setting_given_any_world_then_is_the_same_everywhere() -> None:
    choice = one_global_setting(take_sample(bank(), make_world(bank(), seed=5)))

    assert len(set(zip(choice.stop.tolist(), choice.target.tolist(), strict=True))) == 1


@pytest.mark.slow
def test_run_given_a_small_size_then_its_object_holds_every_figure() -> None:
    result = run(worlds=2, nulls=1, paths=5_000)

    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert set(result["regret_ratio"]) == {str(size) for size in SIZES}  # type: ignore[call-overload]
    for key in (
        "regret_bps",
        "optimism_bps",
        "regret_bps_no_difference",
        "null_wrong_upper",
        "null_wrong_upper_skewed",
        "power",
        "worse_than_default_share",
        "rivals",
    ):
        assert result[key]
