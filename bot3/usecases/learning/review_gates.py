"""Fold ended days into the evidence that decides which pairs and directions may trade."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from bot3.errors import InvalidLearningError, LearningError
from bot3.learning.promotion.permissions import Gate, GatedLearner, GateLedger
from bot3.market.instants import EPOCH
from bot3.trading.parameters import ParameterSet

log = structlog.get_logger()


class PublishedParameters(Protocol):
    """The part of the record that a review reads."""

    def parameters(self, *, as_of: datetime) -> ParameterSet:
        """Return the parameters in force. Raises LearningError if nothing was published by then."""
        ...


def review_gates(
    record: PublishedParameters, learner: GatedLearner, gate: Gate, ledger: GateLedger | None, *, now: datetime
) -> GateLedger | None:
    """Return the ledger after all ended days; None if none has ended since the last review.

    Parameters
    ----------
    ledger : GateLedger or None
        Result of the last review; None before the first one, which folds nothing, because nothing had been published.

    Notes
    -----
    Nothing is written: the ledger is written to the record with the publication that is based on it, so a day is folded once even if the
    process is killed.
    """
    last = learner.last_day_over(now=now)
    if ledger is not None and last <= ledger.day:
        return None
    ledger = ledger or gate.start(day=last)
    for day in range(ledger.day + 1, last + 1):
        ledger = _folded(record, learner, gate, ledger, day=day)
    return gate.join(ledger, learner.cells())


def _folded(record: PublishedParameters, learner: GatedLearner, gate: Gate, ledger: GateLedger, *, day: int) -> GateLedger:
    try:
        published = record.parameters(as_of=EPOCH + timedelta(days=day))
    except InvalidLearningError as error:
        # No group could trade by it, so the day contains no evidence on what is published.
        log.warning("day_skipped_by_gate", day=str(datetime.fromtimestamp(day * 86_400, UTC).date()), why=str(error))
        return gate.skip(ledger, day=day)
    except LearningError:
        return gate.skip(ledger, day=day)
    return gate.fold(ledger, day=day, trades=learner.entered_on(day, published=published), published=published)
