"""The steps of learning on one home: one by one for Dagster's assets, after new closes, or all of them in a fixed order."""

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
    """Times of a step: market time (`now`), wall time (`computed_at`), and for how long in market time what it publishes is valid."""

    now: datetime
    computed_at: datetime
    parameters_life: timedelta
    recommendations_life: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFiles:
    """Paths of the JSON files of published values for other programs; relative paths are relative to `directory`."""

    directory: Path
    parameters: Path = Path(PARAMETERS_FILE)
    recommendations: Path = Path(RECOMMENDATIONS_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSteps:
    """The steps of learning, on the ports of one home.

    `relearn_everything` runs them in the right order; Dagster's schedule, which runs them one by one as assets, uses the same order. A lock
    ensures that only one thread at a time uses the learner.

    Parameters
    ----------
    sources : callable
        Returns the sources of the closed trades of some bots, by name; of all bots for None.
    reachable : callable
        Returns those of the given sources that can be read now.
    run_modes : sequence of RunMode
        Run modes whose trades are learned from together.
    overlap : timedelta
        Closes up to this long before the newest close in the record are read again.
    moment : callable
        Returns the times of a step. It is called while the lock is locked, so that the times that a learner gets never decrease.
    extend_shadow_trades : callable or None
        Makes the shadow trades since the last call, before feeders are scored; None if all exist already.
    files : PublishedFiles or None
        JSON files that are written after each recommendation; None for no files.
    turn : context manager
        The lock that a step holds while it uses the learner.
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
        """Return the same steps (same learner, same lock) with fixed times."""
        return replace(self, moment=lambda: moment)

    def relearn_everything(self) -> RelearnReport:
        """Run every step once and publish the results.

        The order is: shadow trades, regime, parameters (sync, replay, review, learn, publish), scores, recommendation, files. All steps
        after the shadow trades use one market time. Raises what the steps raise; results of earlier steps stay published.
        """
        if self.extend_shadow_trades is not None:
            self.extend_shadow_trades()
        with self.turn:
            # A database that does not respond delays this step: time is read after it, so that it is not outdated when it is published.
            readable = self.reachable(self.sources(None))
            moment = self.moment()
            steps = self.at(moment)
            states, regime_s = timed(steps.detect_regimes)
            learned = self._relearn(readable, at=moment, full=True)
            scores, score_s = timed(steps.score_feeders)
            made, recommend_s = timed(steps.recommend)
        return RelearnReport(
            revision=self.record.revision(),
            changed=True,
            assets=(
                AssetReport(asset="regime_state", metadata=_regime_figures(self.record, states, now=moment.now), duration_s=regime_s),
                *learned.assets,
                AssetReport(asset="feeder_scores", metadata=_score_figures(scores), duration_s=score_s),
                AssetReport(asset="recommendations", metadata=_recommendation_figures(made), duration_s=recommend_s),
            ),
            parameters=learned.parameters,
            recommendation=made,
        )

    def sync(self, bot: str) -> tuple[TradeSync, ...]:
        """Sync all closed trades of one bot to the record, in every run mode that has a source; return one result per source."""
        return tuple(
            sync_trades(source.reader, self.record.trades, run_mode=source.run_mode, overlap=self.overlap, full=True)
            for source in self.sources([bot])
        )

    def unsynced_closes(self) -> int:
        """Return by how many the sources that can be read now have more closed trades than the record, summed over the sources."""
        counts = self.record.trades.counts()
        return sum(
            max(0, source.reader.count_closed(closed_since=None) - recorded_count(counts, bot=source.reader.bot, run_mode=source.run_mode))
            for source in self.reachable(self.sources(None))
        )

    def replay(self) -> ReplayOutcome:
        """Replay the due trades of all bots together, because several bots' trades on the same signal count as one observation."""
        with self.turn:
            return replay_trades(self.record, self.session, self.candles, run_modes=self.run_modes, now=self.moment().now)

    def learn_from_closes(self, sources: Sequence[TradeSource]) -> RelearnReport:
        """Sync those of the given sources that can be read, replay due trades, learn the groups whose trades changed, and publish.

        Raises as `relearn_step`.
        """
        with self.turn:
            readable = self.reachable(sources)
            return self._relearn(readable, at=self.moment(), full=False)

    def learn_parameters(self) -> RelearnReport:
        """Sync all sources that can be read, learn all groups with pooling fitted again, and publish all rows. Raises as `relearn_step`."""
        with self.turn:
            readable = self.reachable(self.sources(None))
            return self._relearn(readable, at=self.moment(), full=True)

    def _relearn(self, sources: Sequence[TradeSource], *, at: Moment, full: bool) -> RelearnReport:
        return relearn_step(
            self.record,
            self.session,
            self.candles,
            sources=sources,
            run_modes=self.run_modes,
            now=at.now,
            computed_at=at.computed_at,
            life=at.parameters_life,
            overlap=self.overlap,
            full=full,
        )

    def detect_regimes(self) -> tuple[RegimeState, ...]:
        """Publish the regime of every full hour since the newest published one; return the new states, oldest first."""
        at, timeframe = self.moment(), self.session.learner.settings.timeframe
        return detect_regimes(
            self.record.regimes, self.candles, pairs=self.candles.pairs(), timeframe=timeframe, now=at.now, computed_at=at.computed_at
        )

    def score_feeders(self) -> tuple[FeederScore, ...]:
        """Score every feeder from its shadow trades, and publish the scores."""
        return score_feeders(self.record, run_modes=self.run_modes, now=self.moment().now, settings=self.scores)

    def recommend(self) -> Recommendation:
        """Publish the recommendation to the record, and write the JSON files for other programs if `files` is set.

        Raises LearningError if parameters, scores or regime are missing or invalid, or the parameters have expired, and StoreError if a
        file cannot be written.
        """
        at = self.moment()
        bins = self.session.learner.settings.bins
        made = recommend(self.record, bins=bins, now=at.now, computed_at=at.computed_at, life=at.recommendations_life)
        if self.files is not None:
            write_published_files(
                self.files.directory,
                parameters=self.record.parameters.as_of(at.now),
                scores=self.record.feeder_scores.as_of(at.now),
                recommendation=made,
                parameters_file=self.files.parameters,
                recommendations_file=self.files.recommendations,
            )
        return made


def _regime_figures(record: PlatformRecord, states: Sequence[RegimeState], *, now: datetime) -> dict[str, Value]:
    regime = record.regimes.as_of(now)
    return {"states": len(states), "regime": str(regime.regime), "known_at": regime.known_at.isoformat()}


def _score_figures(scores: Sequence[FeederScore]) -> dict[str, Value]:
    return {"version": scores[0].version, "shadow_trades": sum(score.n for score in scores if score.regime == "*")}


def _recommendation_figures(made: Recommendation) -> dict[str, Value]:
    low, high = made.suggested_leverage_range
    return {
        "version": made.version,
        "regime": str(made.regime),
        "top_feeders": ", ".join(map(str, made.top_feeders)),
        "top_tier": str(made.top_tier),
        "avoid_feeders": ", ".join(map(str, made.avoid_feeders)),
        "leverage_range": f"{low} to {high}",
        "open_bins": ", ".join(made.open_bins),
        "size_multiplier": made.suggested_position_size_multiplier,
    }
