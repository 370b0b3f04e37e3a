"""The platform's record (its own database): a repository each of copied trades, replays, shadow trades, models and published learning."""

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
    """Numbers of trades that one write inserted, updated, left unchanged or marked as deleted, and the record's revision afterwards."""

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model file of a feeder, and how it was trained.

    It may be used from `known_at` on, the end of its training data (market time); `computed_at` is the wall time of the training. `rows`
    counts the training rows.

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
    """Closed trades, copied from the databases of all bots.

    The trade frame has `Trade`'s fields as columns (dates datetime64[us, UTC]) plus `direction`, `leverage_bin`, `feeder_id`, `known_at`
    (the close date) and `revision` (that of the record when the row was last changed). `horizon` is the stated one, else that of the
    source's earlier trades (`trading.horizons.horizons_of_source`); missing in rows of earlier releases until the next sync. Trades marked
    as deleted are not in the frame.
    """

    def upsert(self, trades: Sequence[Trade], /) -> SyncOutcome:
        """Insert or update closed trades by key, comparing row digests; the revision of unchanged rows does not change.

        A trade that was marked as deleted is stored again. Raises StoreError, and writes nothing, if a trade is open.
        """
        ...

    def delete(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        """Mark trades that disappeared from their source as deleted; their rows remain.

        The keys are (trade_id, open_date); those that are missing or already deleted count as unchanged.
        """
        ...

    def deletions(self, *, run_modes: Sequence[RunMode], since_revision: int) -> int:
        """Return how many trades were marked as deleted after a revision (exclusive) and have not been stored again since."""
        ...

    def keys(self, *, bot: str, run_mode: RunMode, closed_since: datetime | None) -> set[tuple[int, datetime]]:
        """Return the keys (trade_id, open_date) of a bot's trades that are not deleted and closed at or after a time (None: at any)."""
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
        """Return the trade frame with known_at <= as_of, sorted by close date.

        `groups` are (pair, direction, leverage_bin). Only rows that changed after `since_revision` are returned. An argument that is None
        selects all rows.
        """
        ...

    def counts(self) -> pd.DataFrame:
        """Return counts of the trades, one row for each bot and run_mode.

        Columns: bot, run_mode, trades, first_close, last_close, deleted, several_orders (trades with several entries or exits, which are
        excluded from learning), outdated (trades written by an earlier release, without a field that is read now: the next sync reads all
        trades of the source). Only the column deleted counts deleted trades; the close dates are NaT if all are deleted.
        """
        ...

    def digests(self, *, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the trades that are not deleted: bot, run_mode, trade_id, open_date, close_date, digest."""
        ...


class ReplayRepository(Protocol):
    """Results of replaying the candles after each trade's entry, up to the end of the horizon (a fixed duration).

    The replay frame: bot, run_mode, trade_id, open_date (key), pair, direction, leverage_bin, sigma (volatility at the entry), state
    ("complete"; "pending" before due_at, the end of the horizon; "no_candles" if candles are missing; "left_out" if the trade is excluded
    from learning), due_at, reason (of the state, or None), candles (their number), mae_move, mfe_move, exit_move (at the horizon),
    funding_move, known_at, version, revision. Moves are ratios of the price, NaN unless the state is complete.
    """

    def save(self, replays: pd.DataFrame, /) -> int:
        """Insert or update replays by key, and return the record's revision; an empty frame changes nothing."""
        ...

    def frame(
        self,
        *,
        as_of: datetime | None,
        run_modes: Sequence[RunMode],
        groups: Sequence[tuple[str, str, str]] | None = None,
    ) -> pd.DataFrame:
        """Return the replay frame with known_at <= as_of, sorted by known_at; None for `as_of` or `groups` selects all rows."""
        ...

    def next_due_at(self) -> datetime | None:
        """Return the earliest due_at of pending replays; None if no replay is pending."""
        ...

    def counts(self, *, bot: str, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Count a bot's replays: state, reason, replays; one row per pair of state and reason that occurs."""
        ...


class ShadowTradeRepository(Protocol):
    """Simulated ("shadow") trades of every feeder, from which feeders are scored.

    The shadow frame: run_mode, feeder_id, pair, is_short, open_date (key: run_mode, feeder_id, pair, open_date), close_date, confidence,
    leverage, open_rate, close_rate, close_profit (after costs, ratio of the stake), close_move (after costs, ratio of the price), sigma
    (volatility at the entry), regime, exit_reason, model_digest (None if unknown), known_at (the close date).
    """

    def save(self, shadow_trades: pd.DataFrame, /) -> int:
        """Insert shadow trades; rows whose key exists are not changed. Return the record's revision."""
        ...

    def frame(self, *, as_of: datetime | None, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        """Return the shadow frame with known_at <= as_of (all rows for None), sorted by known_at."""
        ...

    def last_closes(self, *, run_mode: RunMode) -> Mapping[tuple[str, str], datetime]:
        """Return the newest close date by (feeder_id, pair); a pair without shadow trades of a feeder has no entry."""
        ...


class ModelRegistry(Protocol):
    """The list of each feeder's model files."""

    def register(self, entry: ModelEntry, /) -> None:
        """Store an entry; if one of the same digest and feeder is stored already, nothing changes."""
        ...

    def newest(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        """Return the model with the latest known_at that is not after a time. Raises LearningError if there is none."""
        ...

    def frame(self) -> pd.DataFrame:
        """Return all entries, those with the latest known_at first; columns are `ModelEntry`'s fields."""
        ...


class PlatformRecord(LearningStore, Protocol):
    """The complete record: its identity, its revision, and one repository for each kind of data.

    A write is one transaction. One that changes data increases `revision` by 1 and stores it in each changed row; the other writes, and
    those of the outbox, do not change the revision.
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
        """Return a token that differs after every write that changes the record, by this process or another.

        It may also differ without a change.
        """
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
        """Return the list of models."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Return the writes that are not published yet."""
        ...
