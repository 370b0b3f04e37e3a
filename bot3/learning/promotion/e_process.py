"""Decide by sequential tests which bins may trade; the evidence is valid however often it is checked (anytime-valid).

A bin (pair, direction and leverage bin) may begin to trade at a daily review only, and is stopped at once. It must meet two conditions.
First, its node (the pair and direction) must have shown that something in it earns: each day bets are placed against the null hypothesis
that no bin of the node earns anything under its published stop and target. A bettor never bets more than it could pay if every trade of the
day had its worst loss at once, so its wealth can only grow in the long run if the hypothesis is wrong (an e-process). Second, the lower
bound of the bin's own pooled posterior must be above 0: a bin of twenty trades can be distinguished from its siblings only by pooling.

Theorem. The probability that any node is ever opened is at most `NOMINAL` if for every node and trade

1. given all that is known at the entry, the net move under the setting published before that day has an expectancy of at most 0;
2. the bets were fixed before that day, and `worst` at the entry;
3. a trade is over before the day after next begins: it is open for 24 h at most;
4. every trade that entered on a counted day is counted, whatever its outcome;
5. the trades of a node and day together do not lose more than 1 / `LARGEST_LOSS` of the worst loss of those that were bet on.

No assumption is made on how trades depend on each other, within a day, between nodes or from day to day, on their number, or otherwise on
their distribution. Proof: the bet on a trade depends on the day's earlier entries only, so by (1) and (2) the day's gain has an expectancy
of at most 0 given the state at its beginning; by (5) no wealth falls below 0; by (3) days of one stream do not overlap. So each bettor's
wealth, the mean of the bettors of all nodes in one stream, and that mean with joiners (`joiners`), are supermartingales that start at 1 at
most. The mean reaches STREAMS / NOMINAL with a probability of at most NOMINAL / STREAMS (Ville), and `open_nodes` requires that in one of
the streams. If (5) fails, by gaps beyond the allowance of `worst`, only the bettor's wealth is lost: then the tested hypothesis is the one
on moves truncated there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError

NOMINAL = 0.04
"""Maximum probability that any node is ever opened if no node earns anything."""
STREAMS = 2
"""Number of streams: each contains every other day, for trades that are open for up to 24 h."""
SCALES = (1.0, 0.5, 0.25)
"""Bettors of each stream, by the fraction of the bet they place: correlated trades or an overconfident posterior require smaller bets."""
LARGEST_LOSS = 0.9
"""Maximum share of its wealth that a bettor may lose on one day, if all trades it bets on have their worst loss."""
GAP_SIGMA = 0.5
"""Worst expected distance of an exit beyond its stop, in units of the volatility at entry."""
RUIN = 1e-12
"""Remaining wealth of a bettor that lost more than it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTrades:
    """Trades that entered on one day, in the order of their entries; arrays of shape (trades,).

    Parameters
    ----------
    node : int array
        Node of each trade, from 0 up to the number of nodes.
    net : array
        Net move under the setting published before the day.
    worst : array
        Maximum loss of each trade, above 0, as known at its entry (`worst_losses`).
    bet : array
        `bet_sizes` of its setting as of the beginning of the day.

    Raises
    ------
    LearningError
        If the lengths differ, a number is not finite, a worst loss is not above 0, or a bet is below 0. With such values a loss could
        count as evidence.
    """

    node: NDArray[np.int64]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]
    bet: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not len(self.node) == len(self.net) == len(self.worst) == len(self.bet):
            raise LearningError("the columns of a day's trades must have the same length")
        if not bool((np.isfinite(self.net) & np.isfinite(self.worst) & (self.worst > 0.0)).all()):
            raise LearningError("net moves must be finite, and worst losses above 0")
        if not bool(((self.bet >= 0.0) & np.isfinite(self.bet)).all()):
            raise LearningError("bets must be finite and at least 0")

    def __len__(self) -> int:
        return len(self.node)


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


