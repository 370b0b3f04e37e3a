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
"""Open dates of the first and of the last trade that a row of parameters is based on."""


class InForce(Protocol[_Value_co]):
    """Reads the published values of one kind; only complete publications are read."""

    def as_of(self, at: datetime, /) -> _Value_co:
        """Return the value in force at a market time: that of the newest publication with known_at <= at, also if it has expired.

        Raises LearningError if none was published by then, and InvalidLearningError if the published value is out of bounds
        (`learning.validity`): the contents of a store are never trusted.
        """
        ...


class ParameterRepository(InForce[ParameterSet], Protocol):
    """Publishes parameters; in force is the newest row of each group, from the last full publication on.

    A publication must name in `replaces` the version that the caller has read as the newest one (None if nothing was published), so that
    two processes cannot overwrite each other's rows.
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
        """Publish rows (all of them if is_full, else only changed ones); return the record's revision.

        A publication identical to the newest one changes nothing. `ledger` is the result of a daily review, None without one: it is stored
        only with the publication, in the same transaction. `windows` contains the open dates of the first and last trade used, by the key
        of a row; a row without one is based on no trade of its own. Raises StoreConflictError if the newest version is not `replaces`.
        """
        ...

    def history(self, *, key: str) -> pd.DataFrame:
        """Return all published rows of one "pair|direction|bin", oldest first.

        Columns are `ExitParameters`' fields, computed_at, and first_entry and last_entry, the open dates of the first and last trade used
        (NaT if none was).
        """
        ...


class GateRepository(InForce[GateLedger], Protocol):
    """Results of the daily reviews, which `ParameterRepository.publish` writes; in force is the result of the newest review."""

    def first_reviewed_day(self) -> int:
        """Return the earliest reviewed day, in days since 1970. Raises LearningError if no day was reviewed."""
        ...


class ScoreRepository(InForce[tuple[FeederScore, ...]], Protocol):
    """Publishes feeder scores; in force are those of the newest publication, sorted by regime and rank."""

    def publish(self, scores: Sequence[FeederScore], /) -> int:
        """Publish all scores of one version; return the record's revision. Raises StoreError if the scores are not of one version."""
        ...


class RegimeRepository(InForce[RegimeState], Protocol):
    """Publishes regime states."""

    def publish(self, states: Sequence[RegimeState], /) -> int:
        """Publish regime states (one whose known_at already exists is not changed); return the record's revision."""
        ...

    def frame(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return regime states with start <= known_at < end, sorted by known_at.

        Columns: known_at, regime, since, p_bull_trending, p_bear_trending, p_sideways, p_volatile, version.
        """
        ...


class RecommendationRepository(InForce[Recommendation], Protocol):
    """Publishes recommendations; in force is the newest one."""

    def publish(self, recommendation: Recommendation, /) -> int:
        """Publish a recommendation; return the record's revision. One that differs from the newest only in computed_at changes nothing."""
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
        """Return the earliest market time after a given one at which a publication of any kind comes into force; None if none will.

        A reader that polls the token reads again at that time, because the token does not change then.
        """
        ...

    def learning_token(self) -> str:
        """Return a token that differs after every publication that is newer than the others of its kind; inexpensive, for polling."""
        ...


class LearningStore(LearningReader, Protocol):
    """A `LearningReader` that can also publish. A publication is stored as a whole or not at all, and increases the record's revision."""

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
