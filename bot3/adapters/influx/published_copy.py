"""Read the copy of the record in InfluxDB: learning, trades, and problems of the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pandas as pd

from bot3.adapters.influx.buckets import InfluxBuckets
from bot3.adapters.influx.field_types import wrong_types
from bot3.adapters.influx.learning import InfluxLearning
from bot3.adapters.influx.line_protocol import point_ns
from bot3.adapters.influx.points import TRADES
from bot3.adapters.influx.server import InfluxServer
from bot3.ports.publisher import Origin

_COLUMNS = ("run_mode", "trade_id", "open_date", "digest")
_EVER_NS = point_ns(datetime(2200, 1, 1, tzinfo=UTC), 0)

_DIGESTS = f"""
from(bucket: bucket)
  |> range(start: time(v: start), stop: time(v: stop))
  |> filter(fn: (r) => r._measurement == "{TRADES}" and (r._field == "trade_id" or r._field == "open_date" or r._field == "digest"))
  |> drop(columns: ["_start", "_stop", "_measurement"])
"""


class InfluxCopy(InfluxLearning):
    """A `PublishedCopy` in InfluxDB."""

    def __init__(
        self, server: InfluxServer, *, buckets: InfluxBuckets, origin: Callable[[], Origin], wall_now: Callable[[], datetime]
    ) -> None:
        super().__init__(server, bucket=buckets.learning, origin=origin)
        self._buckets, self._wall_now = buckets, wall_now

    def health(self, *, bots: Sequence[str]) -> tuple[str, ...]:
        """Return a message for each problem: missing buckets, retentions that differ from the settings, and fields of another type.

        Empty if there is none. Raises StoreBusyError if the server does not respond before the timeout, StoreError if it rejects a query.
        """
        self._server.ping()
        wanted = {self._buckets.of_bot(bot): self._buckets.trades_life for bot in bots}
        wanted[self._buckets.learning] = self._buckets.learning_life
        there = self._server.buckets(wanted)
        missing = [f"bucket {name} is missing: run `bot3 publish run`" for name in sorted(set(wanted) - set(there))]
        lives = {name: round(life.total_seconds()) for name, life in wanted.items()}
        other = [
            f"bucket {name} retains points for {there[name]} s, but the settings require {lives[name]} s: change one of them"
            for name in sorted(set(wanted) & set(there))
            if there[name] != lives[name]
        ]
        held = {name: self._server.field_types(name) for name in sorted(set(wanted) & set(there))}
        return (*missing, *other, *(text for name, types in held.items() for text in wrong_types(name, types)))

    def require_write_access(self, *, bots: Sequence[str]) -> None:
        """Raise StoreError if this token has no permission to write learning or the trades of these bots; nothing is written."""
        for bucket in dict.fromkeys((self._buckets.learning, *map(self._buckets.of_bot, bots))):
            self._server.require_write_access(bucket)

    def trade_digests(self, bot: str) -> pd.DataFrame:
        """Return a bot's trades in the copy: run_mode, trade_id, open_date, digest; one row per point."""
        points: dict[tuple[str, ...], dict[str, str]] = {}
        for row in self._server.rows(_DIGESTS, bucket=self._buckets.of_bot(bot), start=0, stop=_EVER_NS):
            key = tuple(value for name, value in row.items() if name not in {"", "result", "table", "_field", "_value"})
            points.setdefault(key, {"run_mode": row["run_mode"]})[row["_field"]] = row["_value"]
        frame = pd.DataFrame(list(points.values()), columns=list(_COLUMNS))
        return frame.assign(
            trade_id=frame["trade_id"].astype("int64"),
            open_date=pd.to_datetime(frame["open_date"], utc=True, format="ISO8601").dt.as_unit("us"),
        )

    def kept_since(self, *, trades: bool) -> datetime | None:
        """Return the time of the oldest points that the copy retains for at least another hour of wall time; None if it retains all."""
        return self._buckets.kept_since(self._wall_now(), trades=trades)
