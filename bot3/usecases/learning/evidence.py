"""Read how much evidence each pair and direction has, and how much would permit it to trade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from bot3.errors import InvalidLearningError, LearningError
from bot3.learning.promotion.permissions import GateLedger
from bot3.learning.promotion.reviews import progress
from bot3.ports.learning import InForce


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvidence:
    """Evidence of one pair and direction at the last review.

    Parameters
    ----------
    log_evidence, log_needed : float
        Natural logarithms of its evidence, and of the evidence with which it would be open if that of the others stayed the same.
    is_open : bool
        Whether its bins may trade if their lower bounds are above 0.
    open_trades : int
        Trades whose worst loss was reserved at the end of the last counted day.
    counted_until : date
        The last counted UTC day.
    """

    pair: str
    direction: str
    log_evidence: float
    log_needed: float
    is_open: bool
    open_trades: int
    counted_until: date


def evidence_of_nodes(gates: InForce[GateLedger], *, now: datetime) -> tuple[NodeEvidence, ...]:
    """Return the evidence of every pair and direction, most evidence first; empty before the first review.

    Raises
    ------
    InvalidLearningError
        If the stored ledger is out of bounds.
    """
    try:
        ledger = gates.as_of(now)
    except InvalidLearningError:
        raise
    except LearningError:
        return ()
    day = datetime.fromtimestamp(86_400.0 * ledger.day, UTC).date()
    nodes = [
        NodeEvidence(
            pair=pair,
            direction=side,
            log_evidence=of.log_evidence,
            log_needed=of.log_needed,
            is_open=of.is_open,
            open_trades=sum(bet.node == (pair, side) for bet in ledger.open_bets),
            counted_until=day,
        )
        for (pair, side), of in progress(ledger).items()
    ]
    return tuple(sorted(nodes, key=lambda node: (-node.log_evidence, node.pair, node.direction)))


def evidence_text(node: NodeEvidence) -> str:
    """Return the log evidence of a node and the log needed, "2.10 of 6.40"."""
    return f"{node.log_evidence:.2f} of {node.log_needed:.2f}"
