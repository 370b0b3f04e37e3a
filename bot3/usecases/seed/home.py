"""Seed a home: train feeder models week by week, make their signals and shadow trades and the bots' histories, and learn from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot3.errors import DataError, LearningError
from bot3.learning.feeders.specs import find_feeder
from bot3.learning.feeders.training import TrainingSettings
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.market.timeframes import timeframe_duration
from bot3.market.weeks import WEEK, walk_forward_weeks, week_of, week_start
from bot3.ports.candles import CandleReader
from bot3.ports.models import ModelStore
from bot3.ports.record import PlatformRecord
from bot3.ports.signals import SignalStore
from bot3.ports.trades import BotStore
from bot3.trading.costs import Costs
from bot3.trading.horizons import Horizon
from bot3.trading.markets import Market
from bot3.trading.profiles import BotProfile
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode
from bot3.usecases.feeders.make_signals import make_signals
from bot3.usecases.feeders.panels import Panels, build_panels
from bot3.usecases.feeders.shadow_feeders import ShadowMarket, read_arrays, shadow_feeders
from bot3.usecases.feeders.train_feeders import feeder_settings_digest, train_feeder
from bot3.usecases.learning.detect_regimes import detect_regimes
from bot3.usecases.learning.steps import LearningSteps
from bot3.usecases.seed.histories import Histories

Progress = Callable[[str, int, int], None]
"""Progress callback: receives a step's name, how much of it is done, and the total."""

_MOST_WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedParts:
    """Inputs and outputs of a seed.

    Parameters
    ----------
    start, end : datetime
        The span of candles that is used, in market time; the daemon continues at its end.
    first_weeks, every_weeks : int
        Weeks of candles before the first models, and weeks between two models of a feeder.
    train_days : int
        Longest training window, in days.
    history_stores, profiles : mapping
        Bot to the store of its history, and to its rules.
    steps : LearningSteps
        The learning steps, with the times of the span's end; they sync no source, because the histories are synced when they are made.
    wall_now : callable
        Returns the wall time, for `computed_at`.
    """

    candles: CandleReader
    markets: Mapping[str, Market]
    models: ModelStore
    signals: SignalStore
    record: PlatformRecord
    history_stores: Mapping[str, BotStore]
    profiles: Mapping[str, BotProfile]
    steps: LearningSteps
    training: TrainingSettings
    costs: Costs
    timeframe: str
    start: datetime
    end: datetime
    first_weeks: int
    every_weeks: int
    train_days: int
    wall_now: Callable[[], datetime]

    @property
    def model_weeks(self) -> tuple[str, ...]:
        """Return the weeks at whose start every feeder gets a new model, sorted.

        Raises
        ------
        DataError
            If the candles are too few for one model.
        """
        first = self.start + self.first_weeks * WEEK
        weeks = walk_forward_weeks(first, self.end - timedelta(days=1), every=self.every_weeks)
        if not weeks:
            raise DataError(
                f"candles from {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d} are too few: {self.first_weeks} weeks are needed before "
                "the first feeder model and one after it; add more candles, or lower BOT3_FEEDER_FIRST_WEEKS"
            )
        return weeks

    @property
    def signal_weeks(self) -> tuple[str, ...]:
        """Return the weeks for which signals are made: all from the first models to the end."""
        return walk_forward_weeks(week_start(self.model_weeks[0]), self.end, every=1)

    def training_of(self, week: str) -> TrainingSettings:
        """Return the settings of a week's models: all seeds for the newest ones, which the daemon starts with, else the first seed."""
        is_newest = week == self.model_weeks[-1]
        return self.training if is_newest else replace(self.training, seeds=self.training.seeds[:1])

    def histories(self, arrays: Mapping[str, CandleArrays]) -> Histories:
        """Return the `Histories` that make the bots' trades on these candles."""
        return Histories(
            record=self.record,
            stores=self.history_stores,
            profiles=self.profiles,
            steps=self.steps,
            arrays=arrays,
            signals=self.signals,
            markets=self.markets,
            costs=self.costs,
            candle=timeframe_duration(self.timeframe),
            wall_now=self.wall_now,
        )


