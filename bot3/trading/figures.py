"""Figures of closed trades with their intervals, and what a pair of levels asks of the win rate. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.trading.costs import Costs

WIN_RATE_MARK = 0.55
AVG_PROFIT_MARK = 0.003
PROFIT_FACTOR_MARK = 1.5
DRAWDOWN_MARK = -0.10
LEAST_DAYS = 5
"""An interval needs closes on so many days: trades of one day move together."""

_LEVEL = 0.90


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean and its 90 % interval; None where it cannot be told."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Closed trades in figures. Ratios are of the stake, `profit_abs` is stake currency, `days` are UTC days with a close."""

    n: int
    days: int
    profit_abs: float | None
    win_rate: Estimate
    avg_profit: Estimate
    profit_factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFigures:
    """What a stop and a target mean after costs, as ratios of the stake; `loss` is below 0."""

    loss: float
    gain: float
    costs: float

    @property
    def reward_to_risk(self) -> float:
        """Return gain over loss, after costs."""
        return self.gain / -self.loss

    @property
    def break_even(self) -> float:
        """Return the win rate at which stop and target alone earn nothing."""
        return -self.loss / (self.gain - self.loss)


def summary(closes: pd.DataFrame) -> Summary:
    """Return the figures of closed trades (columns close_date, close_profit, close_profit_abs)."""
    profit = closes["close_profit"].to_numpy(dtype=np.float64)
    if not len(profit):
        unknown = Estimate(value=None)
        return Summary(n=0, days=0, profit_abs=None, win_rate=unknown, avg_profit=unknown, profit_factor=None)
    days = closes["close_date"].dt.floor("D").to_numpy(dtype="datetime64[us]")
    codes, found = pd.factorize(days)
    lost, won = -float(profit[profit < 0.0].sum()), float(profit[profit > 0.0].sum())
    return Summary(
        n=len(profit),
        days=len(found),
        profit_abs=float(closes["close_profit_abs"].sum()),
        win_rate=clustered_mean((profit > 0.0).astype(np.float64), codes, within=(0.0, 1.0)),
        avg_profit=clustered_mean(profit, codes),
        profit_factor=won / lost if lost > 0.0 else None,
    )


def clustered_mean(values: NDArray[np.float64], clusters: NDArray[np.intp], *, within: tuple[float, float] | None = None) -> Estimate:
    """Return a mean and its 90 % interval where values of one cluster move together.

    Parameters
    ----------
    values : array of shape (n,)
        At least one.
    clusters : array of shape (n,)
        Cluster of each value, 0 to m - 1 (here: the UTC day of the close).
    within : tuple of float, optional
        Ends that the interval may not pass.

    Notes
    -----
    Cluster-robust variance of a mean with the factor m / (m - 1), and Student's t with m - 1 degrees of freedom. Fewer than `LEAST_DAYS`
    clusters, or values that are all equal, give no interval: their spread tells nothing of what may come.
    """
    mean = float(values.mean())
    sums = np.bincount(clusters, weights=values - mean)
    m = len(sums)
    if m < LEAST_DAYS or not np.ptp(values) > 0.0:
        return Estimate(value=mean)
    error = math.sqrt(float((sums**2).sum()) * m / (m - 1)) / len(values)
    reach = _student(m - 1) * error
    low, high = mean - reach, mean + reach
    return Estimate(value=mean, low=low if within is None else max(low, within[0]), high=high if within is None else min(high, within[1]))


def _student(freedom: int) -> float:
    # Cornish-Fisher expansion of the t quantile: within 1 % from 4 degrees of freedom on.
    z = NormalDist().inv_cdf(0.5 + _LEVEL / 2.0)
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / freedom + second / freedom**2


def equity_curve(closes: pd.DataFrame, *, wallet_abs: float) -> pd.DataFrame:
    """Return equity after each close: columns close_date, equity_abs, drawdown (ratio of the peak, at most 0).

    Open positions and their profit are not in it. The peak is at least the wallet at the start.
    """
    ordered = closes.sort_values("close_date", kind="stable")
    equity = wallet_abs + ordered["close_profit_abs"].to_numpy(dtype=np.float64).cumsum()
    peak = np.maximum.accumulate(np.maximum(equity, wallet_abs)) if len(equity) else equity
    dates = ordered["close_date"].reset_index(drop=True)
    return pd.DataFrame({"close_date": dates, "equity_abs": equity, "drawdown": equity / peak - 1.0})


def level_figures(*, stop_loss: float, take_profit_target: float, leverage: float, costs: Costs) -> LevelFigures:
    """Return what a stop and a target mean after costs.

    Parameters
    ----------
    stop_loss : float
        Ratio of the stake below 0, a distance before costs.
    take_profit_target : float
        Ratio of the stake above 0, after fees.
    leverage : float
        At which both are told, at least 1.

    Notes
    -----
    As in the replay: both levels are market orders; the entry's slippage is in the open rate, from which they are measured. A stop pays
    both fees, slippage and its own slippage on top; a target pays slippage, its fees are in it already.
    """
    stop_costs = leverage * (2.0 * costs.taker_fee + costs.slippage + costs.stop_slippage)
    gain = take_profit_target - leverage * costs.slippage
    return LevelFigures(loss=stop_loss - stop_costs, gain=gain, costs=stop_costs)


def thinned(values: NDArray[np.float64], *, points: int) -> NDArray[np.intp]:
    """Return the rows to draw of a line: the lowest and the highest of each stretch, and both ends."""
    n = len(values)
    if n <= points:
        return np.arange(n)
    edges = np.linspace(0, n, max(points // 2, 1) + 1).astype(np.intp)
    kept = {0, n - 1}
    for start, end in pairwise(edges):
        kept |= {int(start + values[start:end].argmin()), int(start + values[start:end].argmax())}
    return np.array(sorted(kept), dtype=np.intp)
