"""Make the bots' backtest histories: the control bots' in one run, BOT3's week by week with what was learned by each week's start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from bot3.errors import LearningError
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.market.weeks import WEEK
from bot3.ports.record import PlatformRecord
from bot3.ports.signals import SignalStore
from bot3.ports.trades import BotStore
from bot3.trading.backtest import BacktestResult, BacktestState, backtest
from bot3.trading.costs import Costs
from bot3.trading.markets import Market
from bot3.trading.profiles import BotProfile
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode
from bot3.usecases.learning.relearn import require_reconciled
from bot3.usecases.learning.steps import LearningSteps, Moment
from bot3.usecases.learning.sync_trades import sync_trades

LIFE_IN_HISTORY = WEEK + timedelta(days=1)
"""Lifetime of learned values in a history, longer than the week between two learning runs, so that they never expire in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """Makes the backtest trades of all own bots, and syncs them to the record.

    Parameters
    ----------
    stores, profiles : mapping
        Bot to the store of its history, and to its rules.
    steps : LearningSteps
        The learning steps; their own times and files are not used.
    arrays : mapping
        Pair to its candles over the whole span.
    """

    record: PlatformRecord
    stores: Mapping[str, BotStore]
    profiles: Mapping[str, BotProfile]
    steps: LearningSteps
    arrays: Mapping[str, CandleArrays]
    signals: SignalStore
    markets: Mapping[str, Market]
    costs: Costs
    candle: timedelta
    wall_now: Callable[[], datetime]

    def make(self, *, start: datetime, end: datetime, progress: Callable[[str, int, int], None]) -> None:
        """Backtest every bot from `start` to `end` on out-of-sample signals, store its trades, and sync them to the record.

        A second run makes the same trades and does not change existing ones.

        Raises
        ------
        StoreError
            If a history already contains a different trade under the same id, because it was made by another seed.
        LearningError
            If the record and a history contain different numbers of trades after the sync.
        """
        signals = self.signals.signals(feeder_ids=FEEDER_IDS, start=start, end=end)
        regimes = self.record.regimes.frame(start=start - timedelta(days=1), end=end)
        controls = [name for name, profile in self.profiles.items() if not profile.is_learned]
        weeks = _weeks(start, end)
        total = len(controls) + len(weeks)
        for count, name in enumerate(controls, 1):
            self._keep(name, self._backtest(name, signals, regimes, start=start, end=end))
            progress("histories", count, total)
        learned = [name for name, profile in self.profiles.items() if profile.is_learned]
        states: dict[str, BacktestState | None] = dict.fromkeys(learned)
        for count, (first, last) in enumerate(weeks):
            if count > 0:
                self._learn_by(first)
            for name in learned:
                result = self._backtest(name, signals, regimes, start=first, end=last, state=states[name], is_taught=count > 0)
                self._keep(name, result)
                states[name] = result.state
            progress("histories", len(controls) + count + 1, total)

    def _backtest(
        self,
        name: str,
        signals: pd.DataFrame,
        regimes: pd.DataFrame,
        *,
        start: datetime,
        end: datetime,
        state: BacktestState | None = None,
        is_taught: bool = False,
    ) -> BacktestResult:
        parameters = self.record.parameters.as_of(start) if is_taught else None
        recommendation = self.record.recommendations.as_of(start) if is_taught else None
        return backtest(
            signals,
            self.arrays,
            self.profiles[name],
            markets=self.markets,
            costs=self.costs,
            candle=self.candle,
            start=start,
            end=end,
            regimes=regimes,
            parameters_at=lambda _: parameters,
            recommendations_at=lambda _: recommendation,
            state=state,
        )

    def _keep(self, name: str, result: BacktestResult) -> None:
        store = self.stores[name]
        store.import_trades(result.trades)
        require_reconciled([sync_trades(store, self.record.trades, run_mode=RunMode.BACKTEST)])

    def _learn_by(self, now: datetime) -> None:
        """Run all learning steps as of a week's start, unless an earlier attempt has published the recommendation of that time."""
        try:
            if self.record.recommendations.as_of(now).generated_at == now:
                return
        except LearningError:
            pass
        moment = Moment(now=now, computed_at=self.wall_now(), parameters_life=LIFE_IN_HISTORY, recommendations_life=LIFE_IN_HISTORY)
        replace(self.steps.at(moment), files=None).relearn_everything()


def _weeks(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Split a span into parts of one week, the first from `start`; the last part ends at `end`."""
    spans = []
    while start < end:
        spans.append((start, min(start + WEEK, end)))
        start += WEEK
    return spans
