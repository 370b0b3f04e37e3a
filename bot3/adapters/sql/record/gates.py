"""Read the results of daily reviews from the record, and write one in the transaction of the parameters published after it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot3.adapters.sql.record.scope import RecordScope, Writing
from bot3.adapters.sql.record.tables import gate_nodes, gate_reviews
from bot3.adapters.sql.rows import bulk_insert, to_us
from bot3.errors import InvalidLearningError, LearningError
from bot3.learning.promotion.permissions import BETTORS, GateLedger, Node
from bot3.market.instants import DAY_US
from bot3.trading.trades import DIRECTIONS

_WEALTH = tuple(f"log_wealth_{bettor}" for bettor in range(BETTORS))
_REVIEWS = gate_reviews.c


class SqlGates:
    """A `GateRepository` in SQL: reads the evidence of every pair and direction for or against trading it."""

    def __init__(self, scope: RecordScope) -> None:
        self._scope = scope

    def as_of(self, at: datetime) -> GateLedger:
        """Return the result of the newest review with known_at <= at.

        Raises
        ------
        LearningError
            If there is none.
        InvalidLearningError
            If its day or one of its rows is out of bounds; the message names it.
        """
        newest = sa.select(_REVIEWS.seq, _REVIEWS.day, _REVIEWS.known_at_us, _REVIEWS.replay_version).where(
            _REVIEWS.known_at_us <= to_us(at)
        )
        newest = newest.order_by(_REVIEWS.known_at_us.desc(), _REVIEWS.seq.desc()).limit(1)
        with self._scope.read() as connection:
            review = connection.execute(newest).one_or_none()
            if review is None:
                raise LearningError(f"no day was reviewed by {at.isoformat()}: run `bot3 learn run`")
            rows = connection.execute(sa.select(gate_nodes).where(gate_nodes.c.seq == review.seq)).all()
        return _ledger_of(review, rows)

    def first_reviewed_day(self) -> int:
        """Return the earliest reviewed day, in days since 1970; invalid days are ignored. Raises LearningError if no day was reviewed."""
        with self._scope.read() as connection:
            # From an invalid day, outcomes would be counted again from before the first review, or never.
            valid = sa.and_(_REVIEWS.day >= 0, _REVIEWS.day * DAY_US <= _REVIEWS.known_at_us)
            day = connection.execute(sa.select(sa.func.min(_REVIEWS.day)).where(valid)).scalar_one()
        if day is None:
            raise LearningError("no day was reviewed yet: run `bot3 learn run`")
        return int(day)


def _ledger_of(review: Any, rows: Iterable[Any]) -> GateLedger:
    """Parse the result of a review; its values are validated, because infinite evidence would permit a pair to trade."""
    if not (isinstance(review.day, int) and 0 <= review.day * DAY_US <= review.known_at_us):
        raise InvalidLearningError(
            f"the review of publication {review.seq} has the invalid day {review.day!r}: the day had not ended when the review was made"
        )
    log_wealth: dict[Node, tuple[float, ...]] = {}
    for row in rows:
        wealth = {name: getattr(row, name) for name in _WEALTH}
        wrong = [f"{name} {value!r}" for name, value in wealth.items() if not (isinstance(value, float) and math.isfinite(value))]
        if row.direction not in DIRECTIONS:
            wrong.append(f"direction {row.direction!r}")
        if wrong:
            raise InvalidLearningError(f"the evidence of {row.pair!r} {row.direction!r} in the record is invalid: {', '.join(wrong)}")
        log_wealth[row.pair, row.direction] = tuple(wealth.values())
    return GateLedger(day=review.day, log_wealth=log_wealth, replay_version=review.replay_version)


def insert_ledger(writing: Writing, ledger: GateLedger, *, seq: int, known_at: datetime) -> None:
    """Insert the result of a review, within the transaction of its publication."""
    instants = {"day": ledger.day, "known_at_us": to_us(known_at), "revision": writing.revision}
    writing.connection.execute(sa.insert(gate_reviews).values(seq=seq, replay_version=ledger.replay_version, **instants))
    rows = [(seq, pair, side, *map(float, wealth)) for (pair, side), wealth in ledger.log_wealth.items()]
    bulk_insert(writing.connection, gate_nodes, rows, columns=("seq", "pair", "direction", *_WEALTH), replaces=True)
