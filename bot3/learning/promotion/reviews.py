"""The gate in force: margin accounts bet on every trade of a pair and direction, and closed e-BH selects those with enough evidence.

The asked shares of a day, and the stops and targets under which its trades are evaluated, are those in force when the day began.
Information that becomes known after a day was counted, including corrected closes, does not change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from bot3.errors import LearningError
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z
from bot3.learning.promotion.accounts import SCALES, Accounts, Bets, asked_shares, first_cash, no_bets
from bot3.learning.promotion.closed_testing import needed, selected
from bot3.learning.promotion.permissions import EnteredTrades, GateLedger, Node, NodeAccount, OpenBet, Progress
from bot3.learning.promotion.settlement import fold
from bot3.learning.replay.groups import Group, group_key, parent_of
from bot3.market.instants import DAY_US
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.trade_classes import horizon_of
from bot3.trading.trades import DIRECTIONS


class AccountGate:
    """Gate that opens a node once its accounts have grown enough by bets against "nothing here earns" (`permissions.Gate`)."""

    def start(self, *, day: int) -> GateLedger:
        """Return the ledger of a first review: nothing was published before, so no trades are counted."""
        return GateLedger(day=day)

    def join(self, ledger: GateLedger, cells: Iterable[Group]) -> GateLedger:
        """Return the ledger with both directions of every pair added.

        A new node starts with the mean evidence of the others, at most 1: with more, each new node would cancel past losses, and the mean
        evidence over all nodes would no longer be a supermartingale.
        """
        nodes = sorted({(pair, side) for pair, _, _ in cells for side in DIRECTIONS} - set(ledger.accounts))
        if not nodes:
            return ledger
        start = min(float(_accounts_of(ledger).evidence().mean()), 1.0) if ledger.accounts else 1.0
        cash = float(first_cash(np.array([start]), np.ones(1, dtype=np.int64))[0])
        joined = NodeAccount(start=start, number=1, cash=(cash,) * len(SCALES))
        return replace(ledger, accounts={**ledger.accounts, **dict.fromkeys(nodes, joined)})

    def skip(self, ledger: GateLedger, *, day: int) -> GateLedger:
        """Return the ledger after a day without published parameters: no trade of it is bet on, and open trades that end are settled."""
        return _ledger_of(fold(_accounts_of(ledger), no_bets(), until_us=(day + 1) * DAY_US), ledger, day=day)

    def fold(self, ledger: GateLedger, *, day: int, trades: EnteredTrades, published: ParameterSet) -> GateLedger:
        """Return the ledger at the end of a day.

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
            If the day is not the next one, or a trade entered on another day: each day is counted once, in order.
        """
        if day != ledger.day + 1:
            raise LearningError(f"day {day} cannot be counted after day {ledger.day}: count each day once, in order")
        trades = trades.of_nodes(ledger.accounts)
        if not bool((trades.opened_us // DAY_US == day).all()):
            raise LearningError(f"only trades that entered on day {day} can be counted on it")
        asked = shares_on(trades.cells, published)
        places = {node: place for place, node in enumerate(sorted(ledger.accounts))}
        entered = Bets(
            node=np.array([places[cell[:2]] for cell in trades.cells], dtype=np.int64),
            opened_us=trades.opened_us,
            ended_us=trades.ended_us,
            net=trades.net,
            worst=trades.worst,
            stakes=np.array([asked[cell] for cell in trades.cells], dtype=np.float64)[:, None] * np.array(SCALES),
        )
        return _ledger_of(fold(_accounts_of(ledger), entered, until_us=(day + 1) * DAY_US), ledger, day=day)

    def opened(self, ledger: GateLedger) -> frozenset[Node]:
        """Return the nodes that the ledger opens."""
        flags = selected(_accounts_of(ledger).evidence()).tolist()
        return frozenset(node for node, is_open in zip(sorted(ledger.accounts), flags, strict=True) if is_open)


def progress(ledger: GateLedger) -> dict[Node, Progress]:
    """Return the evidence of each node of a ledger, and how much is needed to open it."""
    evidence = _accounts_of(ledger).evidence()
    logs = (np.log(np.maximum(evidence, np.finfo(np.float64).tiny)).tolist(), np.log(needed(evidence)).tolist())
    rows = zip(sorted(ledger.accounts), *logs, strict=True)
    return {node: Progress(log_evidence=own, log_needed=enough) for node, own, enough in rows}


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


def shares_on(cells: Iterable[Group], published: ParameterSet) -> dict[Group, float]:
    """Compute the asked share of cash per unit of net move for each cell, from the row that its trades use."""
    found = sorted(set(cells))
    rows = [row_in_force(published, cell) for cell in found]
    means = np.array([row.expectancy for row in rows], dtype=np.float64)
    deviations = np.array([(row.upper_bound - row.lower_bound) / (2.0 * INTERVAL_Z) for row in rows], dtype=np.float64)
    # In units of sigma, a random walk that ends at -s, at +t, or at the horizon has a variance of at most min(s t, 1).
    spreads = [min(-row.stop_sigma * row.take_profit_sigma, 1.0) * _sigma_of(cell, row) ** 2 for cell, row in zip(found, rows, strict=True)]
    shares = asked_shares(means, deviations, variances=np.array(spreads, dtype=np.float64))
    return dict(zip(found, shares.tolist(), strict=True))


def _sigma_of(cell: Group, row: ExitParameters) -> float:
    """Return a row's volatility over the horizon of a cell: a horizon without own rows uses the row of all trades of 24 h."""
    return row.sigma_ref * horizon_of(cell[2]).sigma_factor / row.horizon.sigma_factor


