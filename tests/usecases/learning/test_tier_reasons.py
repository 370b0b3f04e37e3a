"""Why a feeder has its tier, in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot3.trading.recommendations import FeederTier
from bot3.usecases.learning.tier_reasons import why_tier
from tests.learned import a_score


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n": 0}, "no shadow trade yet"),
        ({}, "the interval contains 0"),
        ({"lower_bound": 0.0001, "open_directions": ""}, "lower bound above 0, but evidence permits no direction yet"),
        ({"lower_bound": 0.0001}, "lower bound above 0, but a score of the same day was in this tier"),
        (
            {"tier": FeederTier.TRADE, "lower_bound": 0.0001, "open_directions": "long short"},
            "lower bound above 0, evidence for long and short",
        ),
        ({"tier": FeederTier.SHADOW, "expectancy": -0.002, "upper_bound": -0.001}, "upper bound below 0"),
        ({"tier": FeederTier.SHADOW, "confidence": 0.1}, "P(expectancy > 0) is 10%, below 20%"),
        ({"tier": FeederTier.SHADOW, "confidence": 0.5}, "a score of the same day was in this tier"),
    ],
)
def test_why_tier_given_a_score_then_names_what_decided(changes: dict[str, Any], said: str) -> None:
    assert why_tier(replace(a_score(), **changes)) == said
