"""The rule in use that decides which pairs and directions may trade: daily bets on them, by the published parameters (`e_process`).

The bets of a day, and the stops and targets under which its trades are evaluated, are those in force when the day began. Information that
becomes known after a day was counted, including corrected closes, does not change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z
from bot3.learning.promotion.e_process import SCALES, STREAMS, DayTrades, bet_sizes, fold_day, joiners, open_nodes
from bot3.learning.promotion.permissions import BETTORS, EnteredTrades, GateLedger, Node
from bot3.learning.replay.groups import Group, group_key, parent_of
from bot3.market.instants import DAY_US
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.trades import DIRECTIONS

LONGEST_HORIZON = timedelta(days=STREAMS - 1)
"""Longest horizon with which nodes are opened: the trades of a day must be over before its stream's next day begins."""
_CLOSED = (0.0,) * BETTORS


class BettingGate:
    """Gate that opens a pair and direction once bets against "nothing here earns" have grown enough (`permissions.Gate`)."""

    def start(self, *, day: int) -> GateLedger:
        """Return the ledger of a first review: nothing was published before, so no trades are counted."""
        return GateLedger(day=day, log_wealth={})

    def join(self, ledger: GateLedger, cells: Iterable[Group]) -> GateLedger:
        """Return the ledger with both directions of every pair added; a new one starts with the mean wealth of the others, at most 1."""
        nodes = sorted({(pair, side) for pair, _, _ in cells for side in DIRECTIONS} - set(ledger.log_wealth))
        if not nodes:
            return ledger
        held = list(ledger.log_wealth.values())
        start = tuple(joiners(_shaped(held)).ravel().tolist()) if held else _CLOSED
        return replace(ledger, log_wealth={**dict.fromkeys(nodes, start), **ledger.log_wealth})

    def skip(self, ledger: GateLedger, *, day: int) -> GateLedger:
        """Return the ledger after a day without published parameters, on which there are no bets."""
        return replace(ledger, day=day)

    def fold(self, ledger: GateLedger, *, day: int, trades: EnteredTrades, published: ParameterSet) -> GateLedger:
        """Return the ledger after a day's trades were counted.

        Parameters
        ----------
        trades : EnteredTrades
            Trades that entered on the day, with their outcomes under the stops and targets in force at its beginning; trades of pairs that
            were not added by `join` are ignored.
        published : ParameterSet
            Parameters in force at the beginning of the day.

        Raises
        ------
        LearningError
            If the day is not the next one: each day is counted once, in order.
        """
        if day != ledger.day + 1:
            raise LearningError(f"day {day} cannot be counted after day {ledger.day}: count each day once, in order")
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

    def opened(self, ledger: GateLedger, *, horizon: timedelta) -> frozenset[Node]:
        """Return the nodes that the ledger opens; none if trades may be open for longer than `LONGEST_HORIZON`."""
        nodes = sorted(ledger.log_wealth)
        if not nodes or horizon > LONGEST_HORIZON:
            return frozenset()
        flags = open_nodes(_shaped([ledger.log_wealth[node] for node in nodes])).tolist()
        return frozenset(node for node, is_open in zip(nodes, flags, strict=True) if is_open)


def last_day_over(now_us: int, *, due_after_us: int) -> int:
    """Return the newest UTC day, in days since 1970, for which the replays of all possible entries are due."""
    return (now_us - due_after_us) // DAY_US - 1


def row_in_force(published: ParameterSet, cell: Group) -> ExitParameters:
    """Return the row that a trade of a cell uses: the cell's, else that of its nearest parent. Raises LearningError if there is none."""
    group: Group | None = cell
    while group is not None:
        row = published.rows.get(group_key(group))
        if row is not None:
            return row
        group = parent_of(group)
    raise LearningError(f"version {published.version} contains no row for {group_key(cell)}: publish the parameters again in full")


def bets_on(cells: Iterable[Group], published: ParameterSet) -> dict[Group, float]:
    """Compute the bet per unit of net move for each cell, from the row that its trades use."""
    found = sorted(set(cells))
    rows = [row_in_force(published, cell) for cell in found]
    means = np.array([row.expectancy for row in rows], dtype=np.float64)
    deviations = np.array([(row.upper_bound - row.lower_bound) / (2.0 * INTERVAL_Z) for row in rows], dtype=np.float64)
    # In units of sigma, a random walk that ends at -s, at +t, or at the horizon has a variance of at most min(s t, 1).
    spreads = [min(-row.stop_sigma * row.take_profit_sigma, 1.0) * row.sigma_ref**2 for row in rows]
    bets = bet_sizes(means, deviations, variances=np.array(spreads, dtype=np.float64))
    return dict(zip(found, bets.tolist(), strict=True))


def _shaped(wealth: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    return np.array(wealth, dtype=np.float64).reshape(len(wealth), STREAMS, len(SCALES))
