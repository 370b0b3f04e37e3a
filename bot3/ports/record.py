"""The platform's record: a repository each of synced trades, replays, shadow trades, models and published learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.ports.learning import LearningStore
from bot3.ports.publisher import Origin, Outbox
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
    """A registered model: known from `known_at` on (end of its training data).

    Parameters
    ----------
    log_loss_oof, base_log_loss_oof : float or None
        Log loss of the win rate out of fold, and of the base rate; None if too few trades were known to test it.
    information : str or None
        What its forecasts rest on (`learning.feeders.models.Information`).
    long_threshold, short_threshold : float or None
        By how much a forecast must exceed the trade's costs, ratio of the price.

    Entries of earlier releases, whose model files cannot be read any more, have None in these fields.
    """

    feeder_id: str
    digest: str
    known_at: datetime
    trained_from: datetime
    trained_until: datetime
    rows: int
    log_loss_oof: float | None
    base_log_loss_oof: float | None
    information: str | None
    long_threshold: float | None
    short_threshold: float | None
    settings_digest: str
    computed_at: datetime


class TradeRepository(Protocol):
    """Synced trades.

    The trade frame has `Trade`'s fields as columns (dates datetime64[us, UTC]; closed trades only) plus `direction`, `leverage_bin`,
    `feeder_id`, `known_at` (its close date) and `revision`.
    """

    def upsert(self, trades: Sequence[Trade], /) -> SyncOutcome:
        """Insert or update closed trades by key, comparing row digests; unchanged rows keep their revision."""
        ...

    def delete(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        """Mark trades that disappeared from their source as deleted (a tombstone preserves the row); keys are (trade_id, open_date)."""
        ...

    def deletions(self, *, run_modes: Sequence[RunMode], since_revision: int) -> int:
        """Return how many trades were marked as deleted after a revision (exclusive) and are still."""
        ...

    def keys(self, *, bot: str, run_mode: RunMode, closed_since: datetime | None) -> set[tuple[int, datetime]]:
        """Return the keys of the trades that are not deleted."""
        ...

    def frame(
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

    def digests(self, *, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the trades that are not deleted: bot, run_mode, trade_id, open_date, close_date, digest."""
        ...


class ReplayRepository(Protocol):
    """Results of replaying each trade's candles.

    The replay frame: bot, run_mode, trade_id, open_date (key), pair, direction, leverage_bin, sigma (at entry), state ("complete",
    "pending" until due_at, "no_candles", "left_out"), due_at, reason, candles (int), mae_move, mfe_move, exit_move (at the horizon),
    funding_move, known_at, version, revision.
    """

    def save(self, replays: pd.DataFrame, /) -> int:
        """Upsert by key; return the revision."""
        ...

    def frame(
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

    def counts(self, *, bot: str, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Count a bot's replays: state, reason, replays; one row per pair of state and reason that occurs."""
        ...


class ShadowTradeRepository(Protocol):
    """Shadow trades of every feeder.

    The shadow frame: run_mode, feeder_id, pair, is_short, open_date (key: run_mode, feeder_id, pair, open_date), close_date, confidence,
    leverage, open_rate, close_rate, close_profit (ratio of stake, net), close_move (net, ratio of the price), sigma, regime, exit_reason,
    model_digest, known_at (close date).
    """

    def save(self, shadow_trades: pd.DataFrame, /) -> int:
        """Insert shadow trades; rows whose key exists are not changed. Return the revision."""
        ...

    def frame(self, *, as_of: datetime | None, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the shadow frame with known_at <= as_of."""
        ...

    def last_closes(self, *, run_mode: RunMode) -> Mapping[tuple[str, str], datetime]:
        """Return the newest close date by (feeder_id, pair)."""
        ...


class ModelRegistry(Protocol):
    """The known model files of each feeder."""

    def register(self, entry: ModelEntry, /) -> None:
        """Store an entry; the same digest and feeder twice makes one row."""
        ...

    def newest(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        """Return the newest model known by then. Raises LearningError if there is none."""
        ...

    def frame(self) -> pd.DataFrame:
        """Return all entries, newest first; columns are `ModelEntry`'s fields."""
        ...


class PlatformRecord(LearningStore, Protocol):
    """The complete record: its identity, its revision, and one repository for each noun.

    Every write is one transaction, which increases `revision` and stores it in each row that it changed.
    """

    @property
    def store_id(self) -> str:
        """Return the identity of the record."""
        ...

    def origin(self) -> Origin:
        """Return the identity of the record and its epoch."""
        ...

    def revision(self) -> int:
        """Return the record's revision: 0 before the first write."""
        ...

    def change_token(self) -> str:
        """Return a token that differs after every write that changes the record, by this process or another."""
        ...

    @property
    def trades(self) -> TradeRepository:
        """Return the synced trades."""
        ...

    @property
    def replays(self) -> ReplayRepository:
        """Return the results of replays."""
        ...

    @property
    def shadow_trades(self) -> ShadowTradeRepository:
        """Return the shadow trades."""
        ...

    @property
    def models(self) -> ModelRegistry:
        """Return the registry of models."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Return the writes that are not published yet."""
        ...
