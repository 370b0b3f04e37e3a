"""Bet margin accounts against "nothing earns here": their guaranteed wealth is evidence that is valid however often it is checked.

A node is what is permitted as a whole, for example a pair and direction. It has one account for each of `SCALES`. When a trade enters, the
account stakes money on it: the asked share of its cash, which the caller chooses from what is known before the entry. The stake does not
change until the trade ends, and then the account gains stake x net move. Stakes are limited so that all open trades together lose at most
`LARGEST_SHARE` of the cash if each has its worst loss. The guaranteed wealth is the cash less the worst losses of all open trades. The
evidence of a node is the mean guaranteed wealth of its accounts, plus what it has not used yet (`Accounts.evidence`).

Theorem. If no node earns anything, the probability that the mean evidence over all nodes ever reaches 1 / a is at most
a x (1 + expected shortfall), if for every node and trade

1. given all that is known at the entry, the net move under the setting in force then has an expectancy of at most 0;
2. the asked share and the worst loss are fixed at the entry, from what is known then;
3. every trade that enters is counted, whatever its outcome, from its entry on: its worst loss is reserved while it is open.

Proof. Let M be the sum of the starting cash and of stake x E[net move | what is known now] over all trades entered until now. M is a
supermartingale by (1) and (2), and by (3) and net move >= -worst the guaranteed wealth L satisfies 0 <= L <= M. The mean over accounts and
nodes is one too, so the bound is Ville's inequality. It does not matter how long trades are open, how they depend on each other, how many
there are, or how their moves are distributed otherwise. A gap may lose more than the worst loss. Then the whole loss is charged, and an
account whose L falls below 0 has no cash and no stakes from then on. With the expected amount below 0 at that moment (the shortfall, as a
share of the node's start) added to M, the argument is unchanged. `Accounts.shortfall` is what was observed of that term.

Accounts of a node may be begun again (`Accounts.restarted`), because its trades have changed. The k-th ones begin with 1 / (k (k + 1)) of
the node's start, and the ones before are dropped. These shares add up to 1, so the evidence is at most a supermartingale that starts at 1.

Practical conditions: a trade is known to have ended at the close of the candle in which its replay ends. It is bet on only if it is known
when its day is counted (`usecases.learning.review_gates`). Trades left out of learning are in no account, and many of them close a node
(`replay.censoring`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError

SCALES = (2.0, 1.0, 0.5)
"""Accounts of each node, by their multiple of the asked share: correlated trades or an overconfident posterior require smaller stakes."""
LARGEST_SHARE = 0.9
"""Maximum share of an account's cash that all its open trades may lose together."""
LARGEST_CASH = 1e9
"""Maximum cash of an account: more is given up, which the proof permits, so that losses can still close a node that earned for long."""
SMALLEST_CASH = 1e-12
"""Cash below which an account is closed: the rest is given up."""
GAP_SIGMA = 0.5
"""Worst expected distance of an exit beyond its stop, in units of the volatility at entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bets:
    """Trades of one day in the order of their entries, or trades that are open at its end; columns of the same length.

    Parameters
    ----------
    node : int array of shape (trades,)
        Node of each trade, from 0 up to the number of nodes (excluded).
    opened_us, ended_us : int arrays of shape (trades,)
        Entry and end of each trade in microseconds since 1970; the end is later than the entry.
    net : array of shape (trades,)
        Net move under the setting in force at the entry.
    worst : array of shape (trades,)
        Worst loss of each trade, above 0, as known at its entry (`worst_losses`).
    stakes : array of shape (trades, accounts)
        Of new trades the asked share of cash per unit of net move, at least 0; of open trades the money staked.

    Raises
    ------
    LearningError
        If a value is out of these bounds or not finite: it could count a loss as evidence.
    """

    node: NDArray[np.int64]
    opened_us: NDArray[np.int64]
    ended_us: NDArray[np.int64]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]
    stakes: NDArray[np.float64]

    def __post_init__(self) -> None:
        columns = (self.node, self.opened_us, self.ended_us, self.net, self.worst, self.stakes)
        if len({len(column) for column in columns}) != 1 or self.stakes.shape[1:] != (len(SCALES),):
            raise LearningError("the columns of trades must have the same length, and stakes one column for each account")
        if not bool((self.ended_us > self.opened_us).all()):
            raise LearningError("trades must end after their entry")
        if not bool((np.isfinite(self.net) & np.isfinite(self.worst) & (self.worst > 0.0)).all()):
            raise LearningError("net moves must be finite, and worst losses above 0")
        if not bool((np.isfinite(self.stakes) & (self.stakes >= 0.0)).all()):
            raise LearningError("stakes must be finite and at least 0")

    def __len__(self) -> int:
        return len(self.node)

    def at(self, places: NDArray[Any] | slice) -> Bets:
        """Return the trades at some indices, or those of a mask or slice."""
        return Bets(**{name: getattr(self, name)[places] for name in self.__slots__})


def no_bets() -> Bets:
    """Return columns without trades."""
    times, numbers = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Bets(node=times, opened_us=times, ended_us=times, net=numbers, worst=numbers, stakes=np.zeros((0, len(SCALES))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Accounts of all nodes at one time, and their open trades.

    Parameters
    ----------
    start : array of shape (nodes,)
        Wealth that each node joined with, above 0 and at most 1.
    number : int array of shape (nodes,)
        How many times the accounts of each node were begun, at least 1.
    cash : array of shape (nodes, accounts)
        Money of each account with the results of all ended trades; 0 for an account that lost more than it had, or almost everything.
    shortfall : array of shape (nodes,)
        Sum of the amounts by which accounts fell below 0, as a mean over the accounts.
    bets : Bets
        Trades that are open.
    """

    start: NDArray[np.float64]
    number: NDArray[np.int64]
    cash: NDArray[np.float64]
    shortfall: NDArray[np.float64]
    bets: Bets

    def evidence(self) -> NDArray[np.float64]:
        """Return the evidence of each node that something in it earns: on average at most 1 if nothing does; shape (nodes,)."""
        wealth = np.maximum(self.cash - reserves(self.cash.shape, self.bets), 0.0)
        evidence: NDArray[np.float64] = wealth.mean(axis=1) + self.start / (self.number + 1.0)
        return evidence

    def restarted(self, nodes: NDArray[np.bool_]) -> Accounts:
        """Return the accounts with those of some nodes begun again: without their open trades, with 1 / (k (k + 1)) of the node's start."""
        number = self.number + nodes
        cash = np.where(nodes[:, None], first_cash(self.start, number)[:, None], self.cash)
        return replace(self, number=number, cash=cash, bets=self.bets.at(~nodes[self.bets.node]))


