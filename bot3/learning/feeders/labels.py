"""Triple-barrier labels: whether a trade signalled at a candle's close would have earned more than its costs.

The trade enters at the open of the next candle and exits at its stop, its target or the horizon's last close (`trading.exit_law`, without
liquidation and giveback). Both sides pay the taker fee, every fill pays slippage, and stops pay stop slippage in addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bot3.market.indicators import Floats
from bot3.trading.exit_law import HELD, NO_RULE, STOPPED, exit_event

NO_LABEL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCosts:
    """Costs of a label's trade: ratios of a side's value (fee) and of the price (slippage)."""

    taker_fee: float = 0.0005
    slippage: float = 0.0001
    stop_slippage: float = 0.0003


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """Stop and target in units of sigma (both above 0), and the horizon in candles, for which sigma is computed."""

    stop_sigma: float
    target_sigma: float
    horizon_candles: int

    def __post_init__(self) -> None:
        if min(self.stop_sigma, self.target_sigma) <= 0.0 or self.horizon_candles < 1:
            raise ValueError(f"barriers and horizon must be above 0, were {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarrierLabels:
    """Labels of one pair and direction, one per candle.

    Parameters
    ----------
    label : int8 of shape (n,)
        1 if the trade earned more than its costs, 0 if not, `NO_LABEL` if sigma is unknown or the horizon is incomplete or has a gap.
    net_move : float64 of shape (n,)
        Net profit of the trade, ratio of the entry rate; NaN without a label.
    end : int32 of shape (n,)
        Index of the candle at whose close the label is known; n without a label.
    """

    label: NDArray[np.int8]
    net_move: Floats
    end: NDArray[np.int32]


def barrier_labels(
    *,
    open_us: NDArray[np.int64],
    rates: tuple[Floats, Floats, Floats, Floats],
    sigma: Floats,
    barriers: Barriers,
    is_short: bool,
    costs: LabelCosts,
) -> BarrierLabels:
    """Compute the label of every candle of one pair.

    Parameters
    ----------
    open_us : int64 of shape (n,)
        Open times, microseconds since 1970; a horizon with a gap in it has no label.
    rates : four float64 arrays of shape (n,)
        Open, high, low and close, above 0.
    sigma : float64 of shape (n,)
        Expected volatility over the horizon at each close, ratio of the price; NaN if unknown.
    """
    n = len(open_us)
    label = np.full(n, NO_LABEL, dtype=np.int8)
    net_move = np.full(n, np.nan)
    end = np.full(n, n, dtype=np.int32)
    step = int(np.diff(open_us).min()) if n > 1 else 0
    prices = np.ascontiguousarray(np.stack(rates))
    levels = np.array([barriers.stop_sigma, barriers.target_sigma, costs.taker_fee, costs.slippage, costs.stop_slippage])
    _walk((open_us, prices, sigma), (step, barriers.horizon_candles, -1.0 if is_short else 1.0), levels, (label, net_move, end))
    return BarrierLabels(label=label, net_move=net_move, end=end)


# Not cached: Numba checks the age of this file only, so a cached kernel would ignore changes in `exit_law.py`.
@numba.njit
def _walk(candles: Any, plan: Any, levels: Floats, out: Any) -> None:
    """Simulate the trade of every candle up to its exit; write (label, net_move, end) to `out` in place.

    Candles without a full horizon are skipped, so their values in `out` stay unchanged. Moves are signed by `side`: above 0 is a gain.
    """
    open_us, prices, sigma = candles
    step, horizon, side = plan
    label, net_move, end = out
    stop_sigma, target_sigma, fee, slippage, stop_slippage = levels
    for i in range(len(open_us) - horizon):
        last = i + horizon
        # A horizon with a gap spans more time than its number of candles. A NaN sigma compares false.
        if not sigma[i] > 0.0 or open_us[last] - open_us[i] != horizon * step:
            continue
        entry = prices[0, i + 1] * (1.0 + side * slippage)
        stop, target = -stop_sigma * sigma[i], target_sigma * sigma[i]
        # All rates as moves of the price; a label has no liquidation and no giveback, and ends at the last close of its horizon.
        code, moved, until = HELD, 0.0, last
        for j in range(i + 1, last + 1):
            opened, closed = side * (prices[0, j] / entry - 1.0), side * (prices[3, j] / entry - 1.0)
            up, down = side * (prices[1, j] / entry - 1.0), side * (prices[2, j] / entry - 1.0)
            candle = (opened, max(up, down), min(up, down), closed)
            code, moved = exit_event(1.0, candle, (stop, target, 0.0, 0.0), (1.0, 1.0, j == last), NO_RULE)
            if code != HELD:
                until = j
                break
        slip = slippage + stop_slippage if code == STOPPED else slippage
        # Entry fee on the entry value; exit fee and slippage on the exit value.
        net = moved - fee - (1.0 + side * moved) * (fee + slip)
        net_move[i], label[i], end[i] = net, 1 if net > 0.0 else 0, until


def uniqueness(start: NDArray[np.int64], end: NDArray[np.int64]) -> Floats:
    """Compute the uniqueness of each label: the mean, over its candles, of one over the number of open labels.

    Parameters
    ----------
    start, end : int64 arrays of shape (n,)
        First and last candle (both included) of each label of one pair.

    Returns
    -------
    float64 array of shape (n,)
        Above 0, at most 1.
    """
    if not len(start):
        return np.zeros(0)
    base = int(start.min())
    # Count the open labels per candle from +1 at starts and -1 after ends; prefix sums of 1 / count give each label's mean.
    opened = np.zeros(int(end.max()) - base + 2)
    np.add.at(opened, start - base, 1.0)
    np.add.at(opened, end - base + 1, -1.0)
    count = np.cumsum(opened)[:-1]
    shares = np.concatenate(([0.0], np.cumsum(1.0 / np.maximum(count, 1.0))))
    shared: Floats = (shares[end - base + 1] - shares[start - base]) / (end - start + 1)
    return shared
