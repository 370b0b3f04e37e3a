"""What daily reviews left, in the record: each is written by the publication that it belongs to, and by nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot3.adapters.sql_record_base import SqlRecordBase, Writing
from bot3.adapters.sql_rows import bulk_insert, to_us
from bot3.adapters.sql_tables_platform import gate_nodes, gate_reviews
from bot3.errors import InvalidLearningError, LearningError
from bot3.learning.permissions import BETTORS, Ledger, Node
from bot3.learning.pooling import DAY_US
from bot3.trading.trades import DIRECTIONS

_WEALTH = tuple(f"log_wealth_{bettor}" for bettor in range(BETTORS))
_REVIEWS = gate_reviews.c


class SqlGateRecord(SqlRecordBase):
    """Says what the evidence of every pair and direction was."""

    def ledger(self, *, as_of: datetime) -> Ledger:
        """Return what the newest review left.

        Raises
        ------
        LearningError
            If there was none by then.
        InvalidLearningError
            If a row of it breaks a bound; the text names it.
        """
        newest = sa.select(_REVIEWS.seq, _REVIEWS.day, _REVIEWS.known_at_us, _REVIEWS.replay_version).where(
            _REVIEWS.known_at_us <= to_us(as_of)
        )
        newest = newest.order_by(_REVIEWS.known_at_us.desc(), _REVIEWS.seq.desc()).limit(1)
        with self._database.read() as connection:
            review = connection.execute(newest).one_or_none()
            if review is None:
                raise LearningError(f"no day was reviewed by {as_of.isoformat()}: run `bot3 learn run`")
            rows = connection.execute(sa.select(gate_nodes).where(gate_nodes.c.seq == review.seq)).all()
        return _ledger_of(review, rows)

    def first_reviewed_day(self) -> int:
        """Return the day of the first review, in days since 1970. Raises LearningError if there was none."""
        with self._database.read() as connection:
            # An invalid day would begin the folding before the first one, or never.
            valid = sa.and_(_REVIEWS.day >= 0, _REVIEWS.day * DAY_US <= _REVIEWS.known_at_us)
            day = connection.execute(sa.select(sa.func.min(_REVIEWS.day)).where(valid)).scalar_one()
        if day is None:
            raise LearningError("no day was reviewed yet: run `bot3 learn run`")
        return int(day)


def _ledger_of(review: Any, rows: Iterable[Any]) -> Ledger:
    """Return a stored ledger; what a store holds is not trusted, for infinite evidence would open a pair."""
    if not (isinstance(review.day, int) and 0 <= review.day * DAY_US <= review.known_at_us):
        raise InvalidLearningError(
            f"the review of publication {review.seq} has the day {review.day!r}, which was not over when it was made"
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
    return Ledger(day=review.day, log_wealth=log_wealth, replay_version=review.replay_version)


def insert_ledger(writing: Writing, ledger: Ledger, *, seq: int, known_at: datetime) -> None:
    """Keep what a review left, within the transaction of its publication."""
    instants = {"day": ledger.day, "known_at_us": to_us(known_at), "revision": writing.revision}
    writing.connection.execute(sa.insert(gate_reviews).values(seq=seq, replay_version=ledger.replay_version, **instants))
    rows = [(seq, pair, side, *map(float, wealth)) for (pair, side), wealth in ledger.log_wealth.items()]
    bulk_insert(writing.connection, gate_nodes, rows, columns=("seq", "pair", "direction", *_WEALTH), replaces=True)