def first_cash(start: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the cash with which the accounts of nodes begin for the k-th time (k = `number`): 1 / (k (k + 1)) of the start."""
    cash: NDArray[np.float64] = start / (number * (number + 1.0))
    return cash


def worst_losses(
    stop_sigma: NDArray[np.float64], *, sigma: NDArray[np.float64], leverage: NDArray[np.float64], costs: float
) -> NDArray[np.float64]:
    """Compute the worst loss assumed for trades at their stops, above 0, ratio of the price, from values known at the entry.

    Parameters
    ----------
    stop_sigma : array of shape (trades,)
        Distance of the stop in sigmas, above 0; the trade's own `sigma` converts it to a move.
    leverage : array of shape (trades,)
        Leverage of the trades: isolated margin limits the loss to 1 / leverage.
    costs : float
        Fees and slippage of the entry and of an exit at the stop.
    """
    losses: NDArray[np.float64] = np.minimum((stop_sigma + GAP_SIGMA) * sigma, 1.0 / leverage) + costs
    return losses


def asked_shares(means: NDArray[np.float64], deviations: NDArray[np.float64], *, variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the shares of cash, per unit of net move, that maximise growth if the posteriors are right; 0 without expected gain.

    Parameters
    ----------
    means, deviations : arrays of shape (settings,)
        Posterior of the settings in force.
    variances : array of shape (settings,)
        Variance of one trade's net move at those settings.
    """
    shares: NDArray[np.float64] = np.maximum(means, 0.0) / (variances + deviations**2)
    return shares


def reserves(shape: tuple[int, ...], bets: Bets) -> NDArray[np.float64]:
    """Return the worst loss of all open trades of each account, of the given shape (nodes, accounts)."""
    reserved = np.zeros(shape)
    np.add.at(reserved, bets.node, bets.stakes * bets.worst[:, None])
    return reserved
