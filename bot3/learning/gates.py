"""May a bin trade? Evidence that stays valid however often it is looked at, raised at a daily review and lowered at once.

Two things are asked of a bin. First, its node (a pair and direction) must have shown that something in it earns: each day bets are laid
against the claim that no bin of the node earns anything under its published setting. They are sized before the day begins, so their wealth
can only grow in the long run if the claim is wrong (an e-process). Trades of one day are one outcome, so what they share does no harm;
holdings that last over midnight tie a day to the next, so days play in two streams, every other day, which never overlap. Second, the bin's
own pooled posterior must lie above 0 by its lower bound: a bin of twenty trades can be told from its siblings only by what pooling learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError

NOMINAL = 0.05
"""Probability that any node is ever opened where none earns anything."""
STREAMS = 2
"""Every other day, for holdings of up to 24 h."""
SCALES = (1.0, 0.5, 0.25)
"""Bettors of each stream, by the share of the bet they lay: trades that move together, or a posterior too sure of itself, ask for less."""
LARGEST_GAIN = 0.9
"""Share of its wealth that a bettor may win or lose on one day: rare days beyond it are cut on both sides alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """State of all nodes and bins.

    Parameters
    ----------
    log_wealth : array of shape (nodes, STREAMS, scales)
        Logarithm of what one unit of each bettor has become; 0 at the start.
    raised : bool array of shape (bins,)
        Whether a bin may trade.
    node : int array of shape (bins,)
        The node of each bin.

    Notes
    -----
    A node's state is six plain numbers, for a row in a store. It can also be told anew from daily sums of outcomes and the bets then in
    force, by folding the days in order.
    """

    log_wealth: NDArray[np.float64]
    raised: NDArray[np.bool_]
    node: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.log_wealth.shape[1:] != (STREAMS, len(SCALES)) or len(self.raised) != len(self.node):
            raise LearningError(f"gates need {STREAMS} streams of {len(SCALES)} bettors a node, and a node for each bin")

    @property
    def log_evidence(self) -> NDArray[np.float64]:
        """Return the logarithm of the mean wealth of each node's bettors."""
        flat = self.log_wealth.reshape(len(self.log_wealth), -1)
        top = flat.max(axis=1)
        evidence: NDArray[np.float64] = top + np.log(np.exp(flat - top[:, None]).mean(axis=1))
        return evidence


def closed_gates(node: NDArray[np.int64]) -> Gates:
    """Return the state of bins nobody has looked at, given the node of each (0 to the largest)."""
    shape = (int(node.max()) + 1, STREAMS, len(SCALES))
    return Gates(log_wealth=np.zeros(shape), raised=np.zeros(len(node), dtype=np.bool_), node=node)


def bet_sizes(means: NDArray[np.float64], deviations: NDArray[np.float64], *, variances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bets on each unit of summed net moves that make wealth grow fastest if the posteriors are right; 0 where no gain is seen.

    Parameters
    ----------
    means, deviations : arrays of shape (bins,)
        Posterior of the published settings, as known before the day (`Surfaces.told`).
    variances : array of shape (bins,)
        Of one trade's net move at those settings (`Surfaces.trade_variance`).
    """
    bets: NDArray[np.float64] = np.maximum(means, 0.0) / (variances + deviations**2)
    return bets


def fold_day(gates: Gates, *, day: int, totals: NDArray[np.float64], bets: NDArray[np.float64]) -> Gates:
    """Return the state after a day whose trades are all over. Fold each day once, in order.

    Parameters
    ----------
    day : int
        Days since 1970 of the entries.
    totals : array of shape (bins,)
        Sum of the net moves of the trades that entered on the day, each under the setting published before the day; 0 without trades.
    bets : array of shape (bins,)
        `bet_sizes` as of the beginning of the day.

    Raises
    ------
    LearningError
        If a bet is below 0, or not a number: only then could a loss look like evidence.
    """
    if not bool((bets >= 0.0).all()) or not bool(np.isfinite(totals).all()):
        raise LearningError("bets must be at least 0, and totals finite")
    staked = np.bincount(gates.node, weights=bets * totals, minlength=len(gates.log_wealth))
    gains = np.clip(staked[:, None] * np.array(SCALES), -LARGEST_GAIN, LARGEST_GAIN)
    log_wealth = gates.log_wealth.copy()
    log_wealth[:, day % STREAMS] += np.log1p(gains)
    return replace(gates, log_wealth=log_wealth)


def open_nodes(gates: Gates, *, nominal: float = NOMINAL) -> NDArray[np.bool_]:
    """Return which nodes the evidence opens.

    Parameters
    ----------
    nominal : float
        Probability of ever opening any node, if none earns anything.

    Notes
    -----
    The e-BH rule: the k best nodes are open if each of them has evidence of nodes / (k x nominal). Where no node earns anything this
    implies that the mean over all nodes crosses 1 / nominal, which an e-process does with probability nominal at most, at any time ever;
    each stream has its part. Where some nodes do earn, the expected share of wrong ones among the open is at most nominal at each review.
    """
    evidence = gates.log_evidence
    opened = np.zeros(len(evidence), dtype=np.bool_)
    if evidence.max() < np.log(STREAMS / nominal):  # what each would need if all had it
        return opened
    order = np.argsort(-evidence, kind="stable")
    needed = np.log(len(evidence) * STREAMS / nominal) - np.log(np.arange(1, len(evidence) + 1))
    enough = np.flatnonzero(evidence[order] >= needed)
    opened[order[: int(enough[-1]) + 1 if len(enough) else 0]] = True
    return opened


def review(gates: Gates, *, lower_bounds: NDArray[np.float64], nominal: float = NOMINAL) -> Gates:
    """Raise the bins of open nodes whose lower bound is above 0, and lower all others; once a day.

    Parameters
    ----------
    lower_bounds : array of shape (bins,)
        Of the posterior of each bin's published setting.
    """
    return replace(gates, raised=open_nodes(gates, nominal=nominal)[gates.node] & (lower_bounds > 0.0))


def lowered(gates: Gates, *, lower_bounds: NDArray[np.float64]) -> Gates:
    """Take away the permission of every bin whose lower bound is not above 0: at once, after every close. Raises none."""
    return replace(gates, raised=gates.raised & (lower_bounds > 0.0))
