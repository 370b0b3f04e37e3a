"""May a bin trade? Evidence that stays valid however often it is looked at, raised at a daily review and lowered at once.

Two things are asked of a bin. First, its node (a pair and direction) must have shown that something in it earns: each day bets are laid
against the claim that no bin of the node earns anything under its published setting. A bettor never lays more than it could pay if every
trade of the day lost its worst at once, so its wealth can only grow in the long run if the claim is wrong (an e-process). Second, the bin's
own pooled posterior must lie above 0 by its lower bound: a bin of twenty trades can be told from its siblings only by what pooling learned.

Theorem. The probability that any node is ever opened is at most `NOMINAL` if of every node and trade

1. given all that is known at the entry, the net move under the setting published before that day has an expectancy of at most 0;
2. the bets were fixed before that day, and `worst` at the entry;
3. a trade is over before the day after next begins: it is held for 24 h at most;
4. every trade that entered on a folded day is counted, whatever came of it;
5. the trades of a node and day together do not lose more than 1 / `LARGEST_LOSS` of the worst of those that were bet on.

Nothing is assumed of how trades depend on each other, within a day, between nodes or from day to day, of their number, or of their
distribution otherwise. Proof: the bet on a trade depends on the day's earlier entries alone, so by (1) and (2) the day's gain has an
expectancy of at most 0 given its beginning; by (5) no wealth falls below 0; by (3) days of one stream follow each other. So each bettor's
wealth, the mean of the bettors of all nodes in one stream, and that mean with joiners (`joiners`), are supermartingales that start at 1 at
most; the mean reaches STREAMS / NOMINAL with a probability of NOMINAL / STREAMS at most (Ville), and `open_nodes` needs that in one of the
streams. Where (5) fails, by gaps beyond what `worst` allows for, the bettor is ruined and no more: then the claim that is tested is that of
moves cut there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError

NOMINAL = 0.04
"""Probability that any node is ever opened where none earns anything."""
STREAMS = 2
"""Every other day, for holdings of up to 24 h."""
SCALES = (1.0, 0.5, 0.25)
"""Bettors of each stream, by the share of the bet they lay: trades that move together, or a posterior too sure of itself, ask for less."""
LARGEST_LOSS = 0.9
"""Share of its wealth that a bettor may lose on one day, if all that it bets on loses its worst."""
GAP_SIGMA = 0.5
"""How far beyond its stop a trade is expected to be left at worst, in units of the volatility at entry."""
RUIN = 1e-12
"""What is left of a bettor that lost more than it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTrades:
    """Trades that entered on one day, in the order of their entries; arrays of shape (trades,).

    Parameters
    ----------
    node : int array
        The node of each, 0 up to the number of nodes.
    net : array
        Net move under the setting published before the day.
    worst : array
        What each loses at most, above 0, as known at its entry (`worst_losses`).
    bet : array
        `bet_sizes` of its setting as of the beginning of the day.

    Raises
    ------
    LearningError
        If a number is not finite, a worst loss is not above 0, or a bet is below 0: only then could a loss look like evidence.
    """

    node: NDArray[np.int64]
    net: NDArray[np.float64]
    worst: NDArray[np.float64]
    bet: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not len(self.node) == len(self.net) == len(self.worst) == len(self.bet):
            raise LearningError("trades of a day need columns of one length")
        if not bool((np.isfinite(self.net) & np.isfinite(self.worst) & (self.worst > 0.0)).all()):
            raise LearningError("net moves must be finite, and worst losses above 0")
        if not bool(((self.bet >= 0.0) & np.isfinite(self.bet)).all()):
            raise LearningError("bets must be numbers of at least 0")

    def __len__(self) -> int:
        return len(self.node)


def worst_losses(
    stop_sigma: NDArray[np.float64], *, sigma: NDArray[np.float64], leverage: NDArray[np.float64], costs: float
) -> NDArray[np.float64]:
    """Return the most that trades are expected to lose by a stop, above 0, ratios of the price: known at the entry.

    Parameters
    ----------
    stop_sigma : array of shape (trades,)
        Distance of the stop, above 0; `sigma` of the trades themselves turns it into a move.
    leverage : array of shape (trades,)
        Isolated margin caps what is lost.
    costs : float
        Fees and slippage of entering and being stopped.
    """
    losses: NDArray[np.float64] = np.minimum((stop_sigma + GAP_SIGMA) * sigma, 1.0 / leverage) + costs
    return losses


