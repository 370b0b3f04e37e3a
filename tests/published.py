"""A record whose learning is read from its published copy in InfluxDB, for test suites of every reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot3.adapters.influx.buckets import InfluxBuckets
from bot3.adapters.influx.dead_letters import DeadLetters
from bot3.adapters.influx.published_copy import InfluxCopy
from bot3.adapters.influx.publisher import InfluxPublisher
from bot3.adapters.influx.server import InfluxServer
from bot3.adapters.sql.record.record import SqlRecord
from bot3.market.regimes import RegimeState
from bot3.ports.publisher import Origin
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.usecases.publishing.publish import publish_learning
from tests.servers.influx import InfluxProgram

NEVER = timedelta(0)
BOTS = ("BOT1", "BOT2", "BOT3")


def wall_now() -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Source:
    """The origin of the publications that a copy's reader accepts."""

    record: SqlRecord | None

    def __call__(self) -> Origin:
        assert self.record is not None, "name the record that is published to this copy"
        return self.record.origin()


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A publisher and a reader on their own buckets."""

    server: InfluxServer
    buckets: InfluxBuckets
    publisher: InfluxPublisher
    reader: InfluxCopy
    letters: DeadLetters
    source: Source

    @classmethod
    def on(
        cls,
        program: InfluxProgram,
        directory: Path,
        *,
        record: SqlRecord | None = None,
        life: timedelta = NEVER,
        timeout_s: float = 20.0,
        prefix: str = "",
    ) -> Copy:
        server = InfluxServer(program.address(timeout_s=timeout_s))
        prefix = prefix or program.new_prefix()
        trades = {"BOT1": f"{prefix}BOT1_trades", "BOT2": f"{prefix}BOT2_trades", "BOT3": f"{prefix}BOT33_trades"}
        buckets = InfluxBuckets(learning=f"{prefix}bot3_learning", trades=trades, learning_life=life, trades_life=life)
        letters = DeadLetters(directory / f"{prefix}letters.jsonl")
        publisher = InfluxPublisher(server, buckets=buckets, letters=letters, wall_now=wall_now)
        source = Source(record)
        reader = InfluxCopy(server, buckets=buckets, origin=source, wall_now=wall_now)
        return cls(server=server, buckets=buckets, publisher=publisher, reader=reader, letters=letters, source=source)

    def close(self) -> None:
        self.server.close()


class PublishedRecord(SqlRecord):
    """A record that publishes every write immediately, and reads learning only from the copy."""

    copy: Copy

    def publish_parameters(self, parameters: ParameterSet, *, replaces: str | None, is_full: bool) -> int:
        return self._told(super().publish_parameters(parameters, replaces=replaces, is_full=is_full))

    def publish_feeder_scores(self, scores: Sequence[FeederScore]) -> int:
        return self._told(super().publish_feeder_scores(scores))

    def publish_regimes(self, states: Sequence[RegimeState]) -> int:
        return self._told(super().publish_regimes(states))

    def publish_recommendation(self, recommendation: Recommendation) -> int:
        return self._told(super().publish_recommendation(recommendation))

    def parameters(self, *, as_of: datetime) -> ParameterSet:
        return self.copy.reader.parameters(as_of=as_of)

    def feeder_scores(self, *, as_of: datetime) -> tuple[FeederScore, ...]:
        return self.copy.reader.feeder_scores(as_of=as_of)

    def regime(self, *, as_of: datetime) -> RegimeState:
        return self.copy.reader.regime(as_of=as_of)

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        return self.copy.reader.recommendation(as_of=as_of)

    def next_known_at(self, *, after: datetime) -> datetime | None:
        return self.copy.reader.next_known_at(after=after)

    def learning_token(self) -> str:
        return self.copy.reader.learning_token()

    def close(self) -> None:
        super().close()
        self.copy.close()

    def _told(self, revision: int) -> int:
        publish_learning(self, self.copy.publisher)
        return revision


def published_record(url: str, copy: Copy) -> PublishedRecord:
    """Open a record whose learning is read from a copy."""
    copy.publisher.prepare(bots=BOTS)
    record = PublishedRecord.open(url)
    record.copy = copy
    copy.source.record = record
    return record
