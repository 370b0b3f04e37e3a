"""Review who may trade: read what is in force, and fold ended days into the evidence on pairs and directions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import structlog

from bot3.errors import InvalidLearningError, LearningError
from bot3.learning.promotion.permissions import NOBODY, Gate, GatedLearner, GateLedger, Permission, reviewed
from bot3.market.instants import EPOCH
from bot3.ports.learning import InForce, LearningStore
from bot3.trading.parameters import ParameterSet
from bot3.usecases.learning.learner_session import LearnerSession, trading_groups

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Result of a review.

    Parameters
    ----------
    in_force : str or None
        Version of the parameters in force, which the next publication replaces; None if there is none.
    ledger : GateLedger or None
        The gate's evidence after all ended days; None if no day has ended since the last review.
    permission : Permission
        The groups that may trade by it.
    """

    in_force: str | None
    ledger: GateLedger | None
    permission: Permission


def review(record: LearningStore, session: LearnerSession, *, now: datetime, trusts_session: bool = True) -> Review:
    """Return what learning builds on: the version in force, the evidence after all ended days, and who may trade by it.

    Parameters
    ----------
    trusts_session : bool
        Do not read the rows in force if nothing was published since the session's own publication. If that is wrong, the publication
        fails: then review again, without it.
    """
    in_force = _follow(record, session, now=now, trusts_session=trusts_session)
    learner, ledger = session.learner, review_gates(record.parameters, session.learner, session.gate, session.ledger, now=now)
    if ledger is not None:
        ledger = replace(ledger, replay_version=learner.replay_version)
    permission = reviewed(
        session.gate, ledger, horizon=learner.settings.horizon, before=session.permission, closed=learner.censored_nodes()
    )
    return Review(in_force=in_force, ledger=ledger, permission=permission)


def review_gates(
    parameters: InForce[ParameterSet], learner: GatedLearner, gate: Gate, ledger: GateLedger | None, *, now: datetime
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
        ledger = _folded(parameters, learner, gate, ledger, day=day)
    return gate.join(ledger, learner.cells())


def _folded(parameters: InForce[ParameterSet], learner: GatedLearner, gate: Gate, ledger: GateLedger, *, day: int) -> GateLedger:
    try:
        published = parameters.as_of(EPOCH + timedelta(days=day))
    except InvalidLearningError as error:
        # No group could trade by it, so the day contains no evidence on what is published.
        log.warning("day_skipped_by_gate", day=str(datetime.fromtimestamp(day * 86_400, UTC).date()), why=str(error))
        return gate.skip(ledger, day=day)
    except LearningError:
        return gate.skip(ledger, day=day)
    return gate.fold(ledger, day=day, trades=learner.entered_on(day, published=published), published=published)


def _follow(record: LearningStore, session: LearnerSession, *, now: datetime, trusts_session: bool) -> str | None:
    """Give the session the permission and evidence in force; return the version in force."""
    own = session.publication
    if trusts_session and own is not None and record.learning_token() == own.token:
        return own.version
    try:
        in_force = record.parameters.as_of(now)
    except InvalidLearningError as error:
        # Every reader rejects the values in force: no group may trade with them, and all rows are published again in their place.
        session.follow(NOBODY, _ledger(record, session, now=now))
        session.learner.forget_fit()
        return error.version
    except LearningError:
        session.follow(NOBODY, None)
        return None
    # Read after the version: a review published in between makes the version outdated, and compare-and-swap fails.
    session.follow(Permission(raised=trading_groups(in_force)), _ledger(record, session, now=now))
    return in_force.version


def _ledger(record: LearningStore, session: LearnerSession, *, now: datetime) -> GateLedger | None:
    """Return the ledger of the newest review.

    If it folded outcomes of other replays, or its rows are out of bounds, return the start of a review that folds every day again.
    """
    try:
        ledger = record.gates.as_of(now)
    except InvalidLearningError as error:
        log.error("gate_folds_again", error=str(error))  # noqa: TRY400  # the text contains all details
        return _first_ledger(record, session)
    except LearningError:
        return None
    version = session.learner.replay_version
    if ledger.replay_version == version:
        return ledger
    log.info("gate_folds_again", before=ledger.replay_version, after=version, last_day=ledger.day)
    return _first_ledger(record, session)


def _first_ledger(record: LearningStore, session: LearnerSession) -> GateLedger | None:
    try:
        first_day = record.gates.first_reviewed_day()
    except LearningError:
        return None
    return session.gate.join(session.gate.start(day=first_day), session.learner.cells())
