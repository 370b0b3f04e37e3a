"""Trained feeders: what they learn from planted markets, what they say without information, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pytest

from bot3.errors import LearningError, ModelError
from bot3.learning.feeders.calibration import Slope
from bot3.learning.feeders.feature_panel import FeaturePanel, hourly_panel
from bot3.learning.feeders.models import FeederModel, Information, read_model
from bot3.learning.feeders.specs import find_feeder
from bot3.learning.feeders.training import THRESHOLDS, TrainedFeeder, TrainingSettings, train_feeder_model
from bot3.market.columns import CandleColumns
from bot3.market.instants import instant_of
from tests.market.hourly_walks import FIRST_US, HOUR_US, funding_walk, hourly_walk

COUNT = 3_000
START = instant_of(FIRST_US)
UNTIL = START + timedelta(hours=COUNT - 200)
SMALL = TrainingSettings(rounds=10, most_rows=3_000, least_rows=100)
PAIRS = tuple(f"P{i}/USDT:USDT" for i in range(4))


def drifting(seed: int, drift: float) -> CandleColumns:
    """Return a walk with a drift that changes its sign every 25 days: `drift` a standard deviation of an hour."""
    walk = hourly_walk(COUNT, seed=seed)
    factor = np.exp(np.cumsum(0.006 * drift * np.sign(np.sin(np.arange(COUNT) * np.pi / 600.0 + seed))))
    before = np.concatenate(([1.0], factor[:-1]))
    return replace(
        walk,
        open=walk.open * before,
        high=walk.high * np.maximum(before, factor),
        low=walk.low * np.minimum(before, factor),
        close=walk.close * factor,
    )


@cache
def panel_of(drift: float, count: int = COUNT, seed: int = 1) -> FeaturePanel:
    columns = {pair: drifting(seed + i, drift) for i, pair in enumerate(PAIRS)}
    columns = {
        pair: CandleColumns(**{n: getattr(c, n)[:count] for n in ("open_us", "open", "high", "low", "close", "volume")})
        for pair, c in columns.items()
    }
    return hourly_panel(columns, {pair: funding_walk(COUNT, seed=i) for i, pair in enumerate(PAIRS)})


def train(feeder_id: str, panel: FeaturePanel, **changes: object) -> TrainedFeeder:
    return train_feeder_model(find_feeder(feeder_id), panel, start=START, until=UNTIL, settings=replace(SMALL, **changes))  # type: ignore[arg-type]


def calls_of(model: FeederModel, panel: FeaturePanel) -> tuple[np.ndarray, np.ndarray]:
    calls = model.calls(np.vstack([pair.features for pair in panel.pairs]))
    return calls.is_called, calls.net_move


@pytest.mark.parametrize("feeder_id", ["F01", "F09"])
def test_training_given_another_future_then_makes_the_same_model(feeder_id: str) -> None:
    assert train(feeder_id, panel_of(0.2, COUNT - 150)).text == train(feeder_id, panel_of(0.2)).text


def test_rule_given_a_market_that_trends_then_is_worth_something_in_both_directions_and_calls() -> None:
    panel = panel_of(0.3)
    trained = train("F05", panel)
    called, net = calls_of(read_model(trained.text), panel)

    assert min(trained.header.long.expectancy_sigma, trained.header.short.expectancy_sigma) > 0.03
    assert called.sum() > 50
    assert net[called].min() > 0.0


def test_rule_given_no_out_of_fold_information_then_follows_the_rule_alone() -> None:
    trained = train("F05", panel_of(0.3), least_rows=100_000)

    assert trained.header.information is Information.RULE
    assert calls_of(read_model(trained.text), panel_of(0.3))[0].sum() > 50


def test_forecast_given_random_walks_then_says_no_information_and_makes_no_calls() -> None:
    found = [train("F09", panel_of(0.0, seed=seed)) for seed in (1, 11, 21)]

    silent = [each for each in found if each.header.information is Information.NONE]
    assert len(silent) >= 2
    for each in silent:
        assert not calls_of(read_model(each.text), panel_of(0.0))[0].any()


def test_forecast_given_a_market_that_trends_then_is_informative_and_calls_only_above_cost_and_threshold() -> None:
    panel = panel_of(0.5)
    trained = train("F09", panel, rounds=40)
    called, net = calls_of(read_model(trained.text), panel)

    assert trained.header.information is Information.FORECAST
    assert called.sum() > 50
    assert net[called].min() > min(trained.header.long.threshold, trained.header.short.threshold)
    assert {trained.header.long.threshold, trained.header.short.threshold} <= set(THRESHOLDS)


def test_several_seeds_given_a_model_then_average_their_boosters() -> None:
    panel = panel_of(0.5)
    rows = np.vstack([pair.features[-200:] for pair in panel.pairs])

    texts = {seeds: train("F09", panel, rounds=40, seeds=seeds).text for seeds in ((1,), (2,), (1, 2))}
    both, first, second = (read_model(texts[seeds]).calls(rows) for seeds in ((1, 2), (1,), (2,)))

    same = (both.is_short == first.is_short) & (both.is_short == second.is_short)
    assert same.sum() > 100
    assert len(texts[1, 2]) > len(texts[(1,)]) * 1.5
    # The folds use the first seed, so the slopes of the models with the seeds 1 and (1, 2) are equal.
    slope = {seeds: read_model(text).header.slope.value for seeds, text in texts.items()}
    assert slope[1, 2] == slope[(1,)]


def test_calls_given_rows_of_the_warm_up_then_are_none() -> None:
    model = read_model(train("F05", panel_of(0.3)).text)

    calls = model.calls(np.full((3, len(find_feeder("F05").layout.names)), np.nan, dtype=np.float32))

    assert not calls.is_called.any()
    assert np.isnan(calls.confidence).all()


def test_training_given_few_trades_then_contains_no_booster_and_no_expectancy() -> None:
    header = train_feeder_model(find_feeder("F04"), panel_of(0.3), start=START, until=START + timedelta(hours=1_200), settings=SMALL).header

    assert (header.information, header.long.expectancy_sigma) == (Information.RULE, 0.0)


def test_training_given_no_candle_before_its_time_then_refuses() -> None:
    with pytest.raises(LearningError, match="fetch more candles"):
        train_feeder_model(find_feeder("F01"), panel_of(0.3), start=START - timedelta(days=9), until=START, settings=SMALL)


@pytest.mark.parametrize("text", [b"", b"no json\n", b"{}\n", b'{"format": 9, "feeder_id": "F01"}\n', b"[1]\nx"])
def test_read_model_given_no_model_then_refuses(text: bytes) -> None:
    with pytest.raises(ModelError, match="restore the file, or train the model again"):
        read_model(text)


def test_read_model_given_a_cut_model_then_refuses() -> None:
    text = train("F05", panel_of(0.3)).text

    with pytest.raises(ModelError, match="the header declares"):
        read_model(text[:-10])


def test_read_model_given_a_model_then_has_the_same_header() -> None:
    trained = train("F05", panel_of(0.3))

    assert read_model(trained.text).header == trained.header


def test_model_given_information_without_a_booster_then_refuses() -> None:
    header = replace(train("F05", panel_of(0.3)).header, slope=Slope(value=0.5, t=3.0))

    with pytest.raises(ModelError, match="no booster"):
        FeederModel(header, [])


def test_hours_of_the_panel_are_one_hour_apart() -> None:
    assert panel_of(0.0).step_us == HOUR_US
