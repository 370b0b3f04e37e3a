"""Interface between learner and gate. The gate is the rule that decides which pairs and directions may trade.

A learner evaluates the trades of each day under the parameters that were in force when the day began (`GatedLearner`). A gate counts the
days in a ledger, its stored state, and opens pairs and directions by it (`Gate`). A gate does not depend on candles or pooling, and a
learner not on the ledger: only `usecases/learning/review_gates.py` combines the two, and the planted benchmark calls the same code. Another
rule (another ledger, other trade columns) can replace this one behind the same two protocols.
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
        Last UTC day that was counted or skipped, in days since 1970: neither it nor an earlier day is counted again.
    log_wealth : mapping
        `BETTORS` logarithms of wealth by node, the bettors of even days first.
    replay_version : str or None
        Version of the replays whose outcomes were counted; None in ledgers of earlier releases.
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
    """Trades that entered on one UTC day, in order of entry.

    `cells` are their groups; `net` are their net moves under the stop and target in force when the day began, `worst` their
    `e_process.worst_losses`.
    """

    cells: Sequence[Group]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]

    def of_nodes(self, nodes: Container[Node]) -> EnteredTrades:
        """Return the trades of the given nodes."""
        kept = [place for place, cell in enumerate(self.cells) if cell[:2] in nodes]
        return EnteredTrades(cells=[self.cells[place] for place in kept], net=self.net[kept], worst=self.worst[kept])


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

    def opened(self, ledger: GateLedger, *, horizon: timedelta) -> frozenset[Node]:
        """Return the nodes that the ledger opens, for trades that are open for at most a horizon."""
        ...


def node_of(group: Group) -> Node | None:
    """Return the pair and direction of a group; None for groups of all pairs or both directions."""
    return None if ANY in group[:2] else group[:2]


def reviewed(
    gate: Gate, ledger: GateLedger | None, *, horizon: timedelta, before: Permission, closed: frozenset[Node] = frozenset()
) -> Permission:
    """Return the groups that may trade: after a review those of the nodes that its ledger opens, without one those that trade already.

    `ledger` is None without a review; `before` has the groups that trade already. Nodes in `closed`, of which too many closes are missing,
    may not trade in either case.
    """
    if ledger is None:
        return Permission(raised=before.raised, closed=closed)
    return Permission(raised=before.raised, opened=gate.opened(ledger, horizon=horizon), day=ledger.day, closed=closed)
