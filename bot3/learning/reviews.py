"""The daily review in production: what each pair and direction has shown, in plain numbers, and which rows it lets trade.

`gates` has the rule. Here its days are fed from published parameters: the bets of a day, and the settings its trades are judged under, are
those that were in force when the day began. What became known later, corrected closes included, never changes a day that was folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.gates import SCALES, STREAMS, Gates, bet_sizes, fold_day, open_nodes
from bot3.learning.groups import Group, group_key, parent_of
from bot3.learning.pooling import DAY_US, INTERVAL_Z
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet
from bot3.trading.trades import DIRECTIONS

BETTORS = STREAMS * len(SCALES)
_CLOSED = (0.0,) * BETTORS
Node = tuple[str, str]
"""(pair, direction)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the bettors of every node own.

    Parameters
    ----------
    day : int
        Days since 1970 of the last day that was folded or skipped: neither it nor a day before it is folded again.
    log_wealth : mapping
        Node to `BETTORS` logarithms of wealth, the bettors of even days first.
    """

    day: int
    log_wealth: Mapping[Node, tuple[float, ...]]

    def __post_init__(self) -> None:
        wrong = [node for node, wealth in self.log_wealth.items() if len(wealth) != BETTORS]
        if wrong:
            raise LearningError(f"a node has {BETTORS} bettors, not so {wrong}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Which groups may trade if their lower bound is above 0.

    Parameters
    ----------
    raised : frozenset of Group
        Those that do by what is in force: all that may go on between reviews.
    opened : frozenset of Node
        Nodes that a review opened: at it, their groups and no others.
    day : int or None
        Last day that the review folded; None where there is none.
    """

    raised: frozenset[Group] = frozenset()
    opened: frozenset[Node] = frozenset()
    day: int | None = None

    def allows(self, group: Group) -> bool:
        """Say whether a group may trade; rows that belong to no pair and direction never do."""
        node = node_of(group)
        return node is not None and (group in self.raised if self.day is None else node in self.opened)


NOBODY = Permission()


def node_of(group: Group) -> Node | None:
    """Return the pair and direction whose evidence opens a group; None for directions, bins and the root."""
    return None if ANY in group[:2] else group[:2]


def last_day_over(now_us: int, *, due_after_us: int) -> int:
    """Return the newest day all of whose entries have seen their whole horizon, in days since 1970."""
    return (now_us - due_after_us) // DAY_US - 1


def joined(ledger: Ledger, cells: Iterable[Group]) -> Ledger:
    """Return the ledger with both directions of every pair in it: who joins has won nothing, and counts from now on."""
    nodes = sorted({(pair, side) for pair, _, _ in cells for side in DIRECTIONS})
    return replace(ledger, log_wealth={**dict.fromkeys(nodes, _CLOSED), **ledger.log_wealth})


def skipped(ledger: Ledger, *, day: int) -> Ledger:
    """Return the ledger after a day on which nothing had been published: no bet was laid."""
    return replace(ledger, day=day)


def folded(ledger: Ledger, *, day: int, totals: Mapping[Group, float], published: ParameterSet) -> Ledger:
    """Return the ledger after a day.

    Parameters
    ----------
    totals : mapping
        Cell to the sum of the net moves of the trades that entered on the day, under the levels that were in force at its beginning.
    published : ParameterSet
        What was in force at the beginning of the day.

    Raises
    ------
    LearningError
        If the day is not the next one: each is folded once, in order.
    """
    if day != ledger.day + 1:
        raise LearningError(f"day {day} cannot be folded after day {ledger.day}")
    cells = sorted(totals)
    ledger = joined(ledger, cells)
    nodes = sorted(ledger.log_wealth)
    places = {node: place for place, node in enumerate(nodes)}
    gates = _gates(ledger, nodes, [places[cell[:2]] for cell in cells])
    bets = _bets([row_in_force(published, cell) for cell in cells])
    after = fold_day(gates, day=day, totals=np.array([totals[cell] for cell in cells], dtype=np.float64), bets=bets).log_wealth
    wealth = after.reshape(len(nodes), BETTORS).tolist()
    return Ledger(day=day, log_wealth={node: tuple(own) for node, own in zip(nodes, wealth, strict=True)})


def opened_by(ledger: Ledger) -> frozenset[Node]:
    """Return the nodes whose evidence lets their groups trade."""
    nodes = sorted(ledger.log_wealth)
    if not nodes:
        return frozenset()
    return frozenset(node for node, is_open in zip(nodes, open_nodes(_gates(ledger, nodes, [])).tolist(), strict=True) if is_open)


def row_in_force(published: ParameterSet, cell: Group) -> ExitParameters:
    """Return the row that a trade of a cell would have found: the cell's, else its parents'. Raises LearningError if there is none."""
    group: Group | None = cell
    while group is not None:
        row = published.rows.get(group_key(group))
        if row is not None:
            return row
        group = parent_of(group)
    raise LearningError(f"version {published.version} holds no row for {group_key(cell)}")


def _bets(rows: list[ExitParameters]) -> NDArray[np.float64]:
    means = np.array([row.expectancy for row in rows], dtype=np.float64)
    deviations = np.array([(row.upper_bound - row.lower_bound) / (2.0 * INTERVAL_Z) for row in rows], dtype=np.float64)
    # A walk that is stopped at -s or +t, or at the horizon, in units of sigma, has a variance of min(s t, 1) at most.
    spreads = [min(-row.stop_sigma * row.take_profit_sigma, 1.0) * row.sigma_ref**2 for row in rows]
    return bet_sizes(means, deviations, variances=np.array(spreads, dtype=np.float64))


def _gates(ledger: Ledger, nodes: list[Node], node: list[int]) -> Gates:
    wealth = np.array([ledger.log_wealth[one] for one in nodes], dtype=np.float64).reshape(len(nodes), STREAMS, len(SCALES))
    return Gates(log_wealth=wealth, raised=np.zeros(len(node), dtype=np.bool_), node=np.array(node, dtype=np.int64))