def _accounts_of(ledger: GateLedger) -> Accounts:
    """Return the accounts of a ledger as arrays, with its nodes in sorted order."""
    nodes = sorted(ledger.accounts)
    held = [ledger.accounts[node] for node in nodes]
    return Accounts(
        start=np.array([account.start for account in held]),
        number=np.array([account.number for account in held], dtype=np.int64),
        cash=np.array([account.cash for account in held]).reshape(len(held), len(SCALES)),
        shortfall=np.array([account.shortfall for account in held]),
        bets=_bets_of(ledger.open_bets, nodes),
    )


def _bets_of(held: Sequence[OpenBet], nodes: Sequence[Node]) -> Bets:
    places = {node: place for place, node in enumerate(nodes)}
    return Bets(
        node=np.array([places[bet.node] for bet in held], dtype=np.int64),
        opened_us=np.array([bet.opened_us for bet in held], dtype=np.int64),
        ended_us=np.array([bet.ended_us for bet in held], dtype=np.int64),
        net=np.array([bet.net for bet in held]),
        worst=np.array([bet.worst for bet in held]),
        stakes=np.array([bet.stakes for bet in held]).reshape(len(held), len(SCALES)),
    )


def _ledger_of(accounts: Accounts, before: GateLedger, *, day: int) -> GateLedger:
    nodes, bets = sorted(before.accounts), accounts.bets
    columns = (accounts.start, accounts.number, accounts.cash, accounts.shortfall)
    rows = zip(nodes, *(column.tolist() for column in columns), strict=True)
    order = np.argsort(bets.ended_us, kind="stable")
    names = (bets.node, bets.opened_us, bets.ended_us, bets.net, bets.worst, bets.stakes)
    opened = zip(*(column[order].tolist() for column in names), strict=True)
    return replace(
        before,
        day=day,
        accounts={
            node: NodeAccount(start=start, number=number, cash=tuple(cash), shortfall=below) for node, start, number, cash, below in rows
        },
        open_bets=tuple(
            OpenBet(node=nodes[node], opened_us=at, ended_us=end, net=net, worst=worst, stakes=tuple(stakes))
            for node, at, end, net, worst, stakes in opened
        ),
    )
