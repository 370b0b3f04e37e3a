"""The platform's record: synced trades, replays, and learned and published values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.learning.promotion.permissions import GateLedger
from bot3.market.regimes import RegimeState
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.trading.trades import RunMode, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOutcome:
    """Changes of one sync, and the record's revision afterwards."""

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A registered model: known from `known_at` on (end of its training data)."""

    feeder_id: str
    digest: str
    known_at: datetime
    trained_from: datetime
    trained_until: datetime
    rows: int
    log_loss_oof: float
    base_log_loss_oof: float
    threshold: float
    settings_digest: str
    computed_at: datetime


class TradeRecord(Protocol):
    """Synced trades. Every write increases `revision` in its own transaction and stores it in each row that it changed.

    The trade frame has `Trade`'s fields as columns (dates datetime64[us, UTC]; closed trades only) plus `direction`, `leverage_bin`,
    `feeder_id`, `known_at` (its close date) and `revision`.
    """

    @property
    def store_id(self) -> str:
        """Return the identity of the record."""
        ...

    def revision(self) -> int:
        """Return the record's revision: 0 before the first write."""
        ...

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection (SQLite: data_version)."""
        ...

    def upsert_trades(self, trades: Sequence[Trade]) -> SyncOutcome:
        """Insert or update closed trades by key, comparing row digests; unchanged rows keep their revision."""
        ...

    def delete_trades(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        """Mark trades that disappeared from their source as deleted (a tombstone preserves the row); keys are (trade_id, open_date)."""
        ...

    def trade_keys(self, *, bot: str, run_mode: RunMode, closed_since: datetime | None) -> set[tuple[int, datetime]]:
        """Return the keys of the trades that are not deleted."""
        ...

    def trades(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        bots: Sequence[str] | None = None,
        groups: Sequence[tuple[str, str, str]] | None = None,
        since_revision: int | None = None,
    ) -> pd.DataFrame:
        """Return the trade frame with known_at <= as_of; groups are (pair, direction, leverage_bin); since_revision is exclusive."""
        ...

    def counts(self) -> pd.DataFrame:
        """Return the number of closed trades by bot and run_mode.

        Columns: bot, run_mode, trades, first_close, last_close, deleted, several_orders (excluded from learning), outdated (written by
        an earlier release, without a field that is read now: the next sync reads all of the source).
        """
        ...


class ReplayRecord(Protocol):
    """Results of replaying each trade's candles.

    The replay frame: bot, run_mode, trade_id, open_date (key), pair, direction, leverage_bin, sigma (at entry), state ("complete",
    "pending" until due_at, "no_candles", "left_out"), due_at, reason, candles (int), mae_move, mfe_move, exit_move (at the horizon),
    funding_move, known_at, version, revision.
    """

    def save_replays(self, replays: pd.DataFrame) -> int:
        """Upsert by key; return the revision."""
        ...

    def replays(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        groups: Sequence[tuple[str, str, str]] | None = None,
    ) -> pd.DataFrame:
        """Return the replay frame with known_at <= as_of."""
        ...

    def next_due_at(self) -> datetime | None:
        """Return the earliest due_at of pending replays."""
        ...

    def replay_counts(self, *, bot: str, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Count a bot's replays: state, reason, replays; one row per pair of state and reason that occurs."""
        ...


class ShadowRecord(Protocol):
    """Shadow trades of every feeder.

    The shadow frame: run_mode, feeder_id, pair, is_short, open_date (key: run_mode, feeder_id, pair, open_date), close_date, confidence,
    leverage, open_rate, close_rate, close_profit (ratio of stake, net), close_move (net, ratio of the price), sigma, regime, exit_reason,
    model_digest, known_at (close date).
    """

    def save_shadow_trades(self, shadow_trades: pd.DataFrame) -> int:
        """Insert shadow trades; rows whose key exists are not changed. Return the revision."""
        ...

    def shadow_trades(self, *, as_of: datetime | None, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the shadow frame with known_at <= as_of."""
        ...

    def last_shadow_close(self, *, run_mode: RunMode) -> Mapping[tuple[str, str], datetime]:
        """Return the newest close date by (feeder_id, pair)."""
        ...


Window = tuple[datetime, datetime]
"""First and last entry."""


class LearningReader(Protocol):
    """Published learning as of a market time; complete publications only.

    Every method that reads a publication raises LearningError if none was published by then, never an empty value, and
    InvalidLearningError if the published values are out of bounds (`learning.validity`): the contents of a store are never trusted.
    """

    def parameters(self, *, as_of: datetime) -> ParameterSet:
        """Return the parameters in force: of each group the newest published row."""
        ...

    def feeder_scores(self, *, as_of: datetime) -> tuple[FeederScore, ...]:
        """Return the scores of the newest publication, by regime and rank."""
        ...

    def regime(self, *, as_of: datetime) -> RegimeState:
        """Return the regime state in force."""
        ...

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the newest recommendation."""
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
    """Publishes learning. A publication is complete or invisible; it increases the record's revision.

    Publishing parameters is compare-and-swap: `replaces` is the version that was in force when the caller read (None if none); raises
    StoreConflictError if another one is in force by now.
    """

    def publish_parameters(
        self,
        parameters: ParameterSet,
        *,
        replaces: str | None,
        is_full: bool,
        ledger: GateLedger | None = None,
        windows: Mapping[str, Window] | None = None,
    ) -> int:
        """Publish rows (all of them if is_full, else only changed ones); return the revision.

        `ledger` is the result of a daily review, None if there was none: it is stored if and only if the publication is. `windows` contains
        the first and last entry used, by row; a row without one is based on no trade of its own.
        """
        ...

    def ledger(self, *, as_of: datetime) -> GateLedger:
        """Return the ledger of the newest review. Raises LearningError if none by then, InvalidLearningError if it is out of bounds."""
        ...

    def first_reviewed_day(self) -> int:
        """Return the day of the first review, in days since 1970. Raises LearningError if there was none."""
        ...

    def publish_feeder_scores(self, scores: Sequence[FeederScore]) -> int:
        """Publish all scores of one version; return the revision."""
        ...

    def publish_regimes(self, states: Sequence[RegimeState]) -> int:
        """Publish regime states (one whose known_at already exists is not changed); return the revision."""
        ...

    def publish_recommendation(self, recommendation: Recommendation) -> int:
        """Publish a recommendation; return the revision."""
        ...

    def regimes_frame(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return regime states by known_at.

        Columns: known_at, regime, since, p_bull_trending, p_bear_trending, p_sideways, p_volatile, version.
        """
        ...

    def parameters_history(self, *, key: str) -> pd.DataFrame:
        """Return all published rows of one "pair|direction|bin", oldest first.

        Columns are `ExitParameters`' fields, computed_at, and first_entry and last_entry of the trades used (NaT without any).
        """
        ...


class ModelRegistry(Protocol):
    """The known model files of each feeder."""

    def register_model(self, entry: ModelEntry) -> None:
        """Store an entry; the same digest and feeder twice makes one row."""
        ...

    def model(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        """Return the newest model known by then. Raises LearningError if there is none."""
        ...

    def models_frame(self) -> pd.DataFrame:
        """Return all entries, newest first; columns are `ModelEntry`'s fields."""
        ...


class PlatformRecord(TradeRecord, ReplayRecord, ShadowRecord, LearningStore, ModelRegistry, Protocol):
    """The complete record."""
