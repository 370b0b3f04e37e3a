"""Compare the outcomes of an audit's trades under static and learned stops and targets, over all trades after the split and in groups."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import starmap
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.evaluation.comparison import (
    Comparison,
    IntervalEstimate,
    JudgedTrades,
    TimeSplit,
    clustered_estimate,
    compare,
    level_of_each,
)
from bot3.learning.parameters.learner import LearningSettings
from bot3.market.instants import DAY_US, microseconds
from bot3.trading.intervals import MIN_DAYS
from bot3.trading.leverage_bins import bin_order
from bot3.trading.parameters import ParameterSet
from bot3.usecases.audit.replay import AuditCandles, learned_levels_of, replay_levels, static_levels_of
from bot3.usecases.audit.report import DayOutcome, GroupComparison, OutOfSampleResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The trades whose whole horizon was replayed, and their outcomes under the static and the learned settings (stop and target).

    Parameters
    ----------
    trades : DataFrame
        The trade frame with the volatility at entry as column `sigma`.
    split : TimeSplit
        Which of them were used for fitting, and which are judged.
    outcomes : JudgedTrades
        Outcomes of all of them; `learned_move` is NaN if too few days were fitted.
    expected_move : array of shape (n,)
        Posterior expectancy of the learned settings that each trade would have used, ratio of the price; NaN if too few days were fitted.
    horizon_days : int
        The horizon in days, rounded up: trades entered within it of each other overlap.
    """

    trades: pd.DataFrame
    split: TimeSplit
    outcomes: JudgedTrades
    expected_move: NDArray[np.float64]
    horizon_days: int

    @property
    def fitted_days(self) -> int:
        """Return the number of UTC days on which fitted trades were entered."""
        return _days(self.outcomes.open_us[self.split.fitted])

    @property
    def judged_days(self) -> int:
        """Return the number of UTC days on which judged trades were entered."""
        return _days(self.outcomes.open_us[self.split.judged])

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return the positions of the judged trades in `trades`."""
        return np.flatnonzero(self.split.judged)

    def static_whole(self) -> IntervalEstimate:
        """Return the mean outcome of all trades, before and after the split, under the static settings, as a ratio of the stake."""
        return self._mean(self.outcomes.static_move * self.outcomes.leverage, self.outcomes.open_us)

    def overall(self) -> Comparison | None:
        """Return the comparison of both settings on the judged trades; None if there are none."""
        return compare(self.outcomes.take(self.rows), horizon_days=self.horizon_days) if len(self.rows) else None

    def promise(self) -> OutOfSampleResult | None:
        """Return the expected and the actual outcome of the learned settings on the judged trades.

        None if no trade is judged, or trades of fewer than `MIN_DAYS` days were fitted.
        """
        rows, fitted = self.rows, np.flatnonzero(self.split.fitted)
        if not len(rows) or self.fitted_days < MIN_DAYS:
            return None
        outcomes = self.outcomes
        kept = self._mean(outcomes.learned_move[rows], outcomes.open_us[rows])
        expected = float(self.expected_move[rows].mean())
        return OutOfSampleResult(
            expected_move=expected,
            kept=kept,
            optimism_move=expected - kept.mean,
            gain_fitted_move=float((outcomes.learned_move[fitted] - outcomes.static_move[fitted]).mean()),
        )

    def groups(self, *columns: str) -> tuple[GroupComparison, ...]:
        """Return the comparison in each group of the judged trades; the intervals of all groups are jointly valid (Bonferroni).

        Parameters
        ----------
        columns : str
            Columns of the trade frame; the key joins their values with "|".
        """
        rows = self.rows
        judged = self.trades.iloc[rows]
        places = judged.groupby(list(columns), sort=False).indices
        level = level_of_each(len(places))
        return tuple(
            GroupComparison(
                key="|".join(key) if isinstance(key, tuple) else str(key),
                comparison=compare(self.outcomes.take(rows[own]), horizon_days=self.horizon_days, level=level),
            )
            for key, own in sorted(places.items(), key=lambda item: _order(item[0], columns))
        )

    def days(self) -> tuple[DayOutcome, ...]:
        """Return the sums of the judged trades' outcomes by UTC day of entry, oldest first."""
        rows = self.rows
        outcomes = self.outcomes.take(rows)
        sums = pd.DataFrame(
            {
                "n": 1,
                "realised_profit": outcomes.close_profit,
                "static_profit": outcomes.static_move * outcomes.leverage,
                "learned_profit": outcomes.learned_move * outcomes.leverage,
            }
        )
        by_day = sums.groupby(self.trades["open_date"].iloc[rows].dt.date.to_numpy(), sort=True).sum()
        return tuple(starmap(_day, zip(by_day.index.tolist(), by_day.to_dict("records"), strict=True)))

    def _mean(self, values: NDArray[np.float64], open_us: NDArray[np.int64]) -> IntervalEstimate:
        return clustered_estimate(values, open_us, horizon_days=self.horizon_days)


def _days(open_us: NDArray[np.int64]) -> int:
    return len(np.unique(open_us // DAY_US))


def _day(day: date, sums: Mapping[Any, Any]) -> DayOutcome:
    return DayOutcome(
        day=day,
        n=int(sums["n"]),
        realised_profit=float(sums["realised_profit"]),
        static_profit=float(sums["static_profit"]),
        learned_profit=float(sums["learned_profit"]),
    )


def judge(
    used: pd.DataFrame, candles: AuditCandles, *, settings: LearningSettings, parameters: ParameterSet, split: TimeSplit
) -> Judgement:
    """Replay trades under the static stop and target, and under parameters that were learned from the trades before the split.

    Parameters
    ----------
    used : DataFrame
        The trade frame with the volatility at entry as column `sigma`, of trades whose whole horizon the candles cover.

    Notes
    -----
    Learned outcomes are NaN if the trades used for fitting were entered on fewer than `MIN_DAYS` days.
    """
    levels, expected = learned_levels_of(used, parameters=parameters, costs=settings.costs)
    static = static_levels_of(used, settings=settings)
    learned_move = replay_levels(candles, used, levels, settings=settings)
    if _days(microseconds(used["open_date"])[split.fitted]) < MIN_DAYS:
        # Values learned from so few days are not reliable enough to be judged.
        learned_move, expected = np.full(len(used), np.nan), np.full(len(used), np.nan)
    return Judgement(
        trades=used,
        split=split,
        outcomes=JudgedTrades(
            open_us=microseconds(used["open_date"]),
            leverage=used["leverage"].to_numpy(dtype=np.float64),
            close_profit=used["close_profit"].to_numpy(dtype=np.float64),
            static_move=replay_levels(candles, used, static, settings=settings),
            learned_move=learned_move,
        ),
        expected_move=expected,
        horizon_days=horizon_days_of(settings),
    )


def horizon_days_of(settings: LearningSettings) -> int:
    """Return the horizon in days, rounded up, at least 1: trades entered within it of each other overlap."""
    return max(1, -(-settings.horizon // timedelta(days=1)))


def _order(key: Hashable, columns: Sequence[str]) -> tuple[Any, ...]:
    """Return the sort key of a group: texts by letter, leverage bins by their edges."""
    parts = key if isinstance(key, tuple) else (key,)
    return tuple(bin_order(str(part)) if column == "leverage_bin" else str(part) for part, column in zip(parts, columns, strict=True))
