"""Interface between learner and gate: the trade outcomes that a gate reads, and the pairs and directions that it opens.

A learner evaluates the trades of each day under the parameters that were in force when the day began (`GatedLearner`). A gate accumulates
the days in a ledger and opens pairs and directions by it (`Gate`). A gate does not depend on candles or pooling, and a learner not on the
gate's evidence: only `usecases/learning/review_gates.py` combines the two, and the planted benchmark calls the same code. Another rule
(another ledger, other trade columns) can replace this one behind the same two protocols.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.promotion.e_process import SCALES, STREAMS
from bot3.learning.replay.groups import Group
from bot3.trading.parameters import ANY, ParameterSet

BETTORS = STREAMS * len(SCALES)
Node = tuple[str, str]
"""(pair, direction)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLedger:
    """State of a gate: the wealth of the bettors of every node.

    Parameters
    ----------
    day : int
        Last day that was folded or skipped, in days since 1970: neither it nor an earlier day is folded again.
    log_wealth : mapping
        Node to `BETTORS` logarithms of wealth, the bettors of even days first.
    replay_version : str or None
        Version of the replays whose outcomes were folded; None in ledgers of earlier releases.
    """

    day: int
    log_wealth: Mapping[Node, tuple[float, ...]]
    replay_version: str | None = None

    def __post_init__(self) -> None:
        wrong = [node for node, wealth in self.log_wealth.items() if len(wealth) != BETTORS]
        if wrong:
            raise LearningError(f"a node must have the wealth of {BETTORS} bettors, which is invalid for {wrong}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredTrades:
    """Trades that entered on one day, in order of entry: cell, net move under the levels then in force, and `worst_losses` of each."""

    cells: Sequence[Group]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]

    def of_nodes(self, nodes: Container[Node]) -> EnteredTrades:
        """Return the trades of the given nodes."""
        kept = [place for place, cell in enumerate(self.cells) if cell[:2] in nodes]
        return EnteredTrades(cells=[self.cells[place] for place in kept], net=self.net[kept], worst=self.worst[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Permission: the groups that may trade if their lower bound is above 0.

    Parameters
    ----------
    raised : frozenset of Group
        Groups that trade by the parameters in force: between reviews, only these may continue.
    opened : frozenset of Node
        Nodes opened by a review: at the review, only their groups may trade.
    day : int or None
        Last day folded by the review; None between reviews.
    closed : frozenset of Node
        Nodes with too many closes missing in their evidence (`censoring`): their groups may not trade, neither at a review nor between.
    """

    raised: frozenset[Group] = frozenset()
    opened: frozenset[Node] = frozenset()
    day: int | None = None
    closed: frozenset[Node] = frozenset()

    def allows(self, group: Group) -> bool:
        """Return whether a group may trade; never for groups without a pair and direction."""
        node = node_of(group)
        return node is not None and node not in self.closed and (group in self.raised if self.day is None else node in self.opened)


NOBODY = Permission()


class GatedLearner(Protocol):
    """Part of a learner that a gate uses: the completed days, and the outcomes of their trades under the parameters published before."""

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
    """Gate that opens pairs and directions by evidence. Methods never modify a ledger; days are folded in order, each once."""

    def start(self, *, day: int) -> GateLedger:
        """Return the ledger of a first review, which folds nothing; the first counted day is the one after `day`."""
        ...

    def join(self, ledger: GateLedger, cells: Iterable[Group]) -> GateLedger:
        """Return the ledger with both directions of every pair of the given cells added."""
        ...

    def skip(self, ledger: GateLedger, *, day: int) -> GateLedger:
        """Return the ledger after a day that began before anything was published."""
        ...

    def fold(self, ledger: GateLedger, *, day: int, trades: EnteredTrades, published: ParameterSet) -> GateLedger:
        """Return the ledger after a day. Raises LearningError if the day is not the next one."""
        ...

    def opened(self, ledger: GateLedger, *, horizon: timedelta) -> frozenset[Node]:
        """Return the nodes opened by the evidence, for trades that are open for at most a horizon."""
        ...


def node_of(group: Group) -> Node | None:
    """Return the node (pair and direction) whose evidence opens a group; None for directions, bins and the root."""
    return None if ANY in group[:2] else group[:2]


def reviewed(
    gate: Gate, ledger: GateLedger | None, *, horizon: timedelta, before: Permission, closed: frozenset[Node] = frozenset()
) -> Permission:
    """Return the permission after a review, which can open nodes; without one (`ledger` is None) only groups that trade may continue.

    Nodes that are `closed` because of missing closes may not trade in either case.
    """
    if ledger is None:
        return Permission(raised=before.raised, closed=closed)
    return Permission(raised=before.raised, opened=gate.opened(ledger, horizon=horizon), day=ledger.day, closed=closed)
