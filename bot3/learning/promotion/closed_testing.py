"""Select the nodes whose evidence permits trading, with a bound on the share of wrong ones (closed e-BH).

Of K nodes, the k with the most evidence are selected for the largest k such that for every a from 1 to k and every b from 0 to K - k, the
a smallest of the selected and the b smallest of the others have a mean evidence of at least a / (alpha k). This is the closure of the e-BH
rule with local tests that average evidence. The expected share of nodes without an edge among the selected is at most alpha, however the
evidence of nodes depends on each other. Everything that e-BH selects (evidence of at least K / (alpha k) each) is selected too.

If no node has an edge, anything is selected only if the mean over all nodes reaches 1 / alpha: the condition with a = k and b = K - k. So
the probability that any node is ever selected has the bound of `accounts`.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

NOMINAL = 0.04
"""Maximum probability that any node of a family is ever selected if no node of it earns anything."""
_STEPS = 40


def selected(evidence: NDArray[np.float64], *, nominal: float = NOMINAL) -> NDArray[np.bool_]:
    """Return which nodes are selected; of nodes with equal evidence at the limit, earlier ones first.

    Parameters
    ----------
    evidence : array of shape (nodes,)
        Evidence of each node, at least 0; may be empty.
    nominal : float
        Maximum expected share of wrong nodes among the selected (alpha).
    """
    flags = np.zeros(len(evidence), dtype=np.bool_)
    order = np.argsort(-evidence, kind="stable")
    flags[order[: _count(evidence[order], nominal)]] = True
    return flags


def needed(evidence: NDArray[np.float64], *, nominal: float = NOMINAL) -> NDArray[np.float64]:
    """Return the least evidence with which each node would be selected if that of all others stayed the same, its log accurate to 1e-9."""
    found = np.empty(len(evidence))
    for place in range(len(evidence)):
        others = np.sort(np.delete(evidence, place))[::-1]
        found[place] = _needed(others, nominal)
    return found


@numba.njit(cache=True)
def _count(descending: Any, nominal: float) -> int:
    """Return how many of the nodes, sorted by descending evidence, are selected."""
    nodes = len(descending)
    least = np.zeros(nodes + 1)  # sums of the b smallest
    for b in range(nodes):
        least[b + 1] = least[b] + descending[nodes - 1 - b]
    for k in range(nodes, 0, -1):
        total, b, is_enough = 0.0, 0, True
        for a in range(1, k + 1):
            total += descending[k - a]
            mean = a / (nominal * k)
            # Others below the required mean lower it most if all of them are added; the required mean increases with a, and so does b.
            while b < nodes - k and descending[nodes - 1 - b] < mean:
                b += 1
            if total + least[b] < mean * (a + b):
                is_enough = False
                break
        if is_enough:
            return k
    return 0


@numba.njit(cache=True)
def _needed(others: Any, nominal: float) -> Any:
    """Return the least evidence with which one more node is selected beside others, sorted by descending evidence, by bisection."""
    nodes = len(others) + 1
    low, high = -np.log(nodes / nominal), np.log(nodes / nominal)
    joined = np.empty(nodes)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        value = np.exp(middle)
        place = 0
        while place < nodes - 1 and others[place] > value:
            place += 1
        joined[:place], joined[place], joined[place + 1 :] = others[:place], value, others[place:]
        if _count(joined, nominal) > place:
            high = middle
        else:
            low = middle
    return np.exp(high)
