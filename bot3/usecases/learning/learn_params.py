"""Review, learn parameters, and publish them with compare-and-swap: each step is a function of the result of the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import LearningError, StoreConflictError
from bot3.learning.promotion.permissions import GateLedger, Permission
from bot3.learning.validity import problems_of
from bot3.ports.learning import LearningStore
from bot3.trading.parameters import ParameterSet
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.review_gates import Review, review

PUBLISH_ATTEMPTS = 3
_STOPS = frozenset({"stop_loss", "stop_move", "stop_sigma"})
_TARGETS = frozenset({"take_profit_target", "take_profit_move", "take_profit_sigma"})
_INTERVALS = frozenset({"expectancy", "lower_bound", "upper_bound", "own_share"})
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition on data or learned values, whether it is met, and as text what violates it ("none" if nothing does)."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Learned parameters that have passed all checks and are not published yet, and the review that they are based on.

    `is_full` is whether they contain all groups; otherwise only those whose trades changed.
    """

    parameters: ParameterSet
    is_full: bool
    review: Review
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnOutcome:
    """Result of learning.

    Parameters
    ----------
    published : ParameterSet or None
        The published parameters; None if no trades had changed and no full run was due, so that nothing was published.
    revision : int
        The record's revision after the publication; without one, the revision up to which trades were read.
    ledger, permission : GateLedger or None, Permission or None
        The state of the gate after a daily review, and the groups that may trade by it; None if no day had ended since the last review.
    counted_again_from : int or None
        As in `Review`.
    """

    published: ParameterSet | None
    is_full: bool
    revision: int
    checks: tuple[Check, ...]
    ledger: GateLedger | None = None
    permission: Permission | None = None
    counted_again_from: int | None = None


def learn_params(
    record: LearningStore,
    session: LearnerSession,
    *,
    now: datetime,
    computed_at: datetime,
    life: timedelta,
    trades_revision: int,
    full: bool = False,
) -> LearnOutcome:
    """Review which groups may trade, learn parameters from the trades loaded by `replay_trades`, check them, and publish them.

    Parameters
    ----------
    now : datetime
        Market time.
    computed_at : datetime
        Wall time, which is published with the parameters.
    life : timedelta
        Market time until the parameters expire.
    trades_revision : int
        The record's revision up to which trades were loaded.
    full : bool
        Refit pooling and publish the rows of all groups. This is also done if this session has not done it yet, if no valid parameters are
        published, and when a day has ended since the last review, which then decides which pairs and directions may trade.

    Raises
    ------
    LearningError
        If a check fails: the last valid publication stays in force.
    StoreConflictError
        If other processes published in between in each of `PUBLISH_ATTEMPTS` attempts, or published parameters that take effect after
        `now`: call again with a later `now`, nothing is lost.
    """
    for attempt in range(PUBLISH_ATTEMPTS):
        found = review(record, session, now=now, trusts_session=attempt == 0)
        learned = learn(record, session, found, now=now, computed_at=computed_at, life=life, trades_revision=trades_revision, full=full)
        if learned is None:
            return LearnOutcome(published=None, is_full=False, revision=trades_revision, checks=())
        try:
            return publish(record, session, learned)
        except StoreConflictError:
            if attempt == PUBLISH_ATTEMPTS - 1:
                raise
    raise StoreConflictError("parameters could not be published: run it again")


def learn(
    record: LearningStore,
    session: LearnerSession,
    found: Review,
    *,
    now: datetime,
    computed_at: datetime,
    life: timedelta,
    trades_revision: int,
    full: bool = False,
) -> Learned | None:
    """Learn parameters from the session's trades and a review, without publishing them.

    None if no full run is due and no trades have changed since the session's last publication.

    Raises
    ------
    LearningError
        If a row is out of bounds.
    """
    learner = session.learner
    is_full = full or learner.hyper is None or found.in_force is None or found.ledger is not None
    if is_full:
        parameters = learner.learn_all(
            now=now,
            computed_at=computed_at,
            life=life,
            revision=trades_revision,
            permission=found.permission,
            regimes=_regimes(record, session, now=now),
        )
    elif session.touched:
        if session.publication is None or found.in_force != session.publication.version:
            # Another process published since, most likely all rows: refit the parents, as that process did.
            learner.refit(now=now, regimes=_regimes(record, session, now=now))
        parameters = learner.learn_touched(
            session.touched, now=now, computed_at=computed_at, life=life, revision=trades_revision, permission=found.permission
        )
    else:
        return None
    checks = check_parameters(parameters)
    _require(checks)
    return Learned(parameters=parameters, is_full=is_full, review=found, checks=checks)


def publish(record: LearningStore, session: LearnerSession, learned: Learned) -> LearnOutcome:
    """Publish learned parameters in place of the version that the review read, with the ledger of the review if a day had ended.

    Raises
    ------
    StoreConflictError
        If another process published since the review: review again.
    """
    parameters, is_full, found = learned.parameters, learned.is_full, learned.review
    windows = session.learner.windows(parameters.rows)
    revision = record.parameters.publish(parameters, replaces=found.in_force, is_full=is_full, ledger=found.ledger, windows=windows)
    session.published(parameters, is_full=is_full, ledger=found.ledger, token=record.learning_token())
    return LearnOutcome(
        published=parameters,
        is_full=is_full,
        revision=revision,
        checks=learned.checks,
        ledger=found.ledger,
        permission=None if found.ledger is None else found.permission,
        counted_again_from=found.counted_again_from,
    )


def check_parameters(parameters: ParameterSet) -> tuple[Check, ...]:
    """Check that every row is within the bounds that readers of a publication validate; return all checks, the failed ones included."""
    wrong = [(row.key, field, problem) for row in parameters.rows.values() for field, problem in problems_of(row).items()]

    def check(name: str, is_part: Callable[[str], bool]) -> Check:
        found = [f"{key}: {field} {problem}" for key, field, problem in wrong if is_part(field)]
        return Check(name=name, passed=not found, detail="; ".join(found[:_SHOWN]) or "none")

    return (
        check("parameters_are_finite", lambda field: field not in _STOPS | _TARGETS | _INTERVALS),
        check("no_stop_is_zero_or_beyond_liquidation", _STOPS.__contains__),
        check("no_target_is_under_its_fees", _TARGETS.__contains__),
        check("intervals_hold_their_means", _INTERVALS.__contains__),
    )


def _require(checks: tuple[Check, ...]) -> None:
    failed = [f"{check.name} ({check.detail})" for check in checks if not check.passed]
    if failed:
        raise LearningError(f"parameters were not published, the last valid ones stay in force: {'; '.join(failed)}")


def _regimes(record: LearningStore, session: LearnerSession, *, now: datetime) -> pd.DataFrame:
    start = session.learner.first_open() or now
    return record.regimes.frame(start=start - timedelta(days=1), end=now)
