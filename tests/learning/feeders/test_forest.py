"""The compiled evaluation of trees equals LightGBM's own."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import ModelError
from bot3.learning.feeders.forest import forest_of


def booster(seed: int, *, rounds: int, leaves: int, missing: float, objective: str = "regression") -> lightgbm.Booster:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((400, 3)).astype(np.float32)
    inputs[rng.random(inputs.shape) < missing] = np.nan
    target = np.nan_to_num(inputs[:, 0]) + rng.standard_normal(400) * 0.3
    params = {"objective": objective, "num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1, "seed": seed}
    return lightgbm.train(
        params, lightgbm.Dataset(inputs, label=target if objective == "regression" else target > 0), num_boost_round=rounds
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rounds=st.integers(1, 12),
    leaves=st.integers(2, 9),
    missing=st.sampled_from([0.0, 0.3]),
    models=st.integers(1, 3),
)
def test_predict_given_models_then_equals_the_mean_of_lightgbm(seed: int, rounds: int, leaves: int, missing: float, models: int) -> None:
    trained = [booster(seed + i, rounds=rounds, leaves=leaves, missing=missing) for i in range(models)]
    rows = np.random.default_rng(seed + 9).standard_normal((200, 3)).astype(np.float32)
    rows[::7, 0], rows[::5, 2] = np.nan, np.nan

    made = forest_of([each.model_to_string() for each in trained], features=3).predict(rows)

    np.testing.assert_allclose(made, np.mean([each.predict(rows) for each in trained], axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "features"),
    [
        (lambda text: text, 4),
        (lambda text: text.replace("objective=regression", "objective=binary"), 3),
        (lambda text: text.replace("left_child=", "left_child=0 "), 3),
        (lambda text: text.replace("split_feature=", "split_feature=9 "), 3),
        (lambda text: text.replace("leaf_value=", "leaf_value=x "), 3),
        (lambda _: "no model", 3),
    ],
)
def test_forest_of_given_something_else_then_refuses(change, features: int) -> None:  # type: ignore[no-untyped-def]
    text = booster(1, rounds=2, leaves=4, missing=0.0).model_to_string()

    with pytest.raises(ModelError):
        forest_of([change(text)], features=features)


def test_forest_of_given_nodes_in_a_circle_then_refuses() -> None:
    text = booster(1, rounds=1, leaves=3, missing=0.0).model_to_string()
    line = next(line for line in text.splitlines() if line.startswith("left_child="))

    with pytest.raises(ModelError, match="contradict"):
        forest_of([text.replace(line, "left_child=0 -2")], features=3)
