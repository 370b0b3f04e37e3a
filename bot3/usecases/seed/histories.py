"""Makes the bots' histories: the control bots' in one run, BOT3's week by week with what was learned by the start of each week."""

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
"""Lifetime of learned values in history: it relearns weekly, and they must not expire at the very instant of the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """Makes the histories of all bots and syncs them to the record.

    Parameters
    ----------
    stores, profiles : mapping
        Stores and profiles by bot.
    steps : LearningSteps
        The steps that learn; their times and files are not used.
    arrays : mapping
        Candles by pair, over the whole span.
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
        """Replay every bot over the span on out-of-sample signals.

        A rerun makes the same trades, and does not change existing ones.

        Raises
        ------
        StoreError
            If a history contains another trade under an id: another seed made it.
        LearningError
            If the record lacks trades of a history.
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
        """Learn and recommend as of a week's start, unless an earlier attempt did."""
        try:
            if self.record.recommendations.as_of(now).generated_at == now:
                return
        except LearningError:
            pass
        moment = Moment(now=now, computed_at=self.wall_now(), parameters_life=LIFE_IN_HISTORY, recommendations_life=LIFE_IN_HISTORY)
        replace(self.steps.at(moment), files=None).relearn_everything()


def _weeks(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Return the spans from one week's start to the next, the last one up to the end."""
    spans = []
    while start < end:
        spans.append((start, min(start + WEEK, end)))
        start += WEEK
    return spans
