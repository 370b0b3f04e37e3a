"""The gate in force: daily bets, fed from published parameters, decide which pairs and directions are open.

`gates` has the rule. The bets of a day, and the settings its trades are judged under, are those that were in force when the day began. What
became known later, corrected closes included, never changes a day that was folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.gates import SCALES, STREAMS, DayTrades, bet_sizes, fold_day, joiners, open_nodes
from bot3.learning.groups import Group, group_key, parent_of
from bot3.learning.permissions import BETTORS, EnteredTrades, Ledger, Node
from bot3.learning.pooling import DAY_US, INTERVAL_Z
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.trades import DIRECTIONS

LONGEST_HORIZON = timedelta(days=STREAMS - 1)
"""A day must be over before its stream's next one begins: by trades that are held longer, no node is opened."""
_CLOSED = (0.0,) * BETTORS


class BettingGate:
    """Opens a pair and direction once bets against "nothing here earns" have grown enough (`permissions.Gate`)."""

    def start(self, *, day: int) -> Ledger:
        """Return the ledger of a first review: nothing had been published, so nothing is folded."""
        return Ledger(day=day, log_wealth={})

    def join(self, ledger: Ledger, cells: Iterable[Group]) -> Ledger:
        """Return the ledger with both directions of every pair in it; a new node starts with the mean of the others, 1 at most."""
        nodes = sorted({(pair, side) for pair, _, _ in cells for side in DIRECTIONS} - set(ledger.log_wealth))
        if not nodes:
            return ledger
        held = list(ledger.log_wealth.values())
        start = tuple(joiners(_shaped(held)).ravel().tolist()) if held else _CLOSED
        return replace(ledger, log_wealth={**dict.fromkeys(nodes, start), **ledger.log_wealth})

    def skip(self, ledger: Ledger, *, day: int) -> Ledger:
        """Return the ledger after a day on which nothing had been published: there are no bets."""
        return replace(ledger, day=day)

    def fold(self, ledger: Ledger, *, day: int, trades: EnteredTrades, published: ParameterSet) -> Ledger:
        """Return the ledger after a day.

        Parameters
        ----------
        trades : EnteredTrades
            Trades that entered on the day, under the levels in force at its beginning; nodes that have not joined are left out.
        published : ParameterSet
            What was in force at the beginning of the day.

        Raises
        ------
        LearningError
            If the day is not the next one: each is folded once, in order.
        """
        if day != ledger.day + 1:
            raise LearningError(f"day {day} cannot be folded after day {ledger.day}")
        trades = trades.of_nodes(ledger.log_wealth)
        if not trades.cells:
            return replace(ledger, day=day)
        nodes = sorted(ledger.log_wealth)
        places = {node: place for place, node in enumerate(nodes)}
        bets = bets_on(trades.cells, published)
        entered = DayTrades(
            node=np.array([places[cell[:2]] for cell in trades.cells], dtype=np.int64),
            net=trades.net,
            worst=trades.worst,
            bet=np.array([bets[cell] for cell in trades.cells], dtype=np.float64),
        )
        wealth = fold_day(_shaped([ledger.log_wealth[node] for node in nodes]), day=day, trades=entered)
        own = wealth.reshape(len(nodes), BETTORS).tolist()
        return replace(ledger, day=day, log_wealth={node: tuple(row) for node, row in zip(nodes, own, strict=True)})

    def opened(self, ledger: Ledger, *, horizon: timedelta) -> frozenset[Node]:
        """Return the nodes that the evidence opens; none where trades may be held longer than `LONGEST_HORIZON`."""
        nodes = sorted(ledger.log_wealth)
        if not nodes or horizon > LONGEST_HORIZON:
            return frozenset()
        flags = open_nodes(_shaped([ledger.log_wealth[node] for node in nodes])).tolist()
        return frozenset(node for node, is_open in zip(nodes, flags, strict=True) if is_open)


def last_day_over(now_us: int, *, due_after_us: int) -> int:
    """Return the newest day all of whose entries have seen their whole horizon, in days since 1970."""
    return (now_us - due_after_us) // DAY_US - 1


def row_in_force(published: ParameterSet, cell: Group) -> ExitParameters:
    """Return the row that a trade of a cell would have found: the cell's, else its parents'. Raises LearningError if there is none."""
    group: Group | None = cell
    while group is not None:
        row = published.rows.get(group_key(group))
        if row is not None:
            return row
        group = parent_of(group)
    raise LearningError(f"version {published.version} holds no row for {group_key(cell)}")


def bets_on(cells: Iterable[Group], published: ParameterSet) -> dict[Group, float]:
    """Return the bet on each unit of net move of cells, by the row in force of each."""
    found = sorted(set(cells))
    rows = [row_in_force(published, cell) for cell in found]
    means = np.array([row.expectancy for row in rows], dtype=np.float64)
    deviations = np.array([(row.upper_bound - row.lower_bound) / (2.0 * INTERVAL_Z) for row in rows], dtype=np.float64)
    # A walk that is stopped at -s or +t, or at the horizon, in units of sigma, has a variance of min(s t, 1) at most.
    spreads = [min(-row.stop_sigma * row.take_profit_sigma, 1.0) * row.sigma_ref**2 for row in rows]
    bets = bet_sizes(means, deviations, variances=np.array(spreads, dtype=np.float64))
    return dict(zip(found, bets.tolist(), strict=True))


def _shaped(wealth: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    return np.array(wealth, dtype=np.float64).reshape(len(wealth), STREAMS, len(SCALES))