def bet_sizes(means: NDArray[np.float64], deviations: NDArray[np.float64], *, variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the bets per unit of net move that maximise the growth of wealth if the posteriors are right; 0 without expected gain.

    Parameters
    ----------
    means, deviations : arrays of shape (settings,)
        Posterior of the published settings, as known before the day.
    variances : array of shape (settings,)
        Variance of one trade's net move at those settings.
    """
    bets: NDArray[np.float64] = np.maximum(means, 0.0) / (variances + deviations**2)
    return bets


def fold_day(log_wealth: NDArray[np.float64], *, day: int, trades: DayTrades) -> NDArray[np.float64]:
    """Return the wealth after a day whose trades have all ended. Each day must be counted once, in order.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
        Logarithm of each bettor's wealth relative to its start with 1; 0 at the start.
    day : int
        Day of the entries, in days since 1970.
    """
    shares = granted(trades.bet[:, None] * np.array(SCALES) * trades.worst[:, None], node=trades.node)
    gains = np.zeros((len(log_wealth), len(SCALES)))
    np.add.at(gains, trades.node, shares * (trades.net / trades.worst)[:, None])
    after = log_wealth.copy()
    after[:, day % STREAMS] += np.log(np.maximum(1.0 + gains, RUIN))
    return after


def granted(shares: NDArray[np.float64], *, node: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares of wealth that bettors may put at risk on each trade: together at most `LARGEST_LOSS`, earlier entries first.

    Parameters
    ----------
    shares : array of shape (trades, bettors)
        Worst loss of the requested bets as a share of wealth, in the order of the entries.
    node : int array of shape (trades,)
        Node of each trade; each node has its own bettors.
    """
    # Sort by node (entries stay in order) and compute the running sum of each node before each trade: what remains of LARGEST_LOSS.
    order = np.argsort(node, kind="stable")
    own = np.cumsum(np.minimum(shares, LARGEST_LOSS)[order], axis=0)
    before = np.concatenate((np.zeros((1, shares.shape[1])), own[:-1]))
    first = np.searchsorted(node[order], node[order], side="left")
    left = np.maximum(LARGEST_LOSS - (before - before[first]), 0.0)
    found = np.empty_like(shares)
    found[order] = np.minimum(shares[order], left)
    return found


def joiners(log_wealth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the wealth with which a new node starts in each stream: the mean of the existing bettors, at most 1.

    With more, each new node would cancel past losses, and the mean over all nodes would no longer be a supermartingale.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
    """
    of_stream = np.minimum(np.log(np.maximum(np.exp(np.minimum(log_wealth, 700.0)).mean(axis=(0, 2)), RUIN)), 0.0)
    start: NDArray[np.float64] = np.repeat(of_stream[:, None], log_wealth.shape[2], axis=1)
    return start


def log_evidence(log_wealth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the logarithm of the mean wealth of each node's bettors; `log_wealth` has the shape (nodes, STREAMS, scales)."""
    flat = log_wealth.reshape(len(log_wealth), -1)
    top = flat.max(axis=1)
    evidence: NDArray[np.float64] = top + np.log(np.exp(flat - top[:, None]).mean(axis=1))
    return evidence


def open_nodes(log_wealth: NDArray[np.float64], *, nominal: float = NOMINAL) -> NDArray[np.bool_]:
    """Return which nodes (pairs and directions) the evidence opens: their bins may trade if their own lower bound is above 0.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
    nominal : float
        Maximum probability of ever opening any node, if none earns anything.

    Notes
    -----
    The e-BH rule: the k best nodes are open if each of them has evidence of nodes / (k x nominal). If no node earns anything, this implies
    that the mean over all nodes crosses 1 / nominal, which an e-process does with probability nominal at most over all time; the
    probability is divided among the streams. If some nodes earn, the expected share of false ones among the open nodes is at most nominal
    at each review.
    """
    evidence = log_evidence(log_wealth)
    opened = np.zeros(len(evidence), dtype=np.bool_)
    if evidence.max() < np.log(STREAMS / nominal):  # the evidence required of each node if all nodes had it
        return opened
    order = np.argsort(-evidence, kind="stable")
    needed = np.log(len(evidence) * STREAMS / nominal) - np.log(np.arange(1, len(evidence) + 1))
    enough = np.flatnonzero(evidence[order] >= needed)
    opened[order[: int(enough[-1]) + 1 if len(enough) else 0]] = True
    return opened
