"""The interface between learner and gate: what a gate reads of the trades, and which pairs and directions it opens.

A learner judges the trades of each day under the parameters that were in force when the day began (`GatedLearner`). A gate adds the days up
in a ledger and opens pairs and directions by it (`Gate`). A gate knows nothing of candles and pooling, a learner nothing of evidence:
`usecases/review_gates.py` is the only code that joins the two, and the planted benchmark calls it as production does. Another rule (another
ledger, other trade columns) takes the place of this one behind the same two protocols.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.gates import SCALES, STREAMS
from bot3.learning.groups import Group
from bot3.trading.parameters import ANY, ParameterSet

BETTORS = STREAMS * len(SCALES)
Node = tuple[str, str]
"""(pair, direction)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The state of a gate: what the bettors of every node own.

    Parameters
    ----------
    day : int
        Days since 1970 of the last day that was folded or skipped: neither it nor a day before it is folded again.
    log_wealth : mapping
        Node to `BETTORS` logarithms of wealth, the bettors of even days first.
    replay_version : str or None
        Version of the replays whose outcomes were folded; None in what an earlier release left.
    """

    day: int
    log_wealth: Mapping[Node, tuple[float, ...]]
    replay_version: str | None = None

    def __post_init__(self) -> None:
        wrong = [node for node, wealth in self.log_wealth.items() if len(wealth) != BETTORS]
        if wrong:
            raise LearningError(f"a node has {BETTORS} bettors, not so {wrong}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnteredTrades:
    """Trades that entered on one day, by entry: cell, net move under the levels then in force, and `worst_losses` of each."""

    cells: Sequence[Group]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]

    def of_nodes(self, nodes: Container[Node]) -> EnteredTrades:
        """Return the trades of some nodes."""
        kept = [place for place, cell in enumerate(self.cells) if cell[:2] in nodes]
        return EnteredTrades(cells=[self.cells[place] for place in kept], net=self.net[kept], worst=self.worst[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Which groups may trade if their lower bound is above 0.

    Parameters
    ----------
    raised : frozenset of Group
        Groups that trade by the parameters in force: only these may go on between reviews.
    opened : frozenset of Node
        Nodes that a review opened: at it, their groups and no others.
    day : int or None
        Last day that the review folded; None between reviews.
    closed : frozenset of Node
        Nodes whose evidence lacks too many closes (`censoring`): none of their groups may trade, at a review or between.
    """

    raised: frozenset[Group] = frozenset()
    opened: frozenset[Node] = frozenset()
    day: int | None = None
    closed: frozenset[Node] = frozenset()

    def allows(self, group: Group) -> bool:
        """Return whether a group may trade; rows that belong to no pair and direction never do."""
        node = node_of(group)
        return node is not None and node not in self.closed and (group in self.raised if self.day is None else node in self.opened)


NOBODY = Permission()


class GatedLearner(Protocol):
    """A learner as a gate sees it: the days that are over, and how their trades ended under what was published before them."""

    def last_day_over(self, *, now: datetime) -> int:
        """Return the newest day whose trades are all judged, in days since 1970; so are all days before it."""
        ...

    def entered_on(self, day: int, *, published: ParameterSet) -> EnteredTrades:
        """Return the trades that entered on a day, judged under the parameters in force at its beginning."""
        ...

    def cells(self) -> list[Group]:
        """Return the cells that hold trades."""
        ...


class Gate(Protocol):
    """Opens pairs and directions by evidence. Every method returns a new ledger; days are folded in order, each once."""

    def start(self, *, day: int) -> Ledger:
        """Return the ledger of a first review, which folds nothing; the day after `day` is the first that counts."""
        ...

    def join(self, ledger: Ledger, cells: Iterable[Group]) -> Ledger:
        """Return the ledger with both directions of every pair of some cells in it."""
        ...

    def skip(self, ledger: Ledger, *, day: int) -> Ledger:
        """Return the ledger after a day that began before anything was published."""
        ...

    def fold(self, ledger: Ledger, *, day: int, trades: EnteredTrades, published: ParameterSet) -> Ledger:
        """Return the ledger after a day. Raises LearningError if the day is not the next one."""
        ...

    def opened(self, ledger: Ledger, *, horizon: timedelta) -> frozenset[Node]:
        """Return the nodes that the evidence opens, for trades that are held for a horizon at most."""
        ...


def node_of(group: Group) -> Node | None:
    """Return the pair and direction whose evidence opens a group; None for directions, bins and the root."""
    return None if ANY in group[:2] else group[:2]


def reviewed(
    gate: Gate, ledger: Ledger | None, *, horizon: timedelta, before: Permission, closed: frozenset[Node] = frozenset()
) -> Permission:
    """Return the permission after a review, which alone opens; without one (None), only what traded before may go on.

    Nodes that are `closed` for want of closes may not trade in either case.
    """
    if ledger is None:
        return Permission(raised=before.raised, closed=closed)
    return Permission(raised=before.raised, opened=gate.opened(ledger, horizon=horizon), day=ledger.day, closed=closed)
