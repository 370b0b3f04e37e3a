"""A learner in memory, with the state of the record that it has loaded trades up to, and what is published from it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.promotion.permissions import NOBODY, Gate, GateLedger, Permission
from bot3.learning.promotion.reviews import AccountGate
from bot3.learning.replay.groups import Group, group_of_key
from bot3.trading.parameters import ParameterSet, ParameterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The last parameters that a session published: their version, and the record's learning token right after the publication."""

    version: str
    token: str


class LearnerSession:
    """Owns a learner of parameters and the state around it: loaded trades, publications, and the groups that may trade.

    These functions use a record and a session, in this order: `replay_trades` loads and replays trades, `review` reads the published
    parameters and adds ended days to the gate's ledger, `learn` computes parameters from the review, `publish` writes them. `learn_params`
    calls the last three.

    Attributes
    ----------
    position : int or None
        State of the record up to which trades are loaded; None: no trades are loaded yet.
    publication : Publication or None
        What this session published last; None if it has not published yet.
    permission : Permission
        The groups that trade by the published parameters, as last read or published; no group (`NOBODY`) before the first read, and if the
        published parameters are missing or invalid.
    ledger : GateLedger or None
        The state of the gate that decides which pairs and directions may trade, as last read or published. None before the first review or
        the first read; a restarted one if the stored ledger is invalid or of another replay version.
    """

    def __init__(self, learner: ParameterLearner, *, gate: Gate | None = None) -> None:
        self.learner = learner
        self.gate: Gate = gate or AccountGate()
        self._begin()

    def _begin(self) -> None:
        self.position: int | None = None
        self.publication: Publication | None = None
        self.permission = NOBODY
        self.ledger: GateLedger | None = None
        self._touched: frozenset[Group] = frozenset()

    @property
    def touched(self) -> frozenset[Group]:
        """Return the groups whose trades or replays changed since this session's last publication."""
        return self._touched

    def restart(self) -> None:
        """Return to the state before any trade was loaded, but with the loaded candles.

        This is necessary after trades were deleted from the record, because a learner cannot remove single trades.
        """
        self.learner.forget_trades()
        self._begin()

    def touch(self, groups: AbstractSet[Group]) -> None:
        """Add groups whose trades or replays changed to `touched`."""
        self._touched |= groups

    def ingested(self, position: int) -> None:
        """Store the state of the record up to which all trades are loaded."""
        self.position = position

    def follow(self, permission: Permission, ledger: GateLedger | None) -> None:
        """Set `permission` (the groups that may trade by the published parameters) and `ledger` (the gate's state) to what the caller read.

        This method reads no record.
        """
        self.permission, self.ledger = permission, ledger

    def published(self, parameters: ParameterSet, *, is_full: bool, ledger: GateLedger | None, token: str) -> None:
        """Store what this session has published, and clear `touched`.

        Parameters
        ----------
        is_full : bool
            Whether the parameters contain all groups; if not, the other groups' published rows stay in force.
        ledger : GateLedger or None
            Ledger of the daily review that was published with them; None if no day had ended.
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
