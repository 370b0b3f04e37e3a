"""Published learning: its readers, and the repositories that publish it, one for each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

import pandas as pd

from bot3.learning.promotion.permissions import GateLedger
from bot3.market.regimes import RegimeState
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation

_Value_co = TypeVar("_Value_co", covariant=True)

Window = tuple[datetime, datetime]
"""First and last entry."""


class InForce(Protocol[_Value_co]):
    """Published values of one kind; complete publications only."""

    def as_of(self, at: datetime, /) -> _Value_co:
        """Return the value in force at a market time.

        Raises LearningError if none was published by then, never an empty value, and InvalidLearningError if the published value is out of
        bounds (`learning.validity`): the contents of a store are never trusted.
        """
        ...


class ParameterRepository(InForce[ParameterSet], Protocol):
    """Publishes parameters; in force is of each group the newest published row.

    Publishing is compare-and-swap: `replaces` is the version that was in force when the caller read (None if none).
    """

    def publish(
        self,
        parameters: ParameterSet,
        *,
        replaces: str | None,
        is_full: bool,
        ledger: GateLedger | None = None,
        windows: Mapping[str, Window] | None = None,
    ) -> int:
        """Publish rows (all of them if is_full, else only changed ones); return the revision.

        `ledger` is the result of a daily review, None if there was none: it is stored if and only if the publication is, in the same
        transaction. `windows` contains the first and last entry used, by row; a row without one is based on no trade of its own. Raises
        StoreConflictError if another version than `replaces` is in force by now.
        """
        ...

    def history(self, *, key: str) -> pd.DataFrame:
        """Return all published rows of one "pair|direction|bin", oldest first.

        Columns are `ExitParameters`' fields, computed_at, and first_entry and last_entry of the trades used (NaT without any).
        """
        ...


class GateRepository(InForce[GateLedger], Protocol):
    """Results of the daily reviews, which `ParameterRepository.publish` writes; in force is the ledger of the newest review."""

    def first_reviewed_day(self) -> int:
        """Return the day of the first review, in days since 1970. Raises LearningError if there was none."""
        ...


class ScoreRepository(InForce[tuple[FeederScore, ...]], Protocol):
    """Publishes feeder scores; in force are those of the newest publication, by regime and rank."""

    def publish(self, scores: Sequence[FeederScore], /) -> int:
        """Publish all scores of one version; return the revision."""
        ...


class RegimeRepository(InForce[RegimeState], Protocol):
    """Publishes regime states."""

    def publish(self, states: Sequence[RegimeState], /) -> int:
        """Publish regime states (one whose known_at already exists is not changed); return the revision."""
        ...

    def frame(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return regime states with start <= known_at < end, by known_at.

        Columns: known_at, regime, since, p_bull_trending, p_bear_trending, p_sideways, p_volatile, version.
        """
        ...


class RecommendationRepository(InForce[Recommendation], Protocol):
    """Publishes recommendations; in force is the newest one."""

    def publish(self, recommendation: Recommendation, /) -> int:
        """Publish a recommendation; return the revision."""
        ...


class LearningReader(Protocol):
    """Published learning as of a market time, one attribute for each kind."""

    @property
    def parameters(self) -> InForce[ParameterSet]:
        """Return the reader of parameters."""
        ...

    @property
    def feeder_scores(self) -> InForce[tuple[FeederScore, ...]]:
        """Return the reader of feeder scores."""
        ...

    @property
    def regimes(self) -> InForce[RegimeState]:
        """Return the reader of regime states."""
        ...

    @property
    def recommendations(self) -> InForce[Recommendation]:
        """Return the reader of recommendations."""
        ...

    def next_known_at(self, *, after: datetime) -> datetime | None:
        """Return when the next publication of any kind takes effect, later than a market time.

        None if there is none: a reader that follows a token reads again at that time, because the token does not change then.
        """
        ...

    def learning_token(self) -> str:
        """Return a token that differs after every publication (inexpensive, for polling)."""
        ...


class LearningStore(LearningReader, Protocol):
    """A `LearningReader` that publishes. A publication is complete or invisible; it increases the record's revision."""

    @property
    def parameters(self) -> ParameterRepository:
        """Return the published parameters."""
        ...

    @property
    def gates(self) -> GateRepository:
        """Return the results of the daily reviews."""
        ...

    @property
    def feeder_scores(self) -> ScoreRepository:
        """Return the published feeder scores."""
        ...

    @property
    def regimes(self) -> RegimeRepository:
        """Return the published regime states."""
        ...

    @property
    def recommendations(self) -> RecommendationRepository:
        """Return the published recommendations."""
        ...
