"""Labels: what a trade signalled at a candle's close would have earned after its costs, and whether that is above 0.

The trade enters at the open of the next candle and exits at its stop, its target or the horizon's last close (`trading.exit_law`, without
liquidation and giveback). Both sides pay the taker fee, every fill pays slippage, and stops pay stop slippage in addition. Outcomes add the
funding of the time in the trade.
"""

from __future__ import annotations

import math
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

    @property
    def round_trip(self) -> float:
        """Return the costs of an entry and an exit that is not a stop, ratio of the price."""
        return 2.0 * (self.taker_fee + self.slippage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Barriers:
    """Stop and target in units of sigma (both above 0; infinite: none), and the horizon in candles, for which sigma is computed."""

    stop_sigma: float
    horizon_candles: int
    target_sigma: float = math.inf

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Outcomes of the trades of one pair and direction, one per candle.

    Parameters
    ----------
    net_move : float64 of shape (n,)
        Net profit, funding included, ratio of the entry rate; NaN where a label would be `NO_LABEL`.
    end : int32 of shape (n,)
        Index of the candle at whose close the outcome is known; n without an outcome.
    """

    net_move: Floats
    end: NDArray[np.int32]


def trade_outcomes(
    *,
    open_us: NDArray[np.int64],
    rates: tuple[Floats, Floats, Floats, Floats],
    sigma: Floats,
    barriers: Barriers,
    is_short: bool,
    costs: LabelCosts,
    funding: tuple[NDArray[np.int64], Floats],
) -> Outcomes:
    """Compute the outcome of every candle of one pair, as `barrier_labels` does, with funding.

    Parameters
    ----------
    funding : (int64, float64) arrays of shape (m,)
        Times of payments in microseconds since 1970, increasing, and rates. A trade pays what is due from the close of its signal's candle
        to before the close of its last candle; the rate applies to the value at entry.
    """
    made = barrier_labels(open_us=open_us, rates=rates, sigma=sigma, barriers=barriers, is_short=is_short, costs=costs)
    times, paid = funding
    step = int(np.diff(open_us).min()) if len(open_us) > 1 else 0
    total = np.concatenate(([0.0], np.cumsum(paid)))
    due = total[np.searchsorted(times, open_us + step)]
    known = made.label != NO_LABEL
    funded = np.full(len(open_us), np.nan)
    funded[known] = due[made.end[known]] - due[known]
    side = -1.0 if is_short else 1.0
    return Outcomes(net_move=made.net_move - side * funded, end=made.end)


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
    """Compute the uniqueness of each trade at its entry: one over the number of trades that are open then, its own included.

    Only trades entered by then count. With those entered later the weights would depend on the outcomes: a rule enters again while a move
    goes on, so its good trades would count less.

    Parameters
    ----------
    start, end : int64 arrays of shape (n,)
        First and last candle (both included) of each trade of one pair; `start` is increasing.

    Returns
    -------
    float64 array of shape (n,)
        Above 0, at most 1.
    """
    ended = np.searchsorted(np.sort(end), start, side="left")
    open_trades = np.arange(1, len(start) + 1) - ended
    shares: Floats = 1.0 / open_trades
    return shares


def one_at_a_time(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which trades are entered if a pair has one open trade at most: each one that starts after the last one's end.

    The arguments are those of `uniqueness`.
    """
    taken = np.zeros(len(start), dtype=np.bool_)
    free_at = -1
    for index in range(len(start)):
        if start[index] > free_at:
            taken[index], free_at = True, int(end[index])
    return taken
