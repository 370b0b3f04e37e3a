"""A record whose learning is read from its published copy in InfluxDB, for test suites of every reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot3.adapters.influx.buckets import InfluxBuckets
from bot3.adapters.influx.dead_letters import DeadLetters
from bot3.adapters.influx.published_copy import InfluxCopy
from bot3.adapters.influx.publisher import InfluxPublisher
from bot3.adapters.influx.server import InfluxServer
from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.record.record import SqlRecord
from bot3.ports.publisher import Origin
from bot3.trading.leverage_bins import LeverageBins
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


class PublishedKind:
    """A repository of one kind of publication: each is published to the copy immediately, and only the copy is read as of a time."""

    def __init__(self, record: PublishedRecord, noun: str) -> None:
        self._record, self._noun, self._repository = record, noun, getattr(record, noun)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)

    def publish(self, *args: Any, **named: Any) -> int:
        revision: int = self._repository.publish(*args, **named)
        publish_learning(self._record.outbox, self._record.copy.publisher)
        return revision

    def as_of(self, at: datetime) -> Any:
        return getattr(self._record.copy.reader, self._noun).as_of(at)


class PublishedRecord(SqlRecord):
    """A record that publishes every write immediately, and reads learning only from the copy."""

    copy: Copy

    def __init__(self, database: Database, *, bins: LeverageBins, read_only: bool) -> None:
        super().__init__(database, bins=bins, read_only=read_only)
        for noun in ("parameters", "feeder_scores", "regimes", "recommendations"):
            setattr(self, noun, PublishedKind(self, noun))

    def next_known_at(self, *, after: datetime) -> datetime | None:
        return self.copy.reader.next_known_at(after=after)

    def learning_token(self) -> str:
        return self.copy.reader.learning_token()

    def close(self) -> None:
        super().close()
        self.copy.close()


def published_record(url: str, copy: Copy) -> PublishedRecord:
    """Open a record whose learning is read from a copy."""
    copy.publisher.prepare(bots=BOTS)
    record = PublishedRecord.open(url)
    record.copy = copy
    copy.source.record = record
    return record
