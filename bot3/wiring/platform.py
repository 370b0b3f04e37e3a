"""The platform of one home: its ports, and the use cases that commands, Dagster and the seed run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from bot3.errors import DataError, StoreError
from bot3.file_replacement import replace_file
from bot3.trading.trades import RunMode
from bot3.wiring.home_market import SeedNote, note_seed, noted_seed, require_same_seed, settings_of_home
from bot3.wiring.sources import Sources

if TYPE_CHECKING:
    from bot3.adapters.sql.control.control import SqlControl
    from bot3.learning.feeders.scores import ScoreSettings
    from bot3.learning.feeders.training import TrainingSettings
    from bot3.settings import Settings
    from bot3.trading.markets import Market
    from bot3.usecases.feeders.steps import FeederSteps  # loads numba and TA-Lib
    from bot3.usecases.learning.learner_session import LearnerSession
    from bot3.usecases.learning.steps import LearningSteps, Moment  # loads numba
    from bot3.usecases.seed.home import SeedParts

# Heavy packages (pandas, numba, LightGBM) are imported where the first step needs them, so that a read-only command starts in a second.

_HOME_FILE = "home.json"
_RESTORING = "restoring"
"""File of a home whose restore is not complete."""


def is_seeded(settings: Settings) -> bool:
    """Return whether the home's seed is complete; False also for an interrupted one."""
    return (settings.home / _HOME_FILE).exists()


def mark_restoring(settings: Settings) -> None:
    """Mark a home as incompletely restored: until `finish_restore` it cannot be opened, seeded or restored into."""
    replace_file(settings.home / _RESTORING, b"")


def require_whole(settings: Settings) -> None:
    """Raise DataError if a restore into the home was interrupted: some of its stores are empty or of another time than the others."""
    if (settings.home / _RESTORING).exists():
        raise DataError(
            f"a restore into {settings.home} was interrupted: delete that directory, empty the databases on servers that the settings "
            "name, and run `bot3 restore` again"
        )


def begin_epoch(settings: Settings) -> None:
    """Begin a new epoch of a restored record: publications that the copy contains from before the restore then count as not its own."""
    with _opened(settings) as platform:
        platform.record.begin_epoch()


def finish_restore(settings: Settings, *, market_at: datetime) -> None:
    """Pause the market clock of a restored home at a market time, and mark the home as completely restored."""
    with _opened(settings) as platform:
        platform.set_clock(market_at)
    (settings.home / _RESTORING).unlink(missing_ok=True)


def home_identity(settings: Settings) -> str:
    """Return a text that changes when a home is seeded or, on SQLite, deleted and seeded again: open files are then of the old home."""
    parts = [str(settings.home.resolve()), str(is_seeded(settings))]
    for name in ("platform.sqlite", "control.sqlite"):
        path = settings.home / name
        parts.append(str(path.stat().st_ino) if path.exists() else "none")
    return "|".join(parts)


