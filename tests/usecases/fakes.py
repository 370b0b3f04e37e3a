# ruff: noqa: ARG002  (a fake has the parameters of its port)
"""Fake stores and candles in memory that implement the ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

import pandas as pd

from bot3.errors import CandleError, LearningError, StoreConflictError
from bot3.learning.promotion.permissions import GateLedger
from bot3.market.regimes import RegimeState
from bot3.ports.record import SyncOutcome
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.parameters import ExitParameters, ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.trading.signals import feeder_of_enter_tag
from bot3.trading.trades import RunMode, Trade, direction

_KEY = ["bot", "run_mode", "trade_id", "open_date"]
_TRADE_COLUMNS = [*Trade.__dataclass_fields__, "direction", "leverage_bin", "feeder_id", "known_at", "revision"]


class FakeReader:
    """A reader of a bot's closed trades."""

    def __init__(self, bot: str, trades: list[Trade]) -> None:
        self.bot = bot
        self.store_id = bot
        self.trades = trades

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        return [t for t in self.trades if t.close_date is not None and (closed_since is None or t.close_date >= closed_since)]

    def count_closed(self, *, closed_since: datetime | None) -> int:
        return len(self.closed_trades(closed_since=closed_since))


class FakeCandles:
    """A candle reader on frames by pair."""

    def __init__(self, frames: Mapping[str, pd.DataFrame], funding: pd.DataFrame) -> None:
        self.frames = frames
        self._funding = funding

    def pairs(self) -> tuple[str, ...]:
        return tuple(self.frames)

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        if pair not in self.frames:
            raise CandleError(f"there are no candles of {pair}")
        opens = self.frames[pair]["open_time"]
        return opens.iloc[0].to_pydatetime(), (opens.iloc[-1] + pd.Timedelta(minutes=5)).to_pydatetime()

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        frame = self.frames[pair]
        inside = (frame["open_time"] >= start) & (frame["open_time"] + pd.Timedelta(minutes=5) <= end)
        return frame[inside].reset_index(drop=True)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        inside = (self._funding["time"] >= start) & (self._funding["time"] < end)
        return self._funding[inside].reset_index(drop=True)


class Revision:
    """The revision that the repositories of one record share."""

    def __init__(self) -> None:
        self.value = 0

    def rise(self) -> int:
        self.value += 1
        return self.value


class FakeTrades:
    """Synced trades."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self._trades: dict[tuple[object, ...], tuple[Trade, int]] = {}
        self._deleted: dict[tuple[object, ...], int] = {}

    def upsert(self, trades: Sequence[Trade]) -> SyncOutcome:
        inserted = updated = unchanged = 0
        for trade in trades:
            key = (trade.bot, trade.run_mode, trade.trade_id, trade.open_date)
            old = self._trades.get(key)
            if old is not None and old[0] == trade:
                unchanged += 1
                continue
            inserted, updated = inserted + (old is None), updated + (old is not None)
            self._trades[key] = (trade, self._revision.rise())
            self._deleted.pop(key, None)
        return SyncOutcome(inserted=inserted, updated=updated, unchanged=unchanged, deleted=0, revision=self._revision.value)

    def delete(self, *, bot: str, run_mode: RunMode, keys: Sequence[tuple[int, datetime]]) -> SyncOutcome:
        for trade_id, open_date in keys:
            del self._trades[bot, run_mode, trade_id, open_date]
            self._deleted[bot, run_mode, trade_id, open_date] = self._revision.rise()
        return SyncOutcome(inserted=0, updated=0, unchanged=0, deleted=len(keys), revision=self._revision.value)

    def deletions(self, *, run_modes: Sequence[RunMode], since_revision: int) -> int:
        return sum(revision > since_revision and key[1] in run_modes for key, revision in self._deleted.items())

    def keys(self, *, bot: str, run_mode: RunMode, closed_since: datetime | None) -> set[tuple[int, datetime]]:
        return {
            (t.trade_id, t.open_date)
            for t, _ in self._trades.values()
            if t.bot == bot and t.run_mode == run_mode and t.close_date and (closed_since is None or t.close_date >= closed_since)
        }

    def frame(
        self, *, as_of: datetime | None, run_modes: Sequence[RunMode], since_revision: int | None = None, **_: object
    ) -> pd.DataFrame:
        rows = [
            asdict(t)
            | {
                "direction": direction(is_short=t.is_short),
                "leverage_bin": DEFAULT_BINS.label_of(t.leverage),
                "feeder_id": feeder_of_enter_tag(t.enter_tag),
                "known_at": t.close_date,
                "revision": revision,
            }
            for t, revision in self._trades.values()
            if t.close_date and (as_of is None or t.close_date <= as_of) and t.run_mode in run_modes and revision > (since_revision or 0)
        ]
        frame = pd.DataFrame(rows, columns=_TRADE_COLUMNS)
        for name in ("open_date", "close_date", "known_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        return frame

    def counts(self) -> pd.DataFrame:
        columns = ["bot", "run_mode", "trades", "first_close", "last_close", "deleted", "several_orders", "outdated"]
        groups: dict[tuple[str, RunMode], list[datetime]] = {(bot, mode): [] for bot, mode, *_ in self._deleted}
        for trade, _ in self._trades.values():
            assert trade.close_date is not None
            groups.setdefault((trade.bot, trade.run_mode), []).append(trade.close_date)
        deleted = Counter(key[:2] for key in self._deleted)
        rows = [
            (
                *key,
                len(closes),
                min(closes, default=pd.NaT),
                max(closes, default=pd.NaT),
                deleted[key],
                0,
                0,
            )
            for key, closes in groups.items()
        ]
        return pd.DataFrame(rows, columns=columns)


class FakeReplays:
    """Replays by their key."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self.rows: dict[tuple[object, ...], dict[str, object]] = {}

    def save(self, replays: pd.DataFrame) -> int:
        for row in replays.to_dict("records"):
            self.rows[tuple(row[name] for name in _KEY)] = {str(name): value for name, value in row.items()}
        return self._revision.rise()

    def frame(self, *, as_of: datetime | None, run_modes: Sequence[RunMode], **_: object) -> pd.DataFrame:
        return pd.DataFrame(list(self.rows.values()), columns=[*_KEY, "state", "funding_move", "version"])


