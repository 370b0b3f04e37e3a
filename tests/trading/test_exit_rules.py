"""Exit rules of a bot and of one trade."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.trading.costs import Costs, close_profit
from bot3.trading.exit_rules import NO_RULES, ExitRule, ExitRules
from tests.markets import NOON, a_market

RULE = ExitRule(giveback_activation_move=0.02, giveback_share=0.5, expires_at=NOON)


@pytest.mark.parametrize(
    "changes",
    [
        {"giveback_share": 1.0},
        {"giveback_share": 0.0},
        {"giveback_activation_sigma": 0.0},
        {"break_even_activation_sigma": 0.0},
        {"break_even_activation_sigma": math.nan},
    ],
    ids=str,
)
def test_exit_rules_given_an_invalid_value_then_refuse(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidTradeError, match=next(iter(changes))):
        replace(NO_RULES, **changes)


def test_exit_rules_given_a_trade_then_activations_are_moves_at_its_volatility() -> None:
    rules = ExitRules(giveback_activation_sigma=1.0, giveback_share=0.4, break_even_activation_sigma=0.5)

    rule = rules.of_trade(sigma=0.02, expires_at=NOON)

    assert rule == ExitRule(giveback_activation_move=0.02, giveback_share=0.4, break_even_activation_move=0.01, expires_at=NOON)


def test_exit_rule_given_no_break_even_then_its_context_has_the_fields_of_the_giveback_alone() -> None:
    assert list(RULE.context()) == ["giveback_activation_move", "giveback_share", "expires_at"]


def test_exit_rule_given_a_context_without_it_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="missing or invalid giveback"):
        ExitRule.of_context({"feeder_id": "F01"})


def test_exit_rule_given_a_context_with_an_invalid_break_even_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="break_even_activation_move"):
        ExitRule.of_context({**RULE.context(), "break_even_activation_move": "soon"})


def test_exit_rule_given_a_context_whose_expiry_is_no_time_then_refuses() -> None:
    with pytest.raises(InvalidTradeError, match="invalid expires_at"):
        ExitRule.of_context({**RULE.context(), "expires_at": "tomorrow"})


@pytest.mark.parametrize("rule", [RULE, replace(RULE, break_even_activation_move=0.01)])
def test_exit_rule_given_an_entrys_context_then_reads_it_back(rule: ExitRule) -> None:
    assert ExitRule.of_context(rule.context()) == rule


@given(
    open_rate=st.floats(0.01, 1e5),
    is_short=st.booleans(),
    fee=st.floats(0.0, 0.01),
    slippages=st.tuples(st.floats(0.0, 0.01), st.floats(0.0, 0.01)),
)
def test_break_even_rate_given_costs_then_a_stop_there_earns_nothing(
    open_rate: float, is_short: bool, fee: float, slippages: tuple[float, float]
) -> None:
    costs = Costs(taker_fee=fee, maker_fee=0.0, slippage=slippages[0], stop_slippage=slippages[1])
    stop = costs.break_even_rate(open_rate, is_short=is_short)

    filled = stop * (1.0 + sum(slippages) if is_short else 1.0 - sum(slippages))

    earned = close_profit(open_rate=open_rate, close_rate=filled, is_short=is_short, leverage=5.0, fee_open=fee, fee_close=fee)
    assert earned == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("is_short", [False, True])
def test_break_even_rate_given_a_tick_then_is_rounded_away_from_the_entry(is_short: bool) -> None:
    costs = Costs(taker_fee=0.0005, maker_fee=0.0, slippage=0.0001, stop_slippage=0.0003)
    exact = costs.break_even_rate(100.0, is_short=is_short)

    rounded = float(a_market().break_even_rate(100.0, is_short=is_short, costs=costs))

    assert 0.0 <= (exact - rounded if is_short else rounded - exact) < 1e-6
