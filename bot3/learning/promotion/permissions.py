"""Interface between learner and gate. The gate is the rule that decides which nodes may trade, for example pairs and directions.

A learner evaluates the trades of each day under the parameters that were in force when the day began (`GatedLearner`). A gate counts the
days in a ledger, its stored state, and opens nodes by it (`Gate`). A gate does not depend on candles or pooling, and a learner not on the
ledger: only `usecases/learning/review_gates.py` combines the two, and the planted benchmark calls the same code. Another rule (another
ledger, other trade columns) can replace this one behind the same two protocols.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.promotion.accounts import SCALES
from bot3.learning.replay.groups import Group
from bot3.trading.parameters import ANY, ParameterSet

Node = tuple[str, str]
"""(pair, direction)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAccount:
    """Accounts of one node (`accounts.Accounts`): its start, how often they were begun, the cash of each, and the sum below 0."""

    start: float
    number: int
    cash: tuple[float, ...]
    shortfall: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.start, self.shortfall, *self.cash)
        if len(self.cash) != len(SCALES) or not all(math.isfinite(value) and value >= 0.0 for value in numbers):
            raise LearningError(f"a node must have {len(SCALES)} accounts with finite cash of at least 0, which {self} has not")
        if not (0.0 < self.start <= 1.0 and self.number >= 1):
            raise LearningError(f"accounts must start with a wealth above 0 and at most 1, and be begun once or more, unlike {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBet:
    """A trade that was open at the end of the last counted day: its entry, end, net move and worst loss, and the money staked on it."""

    node: Node
    opened_us: int
    ended_us: int
    net: float
    worst: float
    stakes: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = (self.net, self.worst, *self.stakes)
        if len(self.stakes) != len(SCALES) or not all(map(math.isfinite, numbers)) or min(self.stakes) < 0.0 or self.worst <= 0.0:
            raise LearningError(
                f"an open trade must have finite numbers, {len(SCALES)} stakes and a worst loss above 0, which {self} has not"
            )
        if self.ended_us <= self.opened_us:
            raise LearningError(f"a trade must end after its entry, which {self} does not")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLedger:
    """State of a gate: the accounts of every node, and the trades that were open at the end of the last counted day.

    Parameters
    ----------
    day : int
        Last UTC day that was counted or skipped, in days since 1970: neither it nor an earlier day is counted again.
    accounts : mapping
        Accounts by node.
    open_bets : tuple of OpenBet
        Open trades, by end. All of their nodes have accounts.
    replay_version : str or None
        Version of the replays whose outcomes were counted; None in ledgers of earlier releases.
    """

    day: int
    accounts: Mapping[Node, NodeAccount] = field(default_factory=dict)
    open_bets: tuple[OpenBet, ...] = ()
    replay_version: str | None = None

    def __post_init__(self) -> None:
        unknown = {bet.node for bet in self.open_bets} - set(self.accounts)
        if unknown:
            raise LearningError(f"the ledger has open trades of {sorted(unknown)}, which have no accounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Natural logarithms of a node's evidence, and of the evidence with which it would be open if that of other nodes stayed the same."""

    log_evidence: float
    log_needed: float

    @property
    def is_open(self) -> bool:
        """Return whether the evidence is enough."""
        return self.log_evidence >= self.log_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredTrades:
    """Trades that entered on one UTC day, in order of entry.

    `cells` are their groups, `opened_us` and `ended_us` their entries and the closes of the candles in which their replays end, in
    microseconds since 1970; `net` are their net moves under the stop and target in force when the day began, `worst` their
    `accounts.worst_losses`.
    """

    cells: Sequence[Group]
    opened_us: NDArray[np.int64]
    ended_us: NDArray[np.int64]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]

    def of_nodes(self, nodes: Container[Node]) -> EnteredTrades:
        """Return the trades of the given nodes."""
        kept = [place for place, cell in enumerate(self.cells) if cell[:2] in nodes]
        columns = {name: getattr(self, name)[kept] for name in ("opened_us", "ended_us", "net", "worst")}
        return EnteredTrades(cells=[self.cells[place] for place in kept], **columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """The groups that may trade if their lower bound is above 0.

    Parameters
    ----------
    raised : frozenset of Group
        Groups in state trade by the parameters in force: between reviews only these may trade.
    opened : frozenset of Node
        Nodes opened by a review: at a review only their groups may trade.
    day : int or None
        Last day counted by the review; None between reviews.
    closed : frozenset of Node
        Nodes of which too many closes are left out or late (`censoring`): their groups may not trade in either case.
    """

    raised: frozenset[Group] = frozenset()
    opened: frozenset[Node] = frozenset()
    day: int | None = None
    closed: frozenset[Node] = frozenset()

    def allows(self, group: Group) -> bool:
        """Return whether a group may trade if its lower bound is above 0; false for groups of all pairs or both directions."""
        node = node_of(group)
        return node is not None and node not in self.closed and (group in self.raised if self.day is None else node in self.opened)


NOBODY = Permission()


class GatedLearner(Protocol):
    """The part of a learner that reviews use: the completed days, and the outcomes of their trades under the parameters in force then."""

    def last_day_over(self, *, now: datetime) -> int:
        """Return the newest day, in days since 1970, such that all its trades and all trades of earlier days are evaluated."""
        ...

    def entered_on(self, day: int, *, published: ParameterSet) -> EnteredTrades:
        """Return the trades that entered on a day, evaluated under the parameters in force at its beginning."""
        ...

    def cells(self) -> list[Group]:
        """Return the cells that contain trades."""
        ...


class Gate(Protocol):
    """A rule that opens pairs and directions by the outcomes of their trades.

    Methods return new ledgers and modify none; each day is counted (`fold`) or skipped once, in order.
    """

    def start(self, *, day: int) -> GateLedger:
        """Return the ledger of a first review, which counts no trades; the first counted day is the one after `day`."""
        ...

    def join(self, ledger: GateLedger, cells: Iterable[Group]) -> GateLedger:
        """Return the ledger with both directions of every pair of the given cells added."""
        ...

    def skip(self, ledger: GateLedger, *, day: int) -> GateLedger:
        """Return the ledger after a day that began before anything was published."""
        ...

    def fold(self, ledger: GateLedger, *, day: int, trades: EnteredTrades, published: ParameterSet) -> GateLedger:
        """Return the ledger after a day's trades were counted. Raises LearningError if the day is not the next one."""
        ...

    def opened(self, ledger: GateLedger) -> frozenset[Node]:
        """Return the nodes that the ledger opens."""
        ...


def node_of(group: Group) -> Node | None:
    """Return the pair and direction of a group; None for groups of all pairs or both directions."""
    return None if ANY in group[:2] else group[:2]


def reviewed(gate: Gate, ledger: GateLedger | None, *, before: Permission, closed: frozenset[Node] = frozenset()) -> Permission:
    """Return the groups that may trade: after a review those of the nodes that its ledger opens, without one those that trade already.

    `ledger` is None without a review; `before` has the groups that trade already. Nodes in `closed`, of which too many closes are missing,
    may not trade in either case.
    """
    if ledger is None:
        return Permission(raised=before.raised, closed=closed)
    return Permission(raised=before.raised, opened=gate.opened(ledger), day=ledger.day, closed=closed)
