"""A learner and its position: in the record's trades, in the publications, and in the reviews of the gate."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.promotion.permissions import NOBODY, Gate, GateLedger, Permission
from bot3.learning.promotion.reviews import BettingGate
from bot3.learning.replay.groups import Group, group_of_key
from bot3.trading.parameters import ParameterSet, ParameterState


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPosition:
    """State of the record up to which a learner ingested trades: its revision, and its number of deleted trades."""

    revision: int
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The last publication of a session: its version, and the record's learning token after it."""

    version: str
    token: str


class LearnerSession:
    """Owns a learner from its first trade on, and what the learner itself must not know.

    The steps are functions of a record and a session, in one order: `replay_trades` ingests and replays, `review` reads what is in force
    and folds ended days, `learn` computes rows from the review, `publish` writes them. `learn_params` runs the last three.

    Attributes
    ----------
    position : RecordPosition or None
        What was ingested; None: nothing yet.
    publication : Publication or None
        What this session published last; None: nothing yet.
    permission : Permission
        The groups that trade by the parameters in force, as last read or published.
    ledger : GateLedger or None
        The gate's evidence in force; None before the first review.
    """

    def __init__(self, learner: ParameterLearner, *, gate: Gate | None = None) -> None:
        self.learner = learner
        self.gate: Gate = gate or BettingGate()
        self._begin()

    def _begin(self) -> None:
        self.position: RecordPosition | None = None
        self.publication: Publication | None = None
        self.permission = NOBODY
        self.ledger: GateLedger | None = None
        self._touched: frozenset[Group] = frozenset()

    @property
    def touched(self) -> frozenset[Group]:
        """Return the groups whose trades changed since the last publication."""
        return self._touched

    def restart(self) -> None:
        """Drop all trades, but no candles: the record has lost trades, and a learner cannot remove single ones."""
        self.learner.forget_trades()
        self._begin()

    def touch(self, groups: AbstractSet[Group]) -> None:
        """Note groups whose trades changed."""
        self._touched |= groups

    def ingested(self, position: RecordPosition) -> None:
        """Note that all trades up to a position were ingested."""
        self.position = position

    def follow(self, permission: Permission, ledger: GateLedger | None) -> None:
        """Replace permission and evidence by those that the record has in force."""
        self.permission, self.ledger = permission, ledger

    def published(self, parameters: ParameterSet, *, is_full: bool, ledger: GateLedger | None, token: str) -> None:
        """Note a publication of this session; a partial one leaves the other rows in force.

        Parameters
        ----------
        ledger : GateLedger or None
            Result of the review that was published with it; None if there was none.
        token : str
            The record's learning token after the publication.
        """
        others = frozenset() if is_full else self.permission.raised - {group_of_key(key) for key in parameters.rows}
        self.permission = Permission(raised=others | trading_groups(parameters))
        self.ledger = ledger or self.ledger
        self._touched = frozenset()
        self.publication = Publication(version=parameters.version, token=token)


def trading_groups(parameters: ParameterSet) -> frozenset[Group]:
    """Return the groups whose rows have the state `trade`."""
    return frozenset(group_of_key(key) for key, row in parameters.rows.items() if row.state is ParameterState.TRADE)
