from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from bot3.errors import LearningError, ModelError
from bot3.learning.feeders.feature_panel import FeaturePanel, feature_panel
from bot3.learning.feeders.models import in_setup, read_model
from bot3.learning.feeders.specs import FEEDERS, Setup, find_feeder
from bot3.learning.feeders.training import TrainedFeeder, TrainingSettings, train_feeder_model
from bot3.market.features import FEATURE_NAMES
from bot3.trading.signals import FEEDER_IDS
from tests.market.random_walks import WALK_START, random_walk

COUNT = 5_000
UNTIL = WALK_START + timedelta(minutes=5) * (COUNT - 400)
SMALL = TrainingSettings(rounds=15, most_rows=4_000, rows_per_horizon=96, least_rows=200, embargo_candles=48)


def panel_of(count: int = COUNT, *, drift: float = 0.0, seed: int = 1) -> FeaturePanel:
    return feature_panel(
        {f"{name}/USDT:USDT": random_walk(COUNT, seed=seed + i, drift_of_last=drift).iloc[:count] for i, name in enumerate("AB")},
        timeframe="5m",
    )


def train(feeder_id: str, panel: FeaturePanel) -> TrainedFeeder:
    return train_feeder_model(find_feeder(feeder_id), panel, start=WALK_START, until=UNTIL, settings=SMALL)


def test_feeders_given_the_table_then_are_ten_that_differ() -> None:
    kinds = {(spec.families, spec.barriers, spec.setup) for spec in FEEDERS.values()}

    assert tuple(FEEDERS) == FEEDER_IDS
    assert len(kinds) == len({spec.title for spec in FEEDERS.values()}) == 10
    assert {name for spec in FEEDERS.values() for name in spec.feature_names} == set(FEATURE_NAMES)


def test_find_feeder_given_an_unknown_one_then_refuses() -> None:
    with pytest.raises(LearningError, match="F11"):
        find_feeder("F11")


@pytest.mark.parametrize("feeder_id", ["F01", "F02", "F09"])
def test_training_given_another_future_then_makes_the_same_model(feeder_id: str) -> None:
    seen, more = panel_of(COUNT - 400), panel_of(COUNT)

    assert train(feeder_id, seen).text == train(feeder_id, more).text


def test_training_given_a_market_that_goes_on_then_beats_the_base_rate() -> None:
    trained = train("F01", panel_of(drift=0.6))

    assert trained.header.log_loss_oof < trained.header.base_log_loss_oof - 0.005


def test_training_given_a_random_walk_then_claims_no_skill() -> None:
    gains = [h.base_log_loss_oof - h.log_loss_oof for h in (train("F01", panel_of(seed=seed)).header for seed in (10, 20, 30))]

    assert max(gains) < 0.005


def test_calls_given_the_training_span_then_meet_the_share_roughly() -> None:
    panel = panel_of(drift=0.6)
    model = read_model(train("F01", panel).text)

    called = np.concatenate([model.calls(pair.features).is_called for pair in panel.pairs])

    assert 0.003 < called.mean() < 0.06


def test_calls_given_rows_of_the_warm_up_then_are_none() -> None:
    model = read_model(train("F02", panel_of()).text)

    calls = model.calls(np.full((3, len(FEATURE_NAMES)), np.nan, dtype=np.float32))

    assert not calls.is_called.any()
    assert np.isnan(calls.confidence).all()


def test_in_setup_given_a_rise_then_momentum_buys_and_reversal_sells() -> None:
    row = np.zeros((1, len(FEATURE_NAMES)), dtype=np.float32)
    momentum = find_feeder("F03")
    row[0, FEATURE_NAMES.index(momentum.setup_feature)] = 1.0
    reversal = next(spec for spec in FEEDERS.values() if spec.setup is Setup.REVERSAL)
    row[0, FEATURE_NAMES.index(reversal.setup_feature)] = 1.0

    assert (in_setup(row, momentum, is_short=False)[0], in_setup(row, momentum, is_short=True)[0]) == (True, False)
    assert (in_setup(row, reversal, is_short=False)[0], in_setup(row, reversal, is_short=True)[0]) == (False, True)


def test_training_given_too_few_rows_then_says_how_many() -> None:
    with pytest.raises(LearningError, match="F01 has 0 labelled rows"):
        train("F01", panel_of(600))


@pytest.mark.parametrize("text", [b"", b"no json\n", b"{}\n", b'{"format": 9, "feeder_id": "F01"}\n', b"[1]\nx"])
def test_read_model_given_no_model_then_refuses(text: bytes) -> None:
    with pytest.raises(ModelError, match="restore the file, or train the model again"):
        read_model(text)


def test_read_model_given_a_cut_model_then_refuses() -> None:
    text = train("F01", panel_of()).text

    with pytest.raises(ModelError, match="the header declares"):
        read_model(text[:-10])
