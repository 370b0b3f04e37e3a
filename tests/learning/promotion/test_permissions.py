"""What may trade at a review and between, and the ledgers and trades that a gate reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bot3.errors import LearningError
from bot3.learning.promotion.permissions import (
    NOBODY,
    EnteredTrades,
    GateLedger,
    Node,
    NodeAccount,
    OpenBet,
    Permission,
    node_of,
    reviewed,
)
from bot3.learning.promotion.reviews import AccountGate
from bot3.learning.replay.groups import ROOT, Group

PAIR, OTHER = "AAA/USDT:USDT", "BBB/USDT:USDT"
NODE: Node = (PAIR, "long")
CELL, SIBLING, SHORT = (PAIR, "long", "2.0-3.5"), (PAIR, "long", "1.0-2.0"), (PAIR, "short", "2.0-3.5")
RICH, POOR = NodeAccount(start=1.0, number=1, cash=(1e4, 1e3, 1e2)), NodeAccount(start=1.0, number=1, cash=(0.5,) * 3)
SURE = GateLedger(day=10, accounts={NODE: RICH, (PAIR, "short"): POOR})
GATE = AccountGate()
BET = OpenBet(node=NODE, opened_us=5, ended_us=9, net=-0.01, worst=0.02, stakes=(1.0, 0.5, 0.0))


@pytest.mark.parametrize(
    ("group", "node"),
    [
        (CELL, NODE),
        ((PAIR, "long", "*"), NODE),
        (("*", "long", "*"), None),
        ((PAIR, "*", "*"), None),
        (("*", "*", "1.0-2.0"), None),
        (ROOT, None),
    ],
)
def test_node_of_given_a_group_then_is_its_pair_and_direction(group: Group, node: Node | None) -> None:
    assert node_of(group) == node


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, []),
        ({"raised": frozenset({CELL, ROOT})}, [CELL]),
        ({"raised": frozenset({CELL}), "opened": frozenset({(PAIR, "short")})}, [CELL]),
        ({"raised": frozenset({CELL}), "opened": frozenset({(PAIR, "short")}), "day": 3}, [SHORT]),
        ({"opened": frozenset({NODE}), "day": 0}, [CELL, SIBLING]),
        ({"opened": frozenset({NODE}), "day": 3, "closed": frozenset({NODE})}, []),
        ({"raised": frozenset({CELL}), "closed": frozenset({NODE})}, []),
        ({"raised": frozenset({CELL}), "closed": frozenset({(OTHER, "long")})}, [CELL]),
    ],
)
def test_allows_given_a_permission_then_are_opened_nodes_at_a_review_and_raised_groups_between(
    given: dict[str, Any], allowed: list[Group]
) -> None:
    permission = Permission(**given)

    assert [group for group in (CELL, SIBLING, SHORT, ROOT, ("*", "long", "*")) if permission.allows(group)] == allowed


def test_nobody_allows_no_group() -> None:
    assert not any(map(NOBODY.allows, (CELL, SHORT, ROOT)))


def test_reviewed_given_closed_nodes_then_they_may_not_trade_in_either_case() -> None:
    before = Permission(raised=frozenset({CELL}))

    for ledger in (None, SURE):
        permission = reviewed(GATE, ledger, before=before, closed=frozenset({NODE}))
        assert not permission.allows(CELL)
        assert (permission.raised, permission.closed) == (before.raised, {NODE})
        assert permission.day == (None if ledger is None else 10)


def test_of_nodes_given_some_then_are_only_their_trades_in_order() -> None:
    cells = [CELL, (OTHER, "long", "2.0-3.5"), SIBLING]
    numbers, times = np.array([0.01, 0.02, 0.03]), np.array([1, 2, 3])
    trades = EnteredTrades(cells=cells, opened_us=times, ended_us=times + 5, net=numbers, worst=10.0 * numbers)

    found = trades.of_nodes({NODE})

    assert (found.cells, found.net.tolist(), found.worst.tolist()) == ([CELL, SIBLING], [0.01, 0.03], [0.1, 0.3])
    assert (found.opened_us.tolist(), found.ended_us.tolist()) == ([1, 3], [6, 8])


def test_reviewed_given_no_review_then_only_what_traded_before_may_go_on() -> None:
    before = Permission(raised=frozenset({CELL}), opened=frozenset({(PAIR, "short")}), day=3)

    between = reviewed(GATE, None, before=before)
    after = reviewed(GATE, SURE, before=before)

    assert [between.allows(cell) for cell in (CELL, (PAIR, "long", "1.0-2.0"), (PAIR, "short", "2.0-3.5"))] == [True, False, False]
    assert [after.allows(cell) for cell in (CELL, (PAIR, "long", "1.0-2.0"), (PAIR, "short", "2.0-3.5"))] == [True, True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"cash": (1.0,)},
        {"cash": (1.0, -0.1, 1.0)},
        {"cash": (1.0, np.inf, 1.0)},
        {"start": 0.0},
        {"start": 1.1},
        {"number": 0},
        {"shortfall": -1.0},
    ],
)
def test_account_given_a_value_that_would_be_evidence_by_itself_then_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(LearningError):
        replace(POOR, **changes)


@pytest.mark.parametrize("changes", [{"stakes": (1.0,)}, {"stakes": (1.0, -1.0, 0.0)}, {"net": np.nan}, {"worst": 0.0}, {"ended_us": 5}])
def test_open_bet_given_a_value_out_of_bounds_then_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(LearningError):
        replace(BET, **changes)


def test_ledger_given_an_open_trade_of_a_node_without_accounts_then_refuses() -> None:
    with pytest.raises(LearningError, match="no accounts"):
        GateLedger(day=1, accounts={(PAIR, "short"): POOR}, open_bets=(BET,))