def seed_home(parts: SeedParts, *, progress: Progress) -> None:
    """Seed a home. After an interrupted attempt, existing models are not trained again; the result is the same as of one attempt.

    Raises
    ------
    DataError
        If there are too few candles, or they cannot be read.
    """
    weeks = parts.model_weeks
    progress("features", 0, 1)
    panels = build_panels(parts.candles, pairs=parts.candles.pairs(), start=parts.end - timedelta(days=parts.train_days), end=parts.end)
    progress("features", 1, 1)
    _train(parts, panels, weeks, progress=progress)
    _predict(parts, panels, progress=progress)
    del panels
    progress("regimes", 0, 1)
    _detect_regimes(parts)
    progress("regimes", 1, 1)
    arrays = _arrays(parts)
    first = week_start(weeks[0])
    _shadow(parts, arrays, since=first, progress=progress)
    parts.histories(arrays).make(start=first, end=parts.end, progress=progress)
    _learn(parts, progress=progress)


def _train(parts: SeedParts, panels: Panels, weeks: tuple[str, ...], *, progress: Progress) -> None:
    """Train the models that no earlier attempt trained, on one thread per core, at most `_MOST_WORKERS`.

    Threads are enough because LightGBM releases the interpreter lock.
    """
    known = parts.record.models.frame()
    done = set(zip(known["feeder_id"], known["trained_until"], known["settings_digest"], strict=True))
    jobs = [(feeder, week) for week in weeks for feeder in FEEDER_IDS]
    missing = [(feeder, week) for feeder, week in jobs if (feeder, week_start(week), _digest(parts, feeder, week)) not in done]
    count = len(jobs) - len(missing)
    progress("feeder models", count, len(jobs))
    with ThreadPoolExecutor(max_workers=min(_MOST_WORKERS, os.cpu_count() or 1)) as pool:
        waiting = [
            pool.submit(
                train_feeder,
                feeder,
                until=week_start(week),
                pairs=parts.candles.pairs(),
                candles=parts.candles,
                models=parts.models,
                now=parts.wall_now(),
                train_days=parts.train_days,
                settings=parts.training_of(week),
                panel=panels[find_feeder(feeder).timeframe],
            )
            for feeder, week in missing
        ]
        try:
            for finished in as_completed(waiting):
                parts.record.models.register(finished.result())
                count += 1
                progress("feeder models", count, len(jobs))
        except BaseException:
            # Pending jobs in the queue would occupy a stopped command for minutes.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _digest(parts: SeedParts, feeder_id: str, week: str) -> str:
    return feeder_settings_digest(find_feeder(feeder_id), settings=parts.training_of(week), train_days=parts.train_days)


def _predict(parts: SeedParts, panels: Panels, *, progress: Progress) -> None:
    jobs = [(feeder, week) for feeder in FEEDER_IDS for week in parts.signal_weeks]
    for count, (feeder, week) in enumerate(jobs, 1):
        panel = panels[find_feeder(feeder).timeframe]
        make_signals(feeder, week, panel, registry=parts.record.models, models=parts.models, signals=parts.signals, now=parts.end)
        progress("signals", count, len(jobs))


def _detect_regimes(parts: SeedParts) -> None:
    try:
        newest = parts.record.regimes.as_of(parts.end).known_at
    except LearningError:
        newest = None
    if newest is None or week_of(newest) < week_of(parts.end):
        detect_regimes(
            parts.record.regimes,
            parts.candles,
            pairs=parts.candles.pairs(),
            timeframe=parts.timeframe,
            now=parts.end,
            computed_at=parts.wall_now(),
        )


def _arrays(parts: SeedParts) -> dict[str, CandleArrays]:
    horizon_candles = Horizon.DAY.duration // timeframe_duration(parts.timeframe)
    return read_arrays(parts.candles, timeframe=parts.timeframe, start=parts.start, end=parts.end, horizon_candles=horizon_candles)


def _shadow(parts: SeedParts, arrays: Mapping[str, CandleArrays], *, since: datetime, progress: Progress) -> None:
    progress("shadow trades", 0, 1)
    shadow_feeders(
        parts.record.shadow_trades,
        parts.signals,
        ShadowMarket(candles=arrays, markets=parts.markets, costs=parts.costs, candle=timeframe_duration(parts.timeframe)),
        profile=parts.profiles["BOT1"],
        run_mode=RunMode.BACKTEST,
        since=since,
        now=parts.end,
        regimes=parts.record.regimes.frame(start=parts.start, end=parts.end),
    )
    progress("shadow trades", 1, 1)


def _learn(parts: SeedParts, *, progress: Progress) -> None:
    progress("learning", 0, 1)
    parts.steps.relearn_everything()
    progress("learning", 1, 1)
