"""Learn parameters and publish them with compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd
import structlog

from bot3.errors import InvalidLearningError, LearningError, StoreConflictError
from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.promotion.permissions import NOBODY, GateLedger, Permission, reviewed
from bot3.learning.replay.groups import Group, group_of_key
from bot3.learning.validity import problems_of
from bot3.ports.record import LearningStore
from bot3.trading.parameters import ParameterSet, ParameterState
from bot3.usecases.learning.review_gates import review_gates

PUBLISH_ATTEMPTS = 3
_STOPS = frozenset({"stop_loss", "stop_move", "stop_sigma"})
_TARGETS = frozenset({"take_profit_target", "take_profit_move", "take_profit_sigma"})
_INTERVALS = frozenset({"expectancy", "lower_bound", "upper_bound", "own_share"})
_SHOWN = 5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition on the learned values, and the values that violate it."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnOutcome:
    """Result of learning: what was published, None if no group was touched.

    `ledger` is the result of a daily review, and `permission` what it decided: None if no day had ended.
    """

    published: ParameterSet | None
    is_full: bool
    revision: int
    checks: tuple[Check, ...]
    ledger: GateLedger | None = None
    permission: Permission | None = None


def learn_params(
    record: LearningStore,
    learner: ParameterLearner,
    *,
    now: datetime,
    computed_at: datetime,
    life: timedelta,
    trades_revision: int,
    full: bool = False,
) -> LearnOutcome:
    """Learn from the learner's trades (see `replay_trades`), check the result, and publish it.

    Parameters
    ----------
    life : timedelta
        Market time until the parameters expire.
    full : bool
        Refit pooling and republish every row. This is also done if this learner never did, if nothing is in force, and once a day: when a
        day has ended, a review decides who may trade.

    Raises
    ------
    LearningError
        If a check fails: the last valid publication stays in force.
    StoreConflictError
        If other processes published in between, `PUBLISH_ATTEMPTS` times, or at a later `now`: call again with a new one, nothing is lost.
    """
    for attempt in range(PUBLISH_ATTEMPTS):
        in_force = _version_in_force(record, learner, now=now, is_first=attempt == 0)
        ledger = _reviewed_ledger(record, learner, now=now)
        is_full = full or learner.hyper is None or in_force is None or ledger is not None
        if not is_full and not learner.touched:
            return LearnOutcome(published=None, is_full=False, revision=trades_revision, checks=())
        permission = reviewed(
            learner.gate, ledger, horizon=learner.settings.horizon, before=learner.permission, closed=learner.censored_nodes()
        )
        learner.permission = permission
        learned = _learn(
            record, learner, now=now, computed_at=computed_at, life=life, revision=trades_revision, is_full=is_full, in_force=in_force
        )
        checks = check_parameters(learned)
        _require(checks)
        windows = learner.windows(learned.rows)
        try:
            revision = record.publish_parameters(learned, replaces=in_force, is_full=is_full, ledger=ledger, windows=windows)
        except StoreConflictError:
            if attempt == PUBLISH_ATTEMPTS - 1:
                raise
            continue
        _note_published(record, learner, learned, is_full=is_full, ledger=ledger)
        return LearnOutcome(
            published=learned,
            is_full=is_full,
            revision=revision,
            checks=checks,
            ledger=ledger,
            permission=None if ledger is None else permission,
        )
    raise StoreConflictError("parameters could not be published: run it again")


def _note_published(
    record: LearningStore, learner: ParameterLearner, learned: ParameterSet, *, is_full: bool, ledger: GateLedger | None
) -> None:
    kept = frozenset() if is_full else learner.permission.raised - {group_of_key(key) for key in learned.rows}
    learner.permission = Permission(raised=kept | _trading(learned))
    learner.ledger = ledger or learner.ledger
    learner.touched.clear()
    learner.published_version, learner.published_token = learned.version, record.learning_token()


def _trading(parameters: ParameterSet) -> frozenset[Group]:
    return frozenset(group_of_key(key) for key, row in parameters.rows.items() if row.state is ParameterState.TRADE)


def check_parameters(parameters: ParameterSet) -> tuple[Check, ...]:
    """Return the checks that every row must pass before publication: the bounds that every reader validates."""
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


def _version_in_force(record: LearningStore, learner: ParameterLearner, *, now: datetime, is_first: bool) -> str | None:
    # Nothing was published since: the rows need not be read. If that is wrong, compare-and-swap fails and everything is read again.
    if is_first and learner.published_version is not None and record.learning_token() == learner.published_token:
        return learner.published_version
    try:
        in_force = record.parameters(as_of=now)
    except InvalidLearningError as error:
        # Every reader rejects the values in force: no group may trade with them, and all rows are published again in their place.
        learner.permission, learner.ledger, learner.hyper = NOBODY, _ledger(record, learner, now=now), None
        return error.version
    except LearningError:
        learner.permission, learner.ledger = NOBODY, None
        return None
    # Read after the version: a review published in between makes the version outdated, and compare-and-swap fails.
    learner.permission, learner.ledger = Permission(raised=_trading(in_force)), _ledger(record, learner, now=now)
    return in_force.version


def _ledger(record: LearningStore, learner: ParameterLearner, *, now: datetime) -> GateLedger | None:
    """Return the ledger of the newest review.

    If it folded outcomes of other replays, or its rows are out of bounds, return the start of a review that folds every day again.
    """
    try:
        ledger = record.ledger(as_of=now)
    except InvalidLearningError as error:
        log.error("gate_folds_again", error=str(error))  # noqa: TRY400  # the text contains all details
        return _first_ledger(record, learner)
    except LearningError:
        return None
    if ledger.replay_version == learner.replay_version:
        return ledger
    log.info("gate_folds_again", before=ledger.replay_version, after=learner.replay_version, last_day=ledger.day)
    return _first_ledger(record, learner)


def _first_ledger(record: LearningStore, learner: ParameterLearner) -> GateLedger | None:
    try:
        first_day = record.first_reviewed_day()
    except LearningError:
        return None
    return learner.gate.join(learner.gate.start(day=first_day), learner.cells())


def _reviewed_ledger(record: LearningStore, learner: ParameterLearner, *, now: datetime) -> GateLedger | None:
    ledger = review_gates(record, learner, learner.gate, learner.ledger, now=now)
    return None if ledger is None else replace(ledger, replay_version=learner.replay_version)


def _learn(
    record: LearningStore,
    learner: ParameterLearner,
    *,
    now: datetime,
    computed_at: datetime,
    life: timedelta,
    revision: int,
    is_full: bool,
    in_force: str | None,
) -> ParameterSet:
    if is_full:
        return learner.learn_all(now=now, computed_at=computed_at, life=life, revision=revision, regimes=_regimes(record, learner, now=now))
    if in_force != learner.published_version:
        # Another process published since, most likely in full: use the parents of today, as it does.
        learner.refit(now=now, regimes=_regimes(record, learner, now=now))
    return learner.learn_touched(now=now, computed_at=computed_at, life=life, revision=revision)


def _regimes(record: LearningStore, learner: ParameterLearner, *, now: datetime) -> pd.DataFrame:
    start = learner.first_open() or now
    return record.regimes_frame(start=start - timedelta(days=1), end=now)
