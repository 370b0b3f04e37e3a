"""The steps of the feeders on one home: train a model, make the signals of weeks, extend the shadow trades."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from bot3.learning.feeders.specs import find_feeder
from bot3.learning.feeders.training import TrainingSettings
from bot3.market.timeframes import timeframe_duration
from bot3.market.weeks import WEEK, walk_forward_weeks, week_of, week_start
from bot3.ports.candles import CandleReader
from bot3.ports.models import ModelStore
from bot3.ports.record import ModelEntry, PlatformRecord
from bot3.ports.signals import SignalStore
from bot3.trading.costs import Costs
from bot3.trading.horizons import Horizon
from bot3.trading.markets import Market
from bot3.trading.profiles import BotProfile
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode
from bot3.usecases.feeders.make_signals import make_signals
from bot3.usecases.feeders.panels import build_panels
from bot3.usecases.feeders.shadow_feeders import VOLATILITY_WARM_UP, ShadowMarket, read_arrays, shadow_feeders, shadow_since
from bot3.usecases.feeders.train_feeders import train_feeder


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederSteps:
    """The steps of the feeders, on the ports of one home.

    Parameters
    ----------
    markets : callable
        Returns the exchange filters of every pair.
    profile : BotProfile
        Rules by which signals become shadow trades.
    run_mode : RunMode
        Run mode of new shadow trades.
    train_days : int
        Longest training window, in days.
    now, wall_now : callable
        Return market time and wall time.
    seeded_until : callable
        Returns the market time up to which the home was seeded: earlier signals and shadow trades exist.
    """

    record: PlatformRecord
    candles: CandleReader
    models: ModelStore
    signals: SignalStore
    markets: Callable[[], Mapping[str, Market]]
    costs: Costs
    profile: BotProfile
    run_mode: RunMode
    timeframe: str
    train_days: int
    training: TrainingSettings
    now: Callable[[], datetime]
    wall_now: Callable[[], datetime]
    seeded_until: Callable[[], datetime]

    def train_feeder(self, feeder_id: str, *, until: datetime) -> ModelEntry:
        """Train a feeder's model on the data known by a market time, store it, and add it to the record. Raises as `train_feeder`."""
        entry = train_feeder(
            feeder_id,
            until=until,
            pairs=self.candles.pairs(),
            candles=self.candles,
            models=self.models,
            now=self.wall_now(),
            train_days=self.train_days,
            settings=self.training,
        )
        self.record.models.register(entry)
        return entry

    def predict_weeks(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], pd.DataFrame]:
        """Compute and store the signals of some (feeder, week) keys, up to the candles closed by now; return them by key.

        The features of a week are computed once for all its feeders of a timeframe. Raises as `build_panel` and `make_signals`.
        """
        now, made = self.now(), {}
        for week in sorted({week for _, week in keys}):
            start = week_start(week)
            panels = build_panels(self.candles, pairs=self.candles.pairs(), start=start, end=min(start + WEEK, now))
            for feeder_id in sorted(feeder for feeder, its_week in keys if its_week == week):
                panel = panels[find_feeder(feeder_id).timeframe]
                made[feeder_id, week] = make_signals(
                    feeder_id,
                    week,
                    panel,
                    registry=self.record.models,
                    models=self.models,
                    signals=self.signals,
                    now=now,
                )
        return made

    def extend_shadow_trades(self) -> int:
        """Compute all feeders' signals again from the last stored week on, and store their shadow trades that have closed since.

        If the feeders' last stored weeks differ, the earliest of them is the first week. Return how many shadow trades were stored.
        """
        now, seeded = self.now(), self.seeded_until()
        newest = min(max(self.signals.weeks(feeder), default=week_of(seeded)) for feeder in FEEDER_IDS)
        weeks = walk_forward_weeks(week_start(newest), now, every=1)
        self.predict_weeks([(feeder, week) for feeder in FEEDER_IDS for week in weeks])
        since = shadow_since(self.record.shadow_trades, run_mode=self.run_mode, pairs=self.candles.pairs(), since=seeded)
        candle = timeframe_duration(self.timeframe)
        arrays = read_arrays(
            self.candles,
            timeframe=self.timeframe,
            start=since - VOLATILITY_WARM_UP,
            end=now,
            horizon_candles=Horizon.DAY.duration // candle,
        )
        return shadow_feeders(
            self.record.shadow_trades,
            self.signals,
            ShadowMarket(candles=arrays, markets=self.markets(), costs=self.costs, candle=candle),
            profile=self.profile,
            run_mode=self.run_mode,
            since=seeded,
            now=now,
            regimes=self.record.regimes.frame(start=since - timedelta(days=1), end=now),
        )
