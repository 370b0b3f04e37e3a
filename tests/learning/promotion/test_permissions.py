"""What may trade at a review and between, and the ledgers and trades that a gate reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from bot3.errors import LearningError
from bot3.learning.promotion.permissions import (
    BETTORS,
    NOBODY,
    EnteredTrades,
    GateLedger,
    Node,
    Permission,
    node_of,
    reviewed,
)
from bot3.learning.promotion.reviews import LONGEST_HORIZON, BettingGate
from bot3.learning.replay.groups import ROOT, Group

PAIR, OTHER = "AAA/USDT:USDT", "BBB/USDT:USDT"
NODE: Node = (PAIR, "long")
CELL, SIBLING, SHORT = (PAIR, "long", "2.0-3.5"), (PAIR, "long", "1.0-2.0"), (PAIR, "short", "2.0-3.5")
SURE = GateLedger(day=10, log_wealth={NODE: (20.0,) * BETTORS, (PAIR, "short"): (0.0,) * BETTORS})
GATE = BettingGate()


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
        permission = reviewed(GATE, ledger, horizon=timedelta(days=1), before=before, closed=frozenset({NODE}))
        assert not permission.allows(CELL)
        assert (permission.raised, permission.closed) == (before.raised, {NODE})
        assert permission.day == (None if ledger is None else 10)


def test_of_nodes_given_some_then_are_only_their_trades_in_order() -> None:
    cells = [CELL, (OTHER, "long", "2.0-3.5"), SIBLING]
    trades = EnteredTrades(cells=cells, net=np.array([0.01, 0.02, 0.03]), worst=np.array([0.1, 0.2, 0.3]))

    found = trades.of_nodes({NODE})

    assert (found.cells, found.net.tolist(), found.worst.tolist()) == ([CELL, SIBLING], [0.01, 0.03], [0.1, 0.3])


def test_reviewed_given_no_review_then_only_what_traded_before_may_go_on() -> None:
    before = Permission(raised=frozenset({CELL}), opened=frozenset({(PAIR, "short")}), day=3)

    between = reviewed(GATE, None, horizon=LONGEST_HORIZON, before=before)
    after = reviewed(GATE, SURE, horizon=LONGEST_HORIZON, before=before)

    assert [between.allows(cell) for cell in (CELL, (PAIR, "long", "1.0-2.0"), (PAIR, "short", "2.0-3.5"))] == [True, False, False]
    assert [after.allows(cell) for cell in (CELL, (PAIR, "long", "1.0-2.0"), (PAIR, "short", "2.0-3.5"))] == [True, True, False]


def test_ledger_given_another_number_of_bettors_then_refuses() -> None:
    with pytest.raises(LearningError, match="bettors"):
        GateLedger(day=1, log_wealth={(PAIR, "long"): (0.0,)})
