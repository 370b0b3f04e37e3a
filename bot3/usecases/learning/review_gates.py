"""Review which pairs and directions may trade: read the published parameters, and add the outcomes of ended days to the gate's ledger."""

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
        Version of the published parameters (also if they are invalid), which the next publication replaces; None if none are published.
    ledger : GateLedger or None
        The gate's ledger after all ended days; None if no day has ended since the last review.
    permission : Permission
        The groups that may trade if their lower bound is above 0: after ended days those of the pairs and directions that the ledger opens,
        else those that trade already; in both cases without pairs and directions of which too many closes are missing.
    counted_again_from : int or None
        First day, in days since 1970, from which all days were counted again because the stored ledger was invalid, of another replay
        version, or of an earlier release; None if the stored ledger was continued.
    """

    in_force: str | None
    ledger: GateLedger | None
    permission: Permission
    counted_again_from: int | None = None


def review(record: LearningStore, session: LearnerSession, *, now: datetime, trusts_session: bool = True) -> Review:
    """Return the version of the published parameters, the gate's ledger after all ended days, and the groups that may trade.

    The session's permission and ledger are set to what is published; nothing is written to the record.

    Parameters
    ----------
    trusts_session : bool
        If True and nothing was published since the session's own publication, do not read the published parameters again. If another
        process publishes meanwhile, `publish` raises StoreConflictError: then review again with False.
    """
    in_force = _follow(record, session, now=now, trusts_session=trusts_session)
    before = session.ledger
    learner, ledger = session.learner, review_gates(record.parameters, session.learner, session.gate, session.ledger, now=now)
    if ledger is not None:
        ledger = replace(ledger, replay_version=learner.replay_version)
    permission = reviewed(session.gate, ledger, before=session.permission, closed=learner.censored_nodes())
    # Only a ledger that begins again has no version (`_first_ledger`).
    is_again = ledger is not None and before is not None and before.replay_version is None
    return Review(
        in_force=in_force,
        ledger=ledger,
        permission=permission,
        counted_again_from=before.day + 1 if is_again and before is not None else None,
    )


def review_gates(
    parameters: InForce[ParameterSet], learner: GatedLearner, gate: Gate, ledger: GateLedger | None, *, now: datetime
) -> GateLedger | None:
    """Add the trades of ended days to a gate's ledger; return the new ledger, or None if no day has ended since the last review.

    A day has ended when its last trades' horizons have ended and no replay of it or of an earlier day is pending.

    Parameters
    ----------
    ledger : GateLedger or None
        Result of the last review; None before the first one, which adds no trades, because nothing had been published before.

    Notes
    -----
    Nothing is written: the ledger is written to the record together with the parameters that are based on it, so the outcomes of a day
    count once even if the process is killed.
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
        # No group could trade with invalid parameters, so the day contains no evidence on what was published.
        log.warning("day_skipped_by_gate", day=str(datetime.fromtimestamp(day * 86_400, UTC).date()), why=str(error))
        return gate.skip(ledger, day=day)
    except LearningError:
        return gate.skip(ledger, day=day)
    return gate.fold(ledger, day=day, trades=learner.entered_on(day, published=published), published=published)


def _follow(record: LearningStore, session: LearnerSession, *, now: datetime, trusts_session: bool) -> str | None:
    """Set the session's permission and ledger to what is published; return the version of the published parameters, None without any."""
    own = session.publication
    if trusts_session and own is not None and record.learning_token() == own.token:
        return own.version
    try:
        in_force = record.parameters.as_of(now)
    except InvalidLearningError as error:
        # Every reader rejects the published values: no group may trade with them, and all rows are published again in their place.
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
    """Return the ledger of the newest review; None before the first one.

    If it contains outcomes of another replay version, or is out of bounds, return an empty ledger that starts at the first reviewed day, so
    that every day since is counted again.
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
