"""The platform of one home: its ports, and the steps that commands, Dagster and the seed run on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from bot3.errors import StoreError
from bot3.market.timeframes import timeframe_duration
from bot3.market.weeks import WEEK, walk_forward_weeks, week_of, week_start
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode
from bot3.wiring.home_market import SeedNote, note_seed, noted_seed, require_same_seed, settings_of_home
from bot3.wiring.sources import Sources

if TYPE_CHECKING:
    import pandas as pd

    from bot3.adapters.sql.control.control import SqlControl
    from bot3.learning.feeders.scores import ScoreSettings
    from bot3.learning.feeders.training import TrainingSettings
    from bot3.learning.parameters.learner import ParameterLearner
    from bot3.market.regimes import RegimeState
    from bot3.ports.record import ModelEntry
    from bot3.settings import Settings
    from bot3.trading.markets import Market
    from bot3.trading.recommendations import FeederScore, Recommendation
    from bot3.usecases.learning.relearn import RelearnReport, TradeSource
    from bot3.usecases.learning.replay_trades import ReplayOutcome
    from bot3.usecases.learning.sync_trades import TradeSync
    from bot3.usecases.seed.home import SeedParts

# Heavy packages (pandas, numba, LightGBM) are imported by the step that needs them, so that a read-only command starts in a second.

_HOME_FILE = "home.json"


def is_seeded(settings: Settings) -> bool:
    """Return whether the home's seed is complete."""
    return (settings.home / _HOME_FILE).exists()


def begin_epoch(settings: Settings) -> None:
    """Begin a new epoch of a restored record: what was published after its backup does not belong to it."""
    with open_platform(settings) as platform:
        platform.record.begin_epoch()


def home_identity(settings: Settings) -> str:
    """Return an identity that changes when a home is deleted and seeded again: open files would continue to show the old one."""
    parts = [str(settings.home.resolve()), str(is_seeded(settings))]
    for name in ("platform.sqlite", "control.sqlite"):
        path = settings.home / name
        parts.append(str(path.stat().st_ino) if path.exists() else "none")
    return "|".join(parts)


