"""Two homes made the same only where all of it is the same."""

from __future__ import annotations

import pytest

from benchmarks.scale_home import parameters_digest
from bot3.market.regimes import Regime
from bot3.trading.parameters import ParameterSet
from tests.learned import a_row, a_set


def test_parameters_digest_given_the_same_then_is_the_same() -> None:
    assert parameters_digest(a_set("v1")) == parameters_digest(a_set("v1"))


@pytest.mark.parametrize(
    "other",
    [
        a_set("v2"),
        a_set("v1", a_row(trades_count=13)),
        a_set("v1", regime_factors={Regime.VOLATILE: (1.2, 0.9000000000000001)}),
        a_set("v1", regime_factors={}),
    ],
    ids=["version", "row", "factor", "no factors"],
)
def test_parameters_digest_given_another_part_then_is_another(other: ParameterSet) -> None:
    assert parameters_digest(other) != parameters_digest(a_set("v1"))