class Platform(Sources):
    """The ports of one home, and the use cases that run on them; built at first use."""

    def __init__(self, settings: Settings, *, read_only: bool, beats: bool = False) -> None:
        super().__init__(settings, read_only=read_only, beats=beats)
        self._building = Lock()

    def _refill(self, control: SqlControl) -> None:
        """Restore trading states and the market clock in a control store that was lost, from the bots' databases and flag files.

        This does nothing if the home is not seeded, or the store contains the market clock.
        """
        if not is_seeded(self.settings) or control.anchor() is not None:
            return
        from bot3.wiring.restored_control import last_lived, restore_latches  # noqa: PLC0415  # only a home that lost its control store needs it

        stores = {name: self.bot_store(name) for name in self.bot_names}
        restore_latches(control, [(name, (store, self.latch_file(name))) for name, store in stores.items()], at=self.wall_now())
        # The anchor is written last: without it, an interrupted restore starts again.
        self.anchor_clock(control, last_lived(stores.values(), at_least=self.seeded_until))

    @property
    def steps(self) -> LearningSteps:
        """Return the learning steps; each call returns the same object, whose learner stays in memory between steps."""
        # Two threads must not build two sessions: each would read all trades.
        with self._building:
            return self._steps

    @cached_property
    def _steps(self) -> LearningSteps:
        from bot3.usecases.fleet.foreign_sources import reachable  # noqa: PLC0415  # only this step needs it
        from bot3.usecases.learning.steps import LearningSteps, PublishedFiles  # noqa: PLC0415  # loads numba

        settings = self.settings
        return LearningSteps(
            record=self.record,
            session=self._session(),
            candles=self.candles,
            sources=self.sources,
            reachable=reachable,
            run_modes=settings.run_modes,
            moment=self._moment,
            overlap=timedelta(days=settings.sync_overlap_days),
            scores=self._score_settings(),
            extend_shadow_trades=self._extend_shadow_trades,
            files=PublishedFiles(
                directory=settings.home, parameters=settings.parameters_file, recommendations=settings.recommendations_file
            ),
        )

    @cached_property
    def feeders(self) -> FeederSteps:
        """Return the steps that train feeders, make their signals and extend their shadow trades."""
        from bot3.usecases.feeders.steps import FeederSteps  # noqa: PLC0415  # loads numba and TA-Lib

        return FeederSteps(
            record=self.record,
            candles=self.candles,
            models=self.models,
            signals=self.signals,
            markets=self._markets,
            costs=self.costs,
            profile=self.profile("BOT1"),
            run_mode=RunMode(self.settings.trading_mode),
            timeframe=self.settings.timeframe,
            train_days=self.settings.feeder_train_days,
            training=self._training_settings(),
            now=self._market_now,
            wall_now=self._clock_wall_now,
            seeded_until=lambda: self.seeded_until,
        )

    def _session(self) -> LearnerSession:
        from bot3.learning.parameters.learner import LearningSettings, ParameterLearner  # noqa: PLC0415  # loads numba
        from bot3.learning.replay.replay import ReplayCosts  # noqa: PLC0415  # loads numba
        from bot3.usecases.learning.learner_session import LearnerSession  # noqa: PLC0415  # loads numba

        settings = self.settings
        costs = ReplayCosts(taker_fee=settings.taker_fee, slippage=settings.slippage, stop_slippage=settings.stop_slippage)
        learning = LearningSettings(
            timeframe=settings.timeframe,
            costs=costs,
            size_limits=self.profile("BOT3").size_limits,
            exit_rules=settings.exit_rules,
            bins=settings.bins,
            max_censored_share=settings.max_censored_share,
            static_stop_loss=settings.stop_loss,
            static_take_profit=settings.take_profit,
        )
        return LearnerSession(ParameterLearner(learning))

    def _extend_shadow_trades(self) -> int:
        # Importing LightGBM costs a second: only this step needs it.
        return self.feeders.extend_shadow_trades()

    def _clock_wall_now(self) -> datetime:
        # These steps may be built before the seed sets the market clock.
        return self.clock.wall_now()

    def _moment(self) -> Moment:
        return self._moment_at(self.clock.now(), computed_at=self.clock.wall_now(), speed=self.clock.speed)

    def _moment_at(self, now: datetime, *, computed_at: datetime, speed: float) -> Moment:
        """Return the times of a step at a market time and a speed of the market clock.

        Schedules that renew learning run in wall time, so the lifetime of what they publish, in market time, is multiplied by the speed.
        """
        from bot3.usecases.learning.steps import Moment  # noqa: PLC0415  # loads numba

        return Moment(
            now=now,
            computed_at=computed_at,
            parameters_life=timedelta(seconds=self.settings.parameters_life_s * speed),
            recommendations_life=timedelta(seconds=self.settings.recommendations_life_s * speed),
        )

    def seed_parts(self) -> SeedParts:
        """Return the inputs of this home's seed; an interrupted seed continues over the span of candles that it began with.

        If no seed has begun, the note of this one is written to the home.

        Raises
        ------
        SettingsError
            If an interrupted seed was begun with other settings, code or markets, or its note is missing.
        """
        from bot3.usecases.seed.home import SeedParts  # noqa: PLC0415  # loads numba and TA-Lib

        settings = self.settings
        start, end = self._seed_span()
        markets = self._markets()
        self._keep_to_seed(SeedNote.of(settings, markets=markets, span=(start, end)))
        return SeedParts(
            candles=self.candles,
            markets=markets,
            models=self.models,
            signals=self.signals,
            record=self.record,
            history_stores={name: self.history_store(name) for name in self.bot_names},
            profiles={name: self.profile(name) for name in self.bot_names},
            steps=replace(
                self.steps,
                sources=lambda _: [],
                moment=lambda: self._moment_at(end, computed_at=self.wall_now(), speed=settings.clock_speed),
                extend_shadow_trades=None,
            ),
            training=self._training_settings(),
            costs=self.costs,
            timeframe=settings.timeframe,
            start=start,
            end=end,
            first_weeks=settings.feeder_first_weeks,
            every_weeks=settings.feeder_every_weeks,
            train_days=settings.feeder_train_days,
            wall_now=self.wall_now,
        )

    def finish_seed(self) -> None:
        """Set the market clock to the end of the seed's span, paused, create the bots' databases, and mark the home as seeded."""
        _, end = self._seed_span()
        self.set_clock(end)
        for name in self.bot_names:
            self.bot_store(name)
        facts = {
            "source": self.settings.candles or "simulated",
            "market_seed": self.settings.market_seed,
            "seeded_until": end.isoformat(),
            "computed_at": self.wall_now().isoformat(),
        }
        replace_file(self.settings.home / _HOME_FILE, json.dumps(facts, indent=2).encode())

    def _seed_span(self) -> tuple[datetime, datetime]:
        """Return the span of the seed that has begun, even if candles were added since; if none has begun, that of a seed begun now."""
        noted = noted_seed(self.settings.home)
        return (noted.start, noted.end) if noted is not None and self._has_models() else self.history_span()

    def _keep_to_seed(self, note: SeedNote) -> None:
        """Write the note of a seed before it makes anything; later, raise SettingsError if it differs. A complete seed is not checked."""
        if is_seeded(self.settings):
            return
        if self._has_models():
            require_same_seed(self.settings.home, note)
        else:
            note_seed(self.settings, note)

    def _has_models(self) -> bool:
        """Return whether a seed has begun to store results; models are the first of them."""
        return not self.record.models.frame().empty

    @cached_property
    def seeded_until(self) -> datetime:
        """Return the market time at which the seed's span ended.

        Raises
        ------
        StoreError
            If the file that marks the home as seeded is missing or invalid.
        """
        path = self.settings.home / _HOME_FILE
        try:
            return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["seeded_until"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} cannot be read ({type(error).__name__}): seed a new home with `bot3 init`") from error

    def _markets(self) -> dict[str, Market]:
        return {pair: self.markets.market(pair) for pair in self.candles.pairs()}

    def _score_settings(self) -> ScoreSettings:
        from bot3.learning.feeders.scores import ScoreSettings  # noqa: PLC0415  # only this step needs it

        settings = self.settings
        return ScoreSettings(
            lookback=timedelta(days=settings.lookback_days),
            min_trades=settings.min_trades_per_feeder,
            round_trip=2.0 * (settings.taker_fee + settings.slippage),
            stop_loss=settings.stop_loss,
        )

    def _training_settings(self) -> TrainingSettings:
        from bot3.learning.feeders.labels import LabelCosts  # noqa: PLC0415  # loads numba and TA-Lib
        from bot3.learning.feeders.training import TrainingSettings  # noqa: PLC0415  # loads numba and TA-Lib

        settings = self.settings
        costs = LabelCosts(taker_fee=settings.taker_fee, slippage=settings.slippage, stop_slippage=settings.stop_slippage)
        return TrainingSettings(costs=costs, seeds=(7, 8, 9))


@contextmanager
def open_platform(settings: Settings, *, read_only: bool = False, beats: bool = False) -> Iterator[Platform]:
    """Open the platform of a home; stores are opened at first use and closed when the block ends.

    Parameters
    ----------
    read_only : bool
        Open stores for reading only.
    beats : bool
        Open the control store, which contains heartbeats and notices, for writing even if `read_only`.

    Raises
    ------
    SettingsError
        If the settings name another market, or other leverage bins, than the home was made from.
    StoreError
        If the home's note of its market cannot be read or is invalid.
    DataError
        If a restore into the home was interrupted.
    """
    require_whole(settings)
    with _opened(settings, read_only=read_only, beats=beats) as platform:
        yield platform


@contextmanager
def _opened(settings: Settings, *, read_only: bool = False, beats: bool = False) -> Iterator[Platform]:
    platform = Platform(settings_of_home(settings), read_only=read_only, beats=beats)
    try:
        yield platform
    finally:
        platform.close()