class FakeShadowTrades:
    """Shadow trades: a frame that a test sets."""

    def __init__(self) -> None:
        self.stored = pd.DataFrame()

    def frame(self, *, as_of: datetime | None, run_modes: Sequence[RunMode]) -> pd.DataFrame:
        return self.stored


class FakeGates:
    """Ledgers of reviews, which a publication of parameters adds."""

    def __init__(self) -> None:
        self.ledgers: list[tuple[datetime, GateLedger]] = []

    def as_of(self, at: datetime) -> GateLedger:
        known = [ledger for known_at, ledger in self.ledgers if known_at <= at]
        if not known:
            raise LearningError("no day was reviewed by then")
        return known[-1]

    def first_reviewed_day(self) -> int:
        if not self.ledgers:
            raise LearningError("no day was reviewed yet")
        return min(ledger.day for _, ledger in self.ledgers)


class FakeParameters:
    """Published parameters; the first `conflicts` publications are refused."""

    def __init__(self, revision: Revision, gates: FakeGates, *, conflicts: int = 0) -> None:
        self._revision, self._gates = revision, gates
        self.conflicts = conflicts
        self.published: list[tuple[ParameterSet, str | None, bool]] = []

    def as_of(self, at: datetime) -> ParameterSet:
        known = [(published, is_full) for published, _, is_full in self.published if published.known_at <= at]
        if not known:
            raise LearningError("nothing was published by then")
        rows: dict[str, ExitParameters] = {}
        for published, is_full in known:
            rows = dict(published.rows) if is_full else rows | dict(published.rows)
        return replace(known[-1][0], rows=rows)

    def publish(
        self, parameters: ParameterSet, *, replaces: str | None, is_full: bool, ledger: GateLedger | None = None, **_: object
    ) -> int:
        if self.conflicts:
            self.conflicts -= 1
            raise StoreConflictError("another process has published")
        assert replaces == (self.published[-1][0].version if self.published else None)
        self.published.append((parameters, replaces, is_full))
        if ledger is not None:
            self._gates.ledgers.append((parameters.known_at, ledger))
        return self._revision.rise()


class FakeScores:
    """The newest feeder scores."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self.newest: tuple[FeederScore, ...] = ()

    def publish(self, scores: Sequence[FeederScore]) -> int:
        self.newest = tuple(scores)
        return self._revision.rise()

    def as_of(self, at: datetime) -> tuple[FeederScore, ...]:
        return self.newest


class FakeRegimes:
    """Published regime states."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self.states: list[RegimeState] = []

    def publish(self, states: Sequence[RegimeState]) -> int:
        self.states.extend(states)
        return self._revision.rise()

    def as_of(self, at: datetime) -> RegimeState:
        known = [state for state in self.states if state.known_at <= at]
        if not known:
            raise LearningError("no regime was ever published")
        return known[-1]

    def frame(self, *, start: datetime, end: datetime) -> pd.DataFrame:
        states = [state for state in self.states if start <= state.known_at <= end]
        known_at = pd.to_datetime([state.known_at for state in states], utc=True)
        frame = pd.DataFrame({"known_at": pd.Series(known_at), "regime": [str(state.regime) for state in states]})
        frame["known_at"] = frame["known_at"].astype("datetime64[us, UTC]")
        return frame


class FakeRecommendations:
    """Published recommendations."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision
        self.published: list[Recommendation] = []

    def publish(self, recommendation: Recommendation) -> int:
        self.published.append(recommendation)
        return self._revision.rise()


class FakeRecord:
    """The platform's record in memory; the first `conflicts` publications of parameters are refused."""

    store_id = "fake"

    def __init__(
        self,
        *,
        conflicts: int = 0,
        trades: type[FakeTrades] = FakeTrades,
        parameters: type[FakeParameters] = FakeParameters,
    ) -> None:
        self._revision = revision = Revision()
        self.trades = trades(revision)
        self.replays = FakeReplays(revision)
        self.shadow_trades = FakeShadowTrades()
        self.gates = FakeGates()
        self.parameters = parameters(revision, self.gates, conflicts=conflicts)
        self.feeder_scores = FakeScores(revision)
        self.regimes = FakeRegimes(revision)
        self.recommendations = FakeRecommendations(revision)

    def revision(self) -> int:
        return self._revision.value

    def learning_token(self) -> str:
        return f"{len(self.parameters.published)}-{len(self.feeder_scores.newest)}-{len(self.recommendations.published)}"
