"""The steps of learning on one home: one by one for Dagster's assets, from closes, and all of them in one order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock

from bot3.learning.feeders.scores import ScoreSettings
from bot3.market.regimes import RegimeState
from bot3.ports.candles import CandleReader
from bot3.ports.record import PlatformRecord
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.trading.trades import RunMode
from bot3.usecases.learning.detect_regimes import detect_regimes
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.recommend import recommend
from bot3.usecases.learning.reconciled import recorded_count
from bot3.usecases.learning.relearn import AssetReport, RelearnReport, TradeSource, Value, relearn_step, timed
from bot3.usecases.learning.replay_trades import ReplayOutcome, replay_trades
from bot3.usecases.learning.score_feeders import score_feeders
from bot3.usecases.learning.sync_trades import TradeSync, sync_trades
from bot3.usecases.publishing.files import PARAMETERS_FILE, RECOMMENDATIONS_FILE, write_published_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Times of a step: market time, wall time, and the lifetimes of what it publishes, in market time."""

    now: datetime
    computed_at: datetime
    parameters_life: timedelta
    recommendations_life: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFiles:
    """Paths of the files for other readers; relative ones are in the directory."""

    directory: Path
    parameters: Path = Path(PARAMETERS_FILE)
    recommendations: Path = Path(RECOMMENDATIONS_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSteps:
    """The steps of learning, on the ports of one home.

    `relearn_everything` is their one order; a schedule that runs them one by one, as Dagster's assets, keeps to it. A lock serializes the
    steps that learn, whichever thread calls them.

    Parameters
    ----------
    sources : callable
        Returns the sources of some bots' closed trades; of all bots for None.
    reachable : callable
        Returns those of some sources that can be read now.
    run_modes : sequence of RunMode
        Run modes whose trades are learned from together.
    overlap : timedelta
        Closes this long before the newest known one are synced again.
    moment : callable
        Returns the times of a step. It is called under the lock, so that a learner never goes back in time.
    extend_shadow_trades : callable or None
        Makes the shadow trades since the last call, before feeders are scored; None if all exist.
    files : PublishedFiles or None
        Files to write with each recommendation; None for no files.
    """

    record: PlatformRecord
    session: LearnerSession
    candles: CandleReader
    sources: Callable[[Sequence[str] | None], Sequence[TradeSource]]
    reachable: Callable[[Sequence[TradeSource]], Sequence[TradeSource]]
    run_modes: Sequence[RunMode]
    moment: Callable[[], Moment]
    overlap: timedelta = timedelta(days=7)
    scores: ScoreSettings = field(default_factory=ScoreSettings)
    extend_shadow_trades: Callable[[], object] | None = None
    files: PublishedFiles | None = None
    turn: AbstractContextManager[bool] = field(default_factory=RLock, repr=False)

    def at(self, moment: Moment) -> LearningSteps:
        """Return the same steps with their times fixed."""
        return replace(self, moment=lambda: moment)

    def relearn_everything(self) -> RelearnReport:
        """Run every step once, all at one market time.

        The order is: shadow trades, regime, parameters (sync, replay, review, learn, publish), scores, recommendation, files.
        """
        if self.extend_shadow_trades is not None:
            self.extend_shadow_trades()
        with self.turn:
            steps = self.at(self.moment())
            states, regime_s = timed(steps.detect_regimes)
            learned = steps.learn_parameters()
            scores, score_s = timed(steps.score_feeders)
            made, recommend_s = timed(steps.recommend)
            now = steps.moment().now
        return RelearnReport(
            revision=self.record.revision(),
            changed=True,
            assets=(
                AssetReport(asset="regime_state", metadata=_regime_figures(self.record, states, now=now), duration_s=regime_s),
                *learned.assets,
                AssetReport(asset="feeder_scores", metadata=_score_figures(scores), duration_s=score_s),
                AssetReport(asset="recommendations", metadata=_recommendation_figures(made), duration_s=recommend_s),
            ),
            parameters=learned.parameters,
            recommendation=made,
        )

    def sync(self, bot: str) -> tuple[TradeSync, ...]:
        """Copy all of one bot's closed trades to the record."""
        return tuple(
            sync_trades(source.reader, self.record, run_mode=source.run_mode, overlap=self.overlap, full=True)
            for source in self.sources([bot])
        )

    def unsynced_closes(self) -> int:
        """Return how many closed trades of the readable sources the record lacks."""
        counts = self.record.counts()
        return sum(
            max(0, source.reader.count_closed(closed_since=None) - recorded_count(counts, bot=source.reader.bot, run_mode=source.run_mode))
            for source in self.reachable(self.sources(None))
        )

    def replay(self) -> ReplayOutcome:
        """Replay every due trade of all bots: one signal that several bots took is one observation."""
        with self.turn:
            return replay_trades(self.record, self.session, self.candles, run_modes=self.run_modes, now=self.moment().now)

    def learn_from_closes(self, sources: Sequence[TradeSource]) -> RelearnReport:
        """Sync the sources that can be read, replay due trades, relearn the groups they touch, publish. Raises as `relearn_step`."""
        return self._relearn(sources, full=False)

    def learn_parameters(self) -> RelearnReport:
        """Relearn everything with pooling fitted again, and publish all rows; sync sources first, so that a lost trade stops it."""
        return self._relearn(self.sources(None), full=True)

    def _relearn(self, sources: Sequence[TradeSource], *, full: bool) -> RelearnReport:
        with self.turn:
            readable, at = self.reachable(sources), self.moment()
            return relearn_step(
                self.record,
                self.session,
                self.candles,
                sources=readable,
                run_modes=self.run_modes,
                now=at.now,
                computed_at=at.computed_at,
                life=at.parameters_life,
                overlap=self.overlap,
                full=full,
            )

    def detect_regimes(self) -> tuple[RegimeState, ...]:
        """Publish the regime of every hour that has passed."""
        at, timeframe = self.moment(), self.session.learner.settings.timeframe
        return detect_regimes(
            self.record, self.candles, pairs=self.candles.pairs(), timeframe=timeframe, now=at.now, computed_at=at.computed_at
        )

    def score_feeders(self) -> tuple[FeederScore, ...]:
        """Score every feeder from its shadow trades, and publish the scores."""
        return score_feeders(self.record, run_modes=self.run_modes, now=self.moment().now, settings=self.scores)

    def recommend(self) -> Recommendation:
        """Publish the recommendation, to the record and as files for other readers."""
        at = self.moment()
        bins = self.session.learner.settings.bins
        made = recommend(self.record, bins=bins, now=at.now, computed_at=at.computed_at, life=at.recommendations_life)
        if self.files is not None:
            write_published_files(
                self.files.directory,
                parameters=self.record.parameters(as_of=at.now),
                scores=self.record.feeder_scores(as_of=at.now),
                recommendation=made,
                parameters_file=self.files.parameters,
                recommendations_file=self.files.recommendations,
            )
        return made


def _regime_figures(record: PlatformRecord, states: Sequence[RegimeState], *, now: datetime) -> dict[str, Value]:
    regime = record.regime(as_of=now)
    return {"states": len(states), "regime": str(regime.regime), "known_at": regime.known_at.isoformat()}


def _score_figures(scores: Sequence[FeederScore]) -> dict[str, Value]:
    return {"version": scores[0].version, "shadow_trades": sum(score.n for score in scores if score.regime == "*")}


def _recommendation_figures(made: Recommendation) -> dict[str, Value]:
    low, high = made.suggested_leverage_range
    return {
        "version": made.version,
        "regime": str(made.regime),
        "top_feeders": ", ".join(map(str, made.top_feeders)),
        "avoid_feeders": ", ".join(map(str, made.avoid_feeders)),
        "leverage_range": f"{low} to {high}",
        "open_bins": ", ".join(made.open_bins),
        "size_multiplier": made.suggested_position_size_multiplier,
    }
