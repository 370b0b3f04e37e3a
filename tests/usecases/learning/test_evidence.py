"""What pages and commands show of the gate's ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from bot3.errors import InvalidLearningError
from bot3.learning.promotion.permissions import GateLedger, NodeAccount, OpenBet
from bot3.usecases.learning.evidence import evidence_of_nodes, evidence_text
from tests.usecases.fakes import FakeGates

NOW = datetime(2025, 3, 2, tzinfo=UTC)
RICH, NEW = NodeAccount(start=1.0, number=1, cash=(99.5,) * 3), NodeAccount(start=1.0, number=1, cash=(0.5,) * 3)
BET = OpenBet(node=("B/USDT", "long"), opened_us=1, ended_us=2, net=0.01, worst=0.02, stakes=(0.0,) * 3)
LEDGER = GateLedger(day=20_148, accounts={("A/USDT", "long"): NEW, ("A/USDT", "short"): NEW, ("B/USDT", "long"): RICH}, open_bets=(BET,))


def gates(ledger: GateLedger) -> FakeGates:
    found = FakeGates()
    found.ledgers.append((NOW, ledger))
    return found


def test_evidence_given_a_ledger_then_is_that_of_each_node_with_the_most_first() -> None:
    found = evidence_of_nodes(gates(LEDGER), now=NOW)

    assert [(node.pair, node.direction, node.is_open, node.open_trades) for node in found] == [
        ("B/USDT", "long", True, 1),
        ("A/USDT", "long", False, 0),
        ("A/USDT", "short", False, 0),
    ]
    assert (found[0].log_evidence, found[1].log_evidence) == (pytest.approx(np.log(100.0)), 0.0)
    # Three nodes: 3 / 0.04 is needed without evidence of others.
    assert found[0].log_needed == pytest.approx(np.log(75.0), abs=0.05)
    assert {node.counted_until for node in found} == {date(2025, 3, 1)}
    assert evidence_text(replace(found[1], log_evidence=2.104, log_needed=6.4)) == "2.10 of 6.40"


def test_evidence_given_no_review_then_is_empty() -> None:
    assert evidence_of_nodes(FakeGates(), now=NOW) == ()


class InvalidGates(FakeGates):
    """Reviews whose values are out of bounds."""

    def as_of(self, at: datetime) -> GateLedger:
        raise InvalidLearningError(f"cash_0 is not a finite number at {at.isoformat()}")


def test_evidence_given_an_invalid_ledger_then_raises() -> None:
    with pytest.raises(InvalidLearningError):
        evidence_of_nodes(InvalidGates(), now=NOW)
