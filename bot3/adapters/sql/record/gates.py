"""Read the results of daily reviews from the record, and write one in the transaction of the parameters published after it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot3.adapters.sql.record.scope import RecordScope, Writing
from bot3.adapters.sql.record.tables import gate_accounts, gate_bets, gate_reviews
from bot3.adapters.sql.rows import bulk_insert, to_us
from bot3.errors import InvalidLearningError, LearningError
from bot3.learning.promotion.accounts import SCALES
from bot3.learning.promotion.permissions import GateLedger, NodeAccount, OpenBet
from bot3.market.instants import DAY_US
from bot3.trading.trades import DIRECTIONS

_CASH = tuple(f"cash_{place}" for place in range(len(SCALES)))
_STAKES = tuple(f"stake_{place}" for place in range(len(SCALES)))
_ACCOUNT = ("start", "shortfall", *_CASH)
_BET = ("net", "worst", *_STAKES)
_REVIEWS = gate_reviews.c


class SqlGates:
    """A `GateRepository` in SQL: reads the accounts of every pair and direction (the evidence for trading it), and their open trades."""

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
            accounts = connection.execute(sa.select(gate_accounts).where(gate_accounts.c.seq == review.seq)).all()
            bets = connection.execute(sa.select(gate_bets).where(gate_bets.c.seq == review.seq).order_by(gate_bets.c.place)).all()
        return _ledger_of(review, accounts, bets)

    def first_reviewed_day(self) -> int:
        """Return the earliest reviewed day, in days since 1970; invalid days are ignored. Raises LearningError if no day was reviewed."""
        with self._scope.read() as connection:
            # From an invalid day, outcomes would be counted again from before the first review, or never.
            valid = sa.and_(_REVIEWS.day >= 0, _REVIEWS.day * DAY_US <= _REVIEWS.known_at_us)
            day = connection.execute(sa.select(sa.func.min(_REVIEWS.day)).where(valid)).scalar_one()
        if day is None:
            raise LearningError("no day was reviewed yet: run `bot3 learn run`")
        return int(day)


def _ledger_of(review: Any, accounts: Iterable[Any], bets: Iterable[Any]) -> GateLedger:
    """Parse a stored ledger; its values are validated, because infinite evidence would permit a pair to trade."""
    if not (isinstance(review.day, int) and 0 <= review.day * DAY_US <= review.known_at_us):
        raise InvalidLearningError(
            f"the review of publication {review.seq} has the invalid day {review.day!r}: the day had not ended when the review was made"
        )
    try:
        return GateLedger(
            day=review.day,
            accounts={(row.name, _direction(row)): _account_of(row) for row in accounts},
            open_bets=tuple(_bet_of(row) for row in bets),
            replay_version=review.replay_version,
        )
    except LearningError as error:
        raise InvalidLearningError(f"the review of publication {review.seq} is invalid: {error}") from error


def _account_of(row: Any) -> NodeAccount:
    start, shortfall, *cash = _numbers(row, _ACCOUNT)
    return NodeAccount(start=start, number=_whole(row, "number"), cash=tuple(cash), shortfall=shortfall)


def _bet_of(row: Any) -> OpenBet:
    net, worst, *stakes = _numbers(row, _BET)
    opened_us, ended_us = _whole(row, "opened_us"), _whole(row, "ended_us")
    return OpenBet(node=(row.name, _direction(row)), opened_us=opened_us, ended_us=ended_us, net=net, worst=worst, stakes=tuple(stakes))


def _direction(row: Any) -> str:
    if row.direction not in DIRECTIONS:
        raise LearningError(f"direction {row.direction!r} of {row.name!r} is invalid")
    return str(row.direction)


def _whole(row: Any, name: str) -> int:
    value = getattr(row, name)
    if not isinstance(value, int):
        raise LearningError(f"{name} {value!r} of {row.name!r} {row.direction!r} is not a whole number")
    return value


def _numbers(row: Any, names: Iterable[str]) -> list[float]:
    values = {name: getattr(row, name) for name in names}
    wrong = [f"{name} {value!r}" for name, value in values.items() if not (isinstance(value, float) and math.isfinite(value))]
    if wrong:
        raise LearningError(f"{', '.join(wrong)} of {row.name!r} {row.direction!r} is not a finite number")
    return list(values.values())


def insert_ledger(writing: Writing, ledger: GateLedger, *, seq: int, known_at: datetime) -> None:
    """Insert the result of a review, within the transaction of its publication."""
    instants = {"day": ledger.day, "known_at_us": to_us(known_at), "revision": writing.revision}
    writing.connection.execute(sa.insert(gate_reviews).values(seq=seq, replay_version=ledger.replay_version, **instants))
    accounts = [(seq, *node, of.number, of.start, of.shortfall, *of.cash) for node, of in ledger.accounts.items()]
    columns: tuple[str, ...] = ("seq", "name", "direction", "number", *_ACCOUNT)
    bulk_insert(writing.connection, gate_accounts, accounts, columns=columns, replaces=True)
    bets = [
        (seq, place, *bet.node, bet.opened_us, bet.ended_us, bet.net, bet.worst, *bet.stakes) for place, bet in enumerate(ledger.open_bets)
    ]
    columns = ("seq", "place", "name", "direction", "opened_us", "ended_us", *_BET)
    bulk_insert(writing.connection, gate_bets, bets, columns=columns, replaces=True)
