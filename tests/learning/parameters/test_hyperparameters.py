"""The parents of a fit."""

from __future__ import annotations

from typing import Any

import pytest

from bot3.learning.parameters.hyperparameters import Hyperparameters
from bot3.learning.parameters.replay_evidence import Periods
from bot3.learning.replay.groups import ROOT, Group

LONG, PAIR = ("*", "long", "*"), ("A", "long", "*")


def hyperparameters() -> Hyperparameters:
    model: Any = None
    spread: Any = None
    parents: Any = {ROOT: "root", LONG: "long", PAIR: "pair"}
    return Hyperparameters(
        model=model,
        spread=spread,
        pairs=("A",),
        periods=Periods(first=0, count=1),
        parents=parents,
        factors={},
        half_life_days=None,
        chosen_on=1,
    )


@pytest.mark.parametrize(
    ("group", "parent"),
    [
        (("A", "long", "1.0-2.0"), "pair"),
        (PAIR, "long"),
        (LONG, "root"),
        (("B", "long", "1.0-2.0"), "long"),  # a pair first seen after the fit
        (("B", "short", "1.0-2.0"), "root"),
        (("*", "*", "1.0-2.0"), "root"),
        (ROOT, "root"),
    ],
)
def test_parent_given_a_group_then_is_the_nearest_of_the_fit(group: Group, parent: str) -> None:
    assert hyperparameters().parent(group) == parent