class Platform(Sources):
    """The ports of one home and the platform's steps; a lock serializes steps that learn, whichever thread calls them."""

    def __init__(self, settings: Settings, *, read_only: bool, beats: bool = False) -> None:
        super().__init__(settings, read_only=read_only, beats=beats)
        self._turn = RLock()

    def _refill(self, control: SqlControl) -> None:
        """Fill a control store that was lost and created again, from the bots' stores and flag files."""
        if not is_seeded(self.settings) or control.anchor() is not None:
            return
        from bot3.wiring.restored_control import last_lived, restore_latches  # noqa: PLC0415  # only a home that lost its control store needs it

        stores = {name: self.bot_store(name) for name in self.bot_names}
        restore_latches(control, [(name, (store, self.latch_file(name))) for name, store in stores.items()], at=self.wall_now())
        # The anchor is written last: without it, an interrupted restore starts again.
        self.anchor_clock(control, last_lived(stores.values(), at_least=self.seeded_until))

    @cached_property
    def learner(self) -> ParameterLearner:
        """Return the learner, which retains its state from its first step on."""
        from bot3.learning.parameters.learner import LearningSettings, ParameterLearner  # noqa: PLC0415  # loads numba
        from bot3.learning.replay.replay import ReplayCosts  # noqa: PLC0415  # loads numba

        settings = self.settings
        costs = ReplayCosts(taker_fee=settings.taker_fee, slippage=settings.slippage, stop_slippage=settings.stop_slippage)
        return ParameterLearner(
            LearningSettings(
                timeframe=settings.timeframe,
                horizon=settings.horizon,
                costs=costs,
                exit_rules=settings.exit_rules,
                min_trades=settings.min_trades_per_bin,
                max_censored_share=settings.max_censored_share,
                static_stop_loss=settings.stop_loss,
                static_take_profit=settings.take_profit,
            )
        )

    def sync(self, bot: str) -> tuple[TradeSync, ...]:
        """Copy all of one bot's closed trades to the record."""
        from bot3.usecases.learning.sync_trades import sync_trades  # noqa: PLC0415  # only this step needs it

        return tuple(
            sync_trades(source.reader, self.record, run_mode=source.run_mode, overlap=self._overlap, full=True)
            for source in self.sources([bot])
        )

    def replay(self) -> ReplayOutcome:
        """Replay every due trade of all bots: one signal that several bots took is one observation."""
        from bot3.usecases.learning.replay_trades import replay_trades  # noqa: PLC0415  # loads numba

        with self._turn:
            return replay_trades(self.record, self.learner, self.candles, run_modes=self.settings.run_modes, now=self.clock.now())

    def learn_from_closes(self, sources: Sequence[TradeSource]) -> RelearnReport:
        """Sync the sources that can be read, replay due trades, relearn the groups they touch, publish."""
        return self._relearn(sources, full=False)

    def learn_parameters(self) -> RelearnReport:
        """Relearn everything with pooling fitted again, and publish all rows; sync sources first, so that a lost trade stops it."""
        return self._relearn(self.sources(), full=True)

    def _relearn(self, sources: Sequence[TradeSource], *, full: bool) -> RelearnReport:
        from bot3.usecases.learning.relearn import relearn_step  # noqa: PLC0415  # loads numba

        with self._turn:
            return relearn_step(
                self.record,
                self.learner,
                self.candles,
                sources=self.reachable(sources),
                run_modes=self.settings.run_modes,
                now=self.clock.now(),
                computed_at=self.clock.wall_now(),
                life=self._parameters_life,
                overlap=self._overlap,
                full=full,
            )

    def detect_regimes(self) -> tuple[RegimeState, ...]:
        """Publish the regime of every hour that has passed."""
        from bot3.usecases.learning.detect_regimes import detect_regimes  # noqa: PLC0415  # loads numba

        return detect_regimes(
            self.record,
            self.candles,
            pairs=self.candles.pairs(),
            timeframe=self.settings.timeframe,
            now=self.clock.now(),
            computed_at=self.clock.wall_now(),
        )

    def score_feeders(self) -> tuple[FeederScore, ...]:
        """Score every feeder from its shadow trades, and publish the scores."""
        from bot3.usecases.learning.score_feeders import score_feeders  # noqa: PLC0415  # only this step needs it

        return score_feeders(self.record, run_modes=self.settings.run_modes, now=self.clock.now(), settings=self._score_settings())

    def recommend(self) -> Recommendation:
        """Publish the recommendation, to the record and as files for other readers."""
        from bot3.usecases.learning.recommend import recommend  # noqa: PLC0415  # only this step needs it
        from bot3.usecases.publishing.files import write_published_files  # noqa: PLC0415  # only this step needs it

        now = self.clock.now()
        made = recommend(self.record, now=now, computed_at=self.clock.wall_now(), life=self._recommendations_life)
        write_published_files(
            self.settings.home,
            parameters=self.record.parameters(as_of=now),
            scores=self.record.feeder_scores(as_of=now),
            recommendation=made,
            parameters_file=self.settings.parameters_file,
            recommendations_file=self.settings.recommendations_file,
        )
        return made

    def train_feeder(self, feeder_id: str, *, until: datetime) -> ModelEntry:
        """Train a feeder on the data known by a time; store and register its model."""
        from bot3.usecases.feeders.train_feeders import train_feeder  # noqa: PLC0415  # loads numba and TA-Lib

        entry = train_feeder(
            feeder_id,
            until=until,
            pairs=self.candles.pairs(),
            candles=self.candles,
            models=self.models,
            now=self.clock.wall_now(),
            timeframe=self.settings.timeframe,
            train_days=self.settings.feeder_train_days,
            settings=self._training_settings(),
        )
        self.record.register_model(entry)
        return entry

    def predict_weeks(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], pd.DataFrame]:
        """Make the signals of some feeders and weeks, up to now; features of a week are computed once for all its feeders."""
        from bot3.usecases.feeders.make_signals import make_signals  # noqa: PLC0415  # loads numba and TA-Lib
        from bot3.usecases.feeders.train_feeders import build_panel  # noqa: PLC0415  # loads numba and TA-Lib

        now, made = self.clock.now(), {}
        for week in sorted({week for _, week in keys}):
            start = week_start(week)
            panel = build_panel(
                self.candles, pairs=self.candles.pairs(), start=start, end=min(start + WEEK, now), timeframe=self.settings.timeframe
            )
            for feeder_id in sorted(feeder for feeder, its_week in keys if its_week == week):
                made[feeder_id, week] = make_signals(
                    feeder_id, week, panel, registry=self.record, models=self.models, signals=self.signals, now=now
                )
        return made

    def extend_shadow_trades(self) -> int:
        """Make the signals since the last call, and every feeder's shadow trades that closed by now; return how many trades."""
        from bot3.usecases.feeders.shadow_feeders import (  # noqa: PLC0415  # loads numba
            VOLATILITY_WARM_UP,
            ShadowMarket,
            read_arrays,
            shadow_feeders,
            shadow_since,
        )

        now, mode = self.clock.now(), RunMode(self.settings.trading_mode)
        seeded = self.seeded_until
        newest = min(max(self.signals.weeks(feeder), default=week_of(seeded)) for feeder in FEEDER_IDS)
        weeks = walk_forward_weeks(week_start(newest), now, every=1)
        self.predict_weeks([(feeder, week) for feeder in FEEDER_IDS for week in weeks])
        since = shadow_since(self.record, run_mode=mode, pairs=self.candles.pairs(), since=seeded)
        candle = timeframe_duration(self.settings.timeframe)
        arrays = read_arrays(
            self.candles,
            timeframe=self.settings.timeframe,
            start=since - VOLATILITY_WARM_UP,
            end=now,
            horizon_candles=int(self.settings.horizon / candle),
        )
        return shadow_feeders(
            self.record,
            self.signals,
            ShadowMarket(candles=arrays, markets=self._markets(), costs=self.costs, candle=candle),
            profile=self.profile("BOT1"),
            run_mode=mode,
            since=seeded,
            now=now,
            regimes=self.record.regimes_frame(start=since - timedelta(days=1), end=now),
        )

    def relearn_everything(self) -> RelearnReport:
        """Run every step once: sync, shadow trades, regime, parameters, scores, recommendation."""
        from bot3.usecases.learning.relearn import full_relearn_step  # noqa: PLC0415  # loads numba

        self.extend_shadow_trades()
        with self._turn:
            return full_relearn_step(
                self.record,
                self.learner,
                self.candles,
                sources=self.reachable(self.sources()),
                run_modes=self.settings.run_modes,
                pairs=self.candles.pairs(),
                directory=self.settings.home,
                now=self.clock.now(),
                computed_at=self.clock.wall_now(),
                parameters_life=self._parameters_life,
                recommendations_life=self._recommendations_life,
                overlap=self._overlap,
                score_settings=self._score_settings(),
                parameters_file=self.settings.parameters_file,
                recommendations_file=self.settings.recommendations_file,
            )

    def seed_parts(self) -> SeedParts:
        """Return the inputs of this home's seed; an interrupted one continues over the span that it began with.

        Raises
        ------
        SettingsError
            If it was begun with other settings, rules or markets: two histories would be mixed.
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
            learner=self.learner,
            training=self._training_settings(),
            scores=self._score_settings(),
            costs=self.costs,
            timeframe=settings.timeframe,
            start=start,
            end=end,
            first_weeks=settings.feeder_first_weeks,
            every_weeks=settings.feeder_every_weeks,
            train_days=settings.feeder_train_days,
            run_modes=settings.run_modes,
            parameters_life=timedelta(seconds=settings.parameters_life_s * settings.clock_speed),
            recommendations_life=timedelta(seconds=settings.recommendations_life_s * settings.clock_speed),
            directory=settings.home,
            parameters_file=settings.parameters_file,
            recommendations_file=settings.recommendations_file,
            wall_now=self.wall_now,
        )

    def finish_seed(self) -> None:
        """Set the market clock to the end of the learned span, paused, and mark the home as seeded."""
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
        path = self.settings.home / _HOME_FILE
        path.with_suffix(".new").write_text(json.dumps(facts, indent=2), encoding="utf-8")
        path.with_suffix(".new").replace(path)

    def _seed_span(self) -> tuple[datetime, datetime]:
        """Return the span of the seed that was begun, whatever candles were added since; before that, the span a seed would learn from."""
        noted = noted_seed(self.settings.home)
        return (noted.start, noted.end) if noted is not None and self._has_models() else self.history_span()

    def _keep_to_seed(self, note: SeedNote) -> None:
        """Record the note of a seed before it makes anything; later, reject another one. A complete seed is not checked."""
        if is_seeded(self.settings):
            return
        if self._has_models():
            require_same_seed(self.settings.home, note)
        else:
            note_seed(self.settings, note)

    def _has_models(self) -> bool:
        """Return whether a seed has made something: models are made first, and before them there is nothing to mix."""
        return not self.record.models_frame().empty

    @cached_property
    def seeded_until(self) -> datetime:
        """Return the market time up to which the seed learned.

        Raises
        ------
        StoreError
            If the home's own file cannot be read.
        """
        path = self.settings.home / _HOME_FILE
        try:
            return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["seeded_until"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} cannot be read ({type(error).__name__}): seed a new home with `bot3 init`") from error

    @property
    def _overlap(self) -> timedelta:
        return timedelta(days=self.settings.sync_overlap_days)

    # Schedules that renew learning run in wall time; on a faster market, the lifetime of what they publish is scaled with its speed.
    @property
    def _parameters_life(self) -> timedelta:
        return timedelta(seconds=self.settings.parameters_life_s * self.clock.speed)

    @property
    def _recommendations_life(self) -> timedelta:
        return timedelta(seconds=self.settings.recommendations_life_s * self.clock.speed)

    def _markets(self) -> dict[str, Market]:
        return {pair: self.markets.market(pair) for pair in self.candles.pairs()}

    def _score_settings(self) -> ScoreSettings:
        from bot3.learning.feeders.scores import ScoreSettings  # noqa: PLC0415  # only this step needs it

        settings = self.settings
        return ScoreSettings(
            lookback=timedelta(days=settings.lookback_days),
            min_trades=settings.min_trades_per_feeder,
            round_trip=2.0 * (settings.taker_fee + settings.slippage),
        )

    def _training_settings(self) -> TrainingSettings:
        from bot3.learning.feeders.labels import LabelCosts  # noqa: PLC0415  # loads numba and TA-Lib
        from bot3.learning.feeders.training import TrainingSettings  # noqa: PLC0415  # loads numba and TA-Lib

        settings = self.settings
        costs = LabelCosts(taker_fee=settings.taker_fee, slippage=settings.slippage, stop_slippage=settings.stop_slippage)
        return TrainingSettings(costs=costs)


@contextmanager
def open_platform(settings: Settings, *, read_only: bool = False, beats: bool = False) -> Iterator[Platform]:
    """Open the platform of a home; stores are opened at first use and closed at the end.

    With `beats` the control store is writable even if all else is read-only: for processes that only read, and send heartbeats.
    """
    platform = Platform(settings_of_home(settings), read_only=read_only, beats=beats)
    try:
        yield platform
    finally:
        platform.close()
