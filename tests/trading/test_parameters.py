"""The lookup of a trade's row, and the sets that may be used."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot3.errors import LearningError
from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ParameterSet
from tests.learned import a_row, a_set
from tests.markets import BTC, ETH

CELL = {"pair": BTC, "direction": "long", "leverage_bin": "5.0-7.5"}
ROWS = (
    a_row(),
    a_row(direction="long"),
    a_row(pair=BTC, direction="long"),
    a_row(**CELL),
    a_row(leverage_bin="5.0-7.5"),
)


def learned(*left_out: str) -> ParameterSet:
    return a_set("p1", *(row for row in ROWS if row.key not in left_out))


@pytest.mark.parametrize(
    ("pair", "is_short", "leverage", "key"),
    [
        (BTC, False, 5.0, "BTC/USDT:USDT|long|5.0-7.5"),
        (BTC, False, 7.5, "BTC/USDT:USDT|long|*"),
        (ETH, False, 5.0, "*|long|*"),
        (ETH, True, 5.0, "*|*|*"),
    ],
)
def test_find_given_a_trade_then_is_the_row_of_its_cell_or_of_the_nearest_parent(
    pair: str, is_short: bool, leverage: float, key: str
) -> None:
    assert learned().find(pair=pair, is_short=is_short, leverage_bin=DEFAULT_BINS.name_of(leverage)).key == key


@pytest.mark.parametrize(
    ("left_out", "key"),
    [
        ((), "BTC/USDT:USDT|long|5.0-7.5@7d"),
        (("BTC/USDT:USDT|long|5.0-7.5@7d",), "BTC/USDT:USDT|long|*@7d"),
        (("BTC/USDT:USDT|long|5.0-7.5@7d", "BTC/USDT:USDT|long|*@7d"), "*|*|*@7d"),
        (("BTC/USDT:USDT|long|5.0-7.5@7d", "BTC/USDT:USDT|long|*@7d", "*|*|*@7d"), "*|*|*"),
    ],
)
def test_find_given_a_trade_of_another_horizon_then_is_a_row_of_that_or_of_all_trades(left_out: tuple[str, ...], key: str) -> None:
    week = (
        a_row(leverage_bin="*@7d"),
        a_row(pair=BTC, direction="long", leverage_bin="*@7d"),
        a_row(**CELL | {"leverage_bin": "5.0-7.5@7d"}),
    )
    parameters = a_set("p1", *ROWS, *(row for row in week if row.key not in left_out))

    found = parameters.find(pair=BTC, is_short=False, leverage_bin="5.0-7.5", horizon=Horizon.WEEK)

    assert found.key == key
    assert parameters.find(pair=BTC, is_short=False, leverage_bin="5.0-7.5").key == "BTC/USDT:USDT|long|5.0-7.5"


def test_find_given_no_global_row_then_is_refused() -> None:
    with pytest.raises(LearningError, match="row of all trades"):
        learned("*|*|*").find(pair=ETH, is_short=True, leverage_bin="5.0-7.5")


def test_reward_to_risk_given_levels_then_is_the_distance_of_the_target_over_that_of_the_stop() -> None:
    assert a_row(stop_move=-0.02, take_profit_move=0.03).reward_to_risk == pytest.approx(1.5)


def test_censored_given_rows_then_are_those_of_pairs_and_directions_by_key() -> None:
    rows = [
        a_row(pair=pair, direction="long", leverage_bin=name, is_censored=is_censored)
        for pair, name, is_censored in [
            ("B", "*", True),
            ("A", "*", True),
            ("A", "*@7d", True),
            ("A", "5.0-7.5", True),
            ("C", "*", False),
            ("D", "*", None),
        ]
    ]

    assert [row.key for row in a_set("p1", *rows).censored()] == ["A|long|*", "A|long|*@7d", "B|long|*"]


def test_require_fresh_given_the_end_of_its_life_then_is_refused_from_then_on() -> None:
    parameters = learned()

    parameters.require_fresh(now=parameters.expires_at - timedelta(microseconds=1))
    with pytest.raises(LearningError, match="parameters p1 expired"):
        parameters.require_fresh(now=parameters.expires_at)
