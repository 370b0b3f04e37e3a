"""Compare learned with static stops and targets on trades that were not learned from: split by time, estimate means, give a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bot3.market.instants import DAY_US
from bot3.trading.intervals import MIN_DAYS, student_quantile

LEVEL = 0.95
"""Confidence level of every interval; of all groups of a table together if there are several."""
MIN_TRADES = 30
"""Minimum number of trades for a verdict, whatever the interval."""


class Verdict(StrEnum):
    """Which of learned and static stops and targets earned more, beyond chance."""

    LEARNED_BETTER = "learned better"
    STATIC_BETTER = "static better"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEstimate:
    """A mean and the ends of its confidence interval, which are infinite if there are too few days or the mean is not finite."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """Trades for fitting and trades for evaluation; trades in neither are not used. Entries at or after `at_us` are evaluated.

    All information on a fitted trade was known by `at_us`, so the learned settings could have been in force from then on.
    """

    at_us: int
    fitted: NDArray[np.bool_]
    judged: NDArray[np.bool_]

    @property
    def embargoed(self) -> NDArray[np.bool_]:
        """Return the trades in neither part: entered before the split, known after it."""
        left: NDArray[np.bool_] = ~(self.fitted | self.judged)
        return left


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Comparison of learned with static stops and targets on the same trades, net of all costs.

    `static_profit`, `learned_profit`, `realised_profit` are means, ratios of the stake; `gain` is learned - static, with its interval.
    `*_move` are the same as ratios of the price. `days` is the number of UTC days with an entry: trades of one day are one cluster.
    """

    n: int
    days: int
    realised_profit: float
    static_profit: float
    learned_profit: float
    gain: IntervalEstimate
    static_move: float
    learned_move: float
    gain_move: IntervalEstimate
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTrades:
    """Evaluated trades, arrays of shape (n,).

    `open_us` are the entries, microseconds since 1970; `close_profit` is the realised ratio of the stake; `static_move` and `learned_move`
    are the net moves of the price under the static and the learned stop and target.
    """

    open_us: NDArray[np.int64]
    leverage: NDArray[np.float64]
    close_profit: NDArray[np.float64]
    static_move: NDArray[np.float64]
    learned_move: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.open_us)

    def take(self, rows: NDArray[np.int64]) -> JudgedTrades:
        """Return the trades of some rows."""
        return JudgedTrades(
            open_us=self.open_us[rows],
            leverage=self.leverage[rows],
            close_profit=self.close_profit[rows],
            static_move=self.static_move[rows],
            learned_move=self.learned_move[rows],
        )


def split_by_time(open_us: NDArray[np.int64], known_us: NDArray[np.int64], *, share: float) -> TimeSplit:
    """Split trades by time: the first `share` of the entries is for fitting, the rest for evaluation.

    Parameters
    ----------
    open_us, known_us : arrays of shape (n,)
        Times of the entries, and times at which a trade's whole path is known: the end of its horizon, or its close if that is later.
    share : float
        Share of the entries for fitting, above 0 and below 1.

    Raises
    ------
    ValueError
        If there is no trade, or the share is outside its bounds.
    """
    if not len(open_us) or not 0.0 < share < 1.0:
        raise ValueError(f"a split needs trades and a share between 0 and 1, were {len(open_us)} trades and share {share}")
    ordered = np.sort(open_us)
    return split_at(open_us, known_us, at_us=int(ordered[min(int(len(ordered) * share), len(ordered) - 1)]))


def split_at(open_us: NDArray[np.int64], known_us: NDArray[np.int64], *, at_us: int) -> TimeSplit:
    """Split trades at an instant; see `split_by_time`."""
    return TimeSplit(at_us=at_us, fitted=known_us <= at_us, judged=open_us >= at_us)


def clustered_estimate(
    values: NDArray[np.float64], open_us: NDArray[np.int64], *, horizon_days: int = 1, level: float = LEVEL
) -> IntervalEstimate:
    """Estimate the mean of some outcomes and its confidence interval, clustered by the UTC day of the entry.

    Parameters
    ----------
    values : array of shape (n,)
        Outcomes, at least one.
    open_us : array of shape (n,)
        Times of the entries, microseconds since 1970.
    horizon_days : int
        Number of days by which trades overlap. Autocovariances of the daily sums up to this lag are counted in full: Bartlett's weights
        would halve the first one, and a 95 % interval then covered the true mean in only 90 % of simulated worlds.

    Notes
    -----
    The variance of the estimated variance grows with every counted lag: it corresponds to days / (1 + 2 lags) independent days, and
    Student's t has one degree of freedom less than those. Below `MIN_DAYS` days the interval has infinite ends.
    """
    n = len(values)
    mean = float(values.mean())
    days = open_us // DAY_US - int(open_us.min()) // DAY_US
    clusters = len(np.unique(days))
    if clusters < MIN_DAYS or not math.isfinite(mean):
        return IntervalEstimate(mean=mean, lower=-math.inf, upper=math.inf)
    sums = np.bincount(days, weights=values - mean)
    spread = float(sums @ sums)
    long_run = spread
    for lag in range(1, min(horizon_days, len(sums) - 1) + 1):
        long_run += 2.0 * float(sums[lag:] @ sums[:-lag])
    # Negative autocovariances would reduce the estimate below that of independent days; this reduction is not applied.
    counted = 1 + 2 * horizon_days
    left = max(clusters / counted, 2.0)
    deviation = math.sqrt(max(long_run, spread) * left / (left - 1.0)) / n
    reach = student_quantile(0.5 + level / 2.0, degrees=left - 1.0) * deviation
    return IntervalEstimate(mean=mean, lower=mean - reach, upper=mean + reach)


def compare(outcomes: JudgedTrades, *, horizon_days: int = 1, level: float = LEVEL) -> Comparison:
    """Compare learned with static settings on at least one trade.

    The verdict uses the gain as a ratio of the stake. It favours a side only if the interval excludes zero, with at least `MIN_TRADES`
    trades and `MIN_DAYS` days.
    """
    gained = outcomes.learned_move - outcomes.static_move
    gain = clustered_estimate(gained * outcomes.leverage, outcomes.open_us, horizon_days=horizon_days, level=level)
    return Comparison(
        n=len(outcomes),
        days=len(np.unique(outcomes.open_us // DAY_US)),
        realised_profit=float(outcomes.close_profit.mean()),
        static_profit=float((outcomes.static_move * outcomes.leverage).mean()),
        learned_profit=float((outcomes.learned_move * outcomes.leverage).mean()),
        gain=gain,
        static_move=float(outcomes.static_move.mean()),
        learned_move=float(outcomes.learned_move.mean()),
        gain_move=clustered_estimate(gained, outcomes.open_us, horizon_days=horizon_days, level=level),
        verdict=verdict_of(gain, n=len(outcomes)),
    )


def verdict_of(gain: IntervalEstimate, *, n: int) -> Verdict:
    """Return the verdict on a gain from n trades: no evidence with fewer than `MIN_TRADES`, or if the interval includes 0."""
    if n < MIN_TRADES or not math.isfinite(gain.mean) or gain.lower <= 0.0 <= gain.upper:
        return Verdict.NOT_ENOUGH_EVIDENCE
    return Verdict.LEARNED_BETTER if gain.lower > 0.0 else Verdict.STATIC_BETTER


def level_of_each(groups: int, *, level: float = LEVEL) -> float:
    """Return the confidence level of each of several intervals with which all of them together have the level `level` (Bonferroni)."""
    return 1.0 - (1.0 - level) / max(groups, 1)
