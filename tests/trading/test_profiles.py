"""How a bot trades, and what it refuses to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot3.errors import InvalidTradeError
from tests.markets import a_profile


@pytest.mark.parametrize(
    "changes",
    [
        {"directions": frozenset()},
        {"directions": frozenset({"up"})},
        {"leverage_cap": 11.0},
        {"stop_loss": 0.03},
        {"take_profit": -0.03},
        {"max_open_trades": 0},
        {"target_volatility": 0.0},
        {"longest_trade": timedelta(0)},
    ],
    ids=str,
)
def test_profile_given_a_value_that_cannot_be_then_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTradeError, match="BOT1"):
        a_profile(**changes)
