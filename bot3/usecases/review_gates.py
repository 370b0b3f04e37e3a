"""Fold the days that are over into the evidence by which pairs and directions may trade."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot3.errors import LearningError
from bot3.learning.params import ParameterLearner
from bot3.learning.reviews import Ledger, folded, joined, skipped
from bot3.ports.record import LearningReader

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def review_gates(record: LearningReader, learner: ParameterLearner, *, now: datetime) -> Ledger | None:
    """Return what a review of all days that are over leaves; None where none is over since the last one.

    Nothing is written: the ledger goes into the record with the publication that rests on it, so a day is folded once, whatever is killed.
    The very first review folds nothing, for nothing had been published.
    """
    last = learner.last_day_over(now=now)
    if learner.ledger is not None and last <= learner.ledger.day:
        return None
    ledger = learner.ledger or Ledger(day=last, log_wealth={})
    for day in range(ledger.day + 1, last + 1):
        ledger = _folded(record, learner, ledger, day=day)
    return joined(ledger, learner.cells())


def _folded(record: LearningReader, learner: ParameterLearner, ledger: Ledger, *, day: int) -> Ledger:
    try:
        published = record.parameters(as_of=_EPOCH + timedelta(days=day))
    except LearningError:
        return skipped(ledger, day=day)
    return folded(ledger, day=day, totals=learner.earned_on(day, published=published), published=published)
