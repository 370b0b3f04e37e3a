"""The regimes and their names in every store."""

from __future__ import annotations

from bot3.market.regimes import Regime


def test_regimes_are_in_the_order_of_their_probabilities_and_named_as_stored() -> None:
    assert [str(regime) for regime in Regime] == ["bull_trending", "bear_trending", "sideways", "volatile"]