def bet_sizes(means: NDArray[np.float64], deviations: NDArray[np.float64], *, variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bets on each unit of net move that make wealth grow fastest if the posteriors are right; 0 where no gain is seen.

    Parameters
    ----------
    means, deviations : arrays of shape (settings,)
        Posterior of the published settings, as known before the day.
    variances : array of shape (settings,)
        Of one trade's net move at those settings.
    """
    bets: NDArray[np.float64] = np.maximum(means, 0.0) / (variances + deviations**2)
    return bets


def fold_day(log_wealth: NDArray[np.float64], *, day: int, trades: DayTrades) -> NDArray[np.float64]:
    """Return the wealth after a day whose trades are all over. Fold each day once, in order.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
        Logarithm of what one unit of each bettor has become; 0 at the start.
    day : int
        Days since 1970 of the entries.
    """
    shares = granted(trades.bet[:, None] * np.array(SCALES) * trades.worst[:, None], node=trades.node)
    gains = np.zeros((len(log_wealth), len(SCALES)))
    np.add.at(gains, trades.node, shares * (trades.net / trades.worst)[:, None])
    after = log_wealth.copy()
    after[:, day % STREAMS] += np.log(np.maximum(1.0 + gains, RUIN))
    return after


def granted(shares: NDArray[np.float64], *, node: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the shares of its wealth that each bettor puts at risk, first come first served, so that none risks more than `LARGEST_LOSS`.

    Parameters
    ----------
    shares : array of shape (trades, bettors)
        What would be lost at worst by the bets that are asked for, in the order of the entries.
    node : int array of shape (trades,)
        Each node has bettors of its own.
    """
    order = np.argsort(node, kind="stable")
    own = np.cumsum(np.minimum(shares, LARGEST_LOSS)[order], axis=0)
    before = np.concatenate((np.zeros((1, shares.shape[1])), own[:-1]))
    first = np.searchsorted(node[order], node[order], side="left")
    left = np.maximum(LARGEST_LOSS - (before - before[first]), 0.0)
    found = np.empty_like(shares)
    found[order] = np.minimum(shares[order], left)
    return found


def joiners(log_wealth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what one who joins later begins with in each stream: the mean of those that play, and 1 at most.

    With more, those who lost would be forgotten each time somebody joins, and the mean over all nodes would no longer be a fair game.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
    """
    of_stream = np.minimum(np.log(np.maximum(np.exp(np.minimum(log_wealth, 700.0)).mean(axis=(0, 2)), RUIN)), 0.0)
    start: NDArray[np.float64] = np.repeat(of_stream[:, None], log_wealth.shape[2], axis=1)
    return start


def log_evidence(log_wealth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the mean wealth of each node's bettors; `log_wealth` has the shape (nodes, STREAMS, scales)."""
    flat = log_wealth.reshape(len(log_wealth), -1)
    top = flat.max(axis=1)
    evidence: NDArray[np.float64] = top + np.log(np.exp(flat - top[:, None]).mean(axis=1))
    return evidence


def open_nodes(log_wealth: NDArray[np.float64], *, nominal: float = NOMINAL) -> NDArray[np.bool_]:
    """Return which nodes the evidence opens.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
    nominal : float
        Probability of ever opening any node, if none earns anything.

    Notes
    -----
    The e-BH rule: the k best nodes are open if each of them has evidence of nodes / (k x nominal). Where no node earns anything this
    implies that the mean over all nodes crosses 1 / nominal, which an e-process does with probability nominal at most, at any time ever;
    each stream has its part. Where some nodes do earn, the expected share of wrong ones among the open is at most nominal at each review.
    """
    evidence = log_evidence(log_wealth)
    opened = np.zeros(len(evidence), dtype=np.bool_)
    if evidence.max() < np.log(STREAMS / nominal):  # what each would need if all had it
        return opened
    order = np.argsort(-evidence, kind="stable")
    needed = np.log(len(evidence) * STREAMS / nominal) - np.log(np.arange(1, len(evidence) + 1))
    enough = np.flatnonzero(evidence[order] >= needed)
    opened[order[: int(enough[-1]) + 1 if len(enough) else 0]] = True
    return opened
