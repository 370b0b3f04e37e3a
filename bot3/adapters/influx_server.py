"""An InfluxDB 2 server through its client: bound queries, writes with retries, deletes, buckets, and its words as our errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot3.adapters.influx_lines import batches, format_ns
from bot3.errors import StoreBusyError, StoreError, StoreFullError

if TYPE_CHECKING:
    from influxdb_client import InfluxDBClient

# The client is imported when a server is first asked: it costs most of a second, and most homes have none.

_NOT_FOUND = 404
_BATCH = 5_000
_FIRST, _LAST = "1677-09-22T00:00:00Z", "2262-04-11T00:00:00Z"
"""All times that a server knows."""
_BUSY = {408, 429, 500, 502, 503, 504}
_PARTIAL = 422
_REFUSED = {400, 413, _PARTIAL}
_WHO = {401, 403}
_FULL = "no space left on device"
_RETRIES = 2
_BACK_OFF_S = 0.2
_SHOWN = 300


class RefusedLinesError(StoreError):
    """The server will not take these lines however often they are sent.

    Parameters
    ----------
    is_whole : bool
        None of the lines was written, and any of them may be the cause: a part of them may be accepted.
    """

    def __init__(self, text: str, *, is_whole: bool) -> None:
        super().__init__(text)
        self.is_whole = is_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxAddress:
    """Where a server is and how long it is waited for.

    Parameters
    ----------
    timeout : timedelta
        Of one request. A server that accepts and never answers costs this much.
    """

    url: str
    org: str
    token: str
    timeout: timedelta

    @property
    def is_local(self) -> bool:
        """Say whether it is reached without a network."""
        host = urlsplit(self.url).hostname or ""
        return host in {"localhost", "::1"} or host.startswith("127.")

    @property
    def shown(self) -> str:
        """Return what names the server in messages."""
        return f"InfluxDB at {urlsplit(self.url).netloc.rpartition('@')[2] or self.url}"


class InfluxServer:
    """A connection to a server; opened when first asked."""

    def __init__(self, address: InfluxAddress, *, retries: int = _RETRIES) -> None:
        self._address, self._retries = address, retries
        self._opened: InfluxDBClient | None = None
        self._connections = 0

    @property
    def shown(self) -> str:
        """Return what names the server in messages."""
        return self._address.shown

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def rows(self, flux: str, **params: str | int) -> Iterator[dict[str, str]]:
        """Yield the rows of a query as texts by column; values are bound, never written into the query.

        Raises
        ------
        StoreBusyError
            If the server cannot be reached in time.
        StoreError
            If it refuses the query.
        """
        from influxdb_client import Dialect  # noqa: PLC0415

        plain = Dialect(header=True, annotations=[], date_time_format="RFC3339Nano")
        with self._translated():
            answer = self._client.query_api().query_raw(flux, dialect=plain, params=params)
            text = answer.data.decode()
        return _table_rows(text, shown=self.shown)

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Write lines in batches; a server that is busy is asked again, a few times.

        Raises
        ------
        RefusedLinesError
            If the server will never take one of them; others may have been written, which a second writing does not change.
        """
        from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415

        api = self._client.write_api(write_options=SYNCHRONOUS)
        for batch in batches(lines, _BATCH):
            with self._translated():
                api.write(bucket=bucket, record="\n".join(batch).encode())

    def delete(self, bucket: str, *, measurement: str, tags: Mapping[str, str], at_ns: int) -> None:
        """Delete the points of one series at one time; deleting what is not there changes nothing.

        Parameters
        ----------
        tags : mapping
            Values as they are stored (`influx_lines.tag_value`).
        """
        parts = {"_measurement": measurement, **tags}
        predicate = " AND ".join(f"{name}={_predicate_text(value)}" for name, value in parts.items())
        with self._translated():
            self._client.delete_api().delete(format_ns(at_ns), format_ns(at_ns), predicate, bucket=bucket)

    def delete_measurement(self, bucket: str, measurement: str) -> None:
        """Delete every point of a measurement."""
        with self._translated():
            self._client.delete_api().delete(_FIRST, _LAST, f"_measurement={_predicate_text(measurement)}", bucket=bucket)

    def require_write_access(self, bucket: str) -> None:
        """Ask whether this token may write to a bucket, without writing anything.

        Raises
        ------
        StoreError
            If it may not, or the organization has no such bucket.
        """
        query = [("org", self._address.org), ("bucket", bucket)]
        with self._translated():
            # The client sends no request for no lines. The server looks at the rights before it looks at them.
            self._client.api_client.call_api(
                "/api/v2/write", "POST", query_params=query, header_params={"Content-Type": "text/plain; charset=utf-8"}, body=""
            )

    def buckets(self, names: Iterable[str]) -> dict[str, int]:
        """Return which of these buckets this token sees, with the seconds that each keeps its points (0: for ever).

        Each is asked for by its name: a page of the server's list is short where it leaves out what a token may not see, and the client
        takes a short page for the last one.
        """
        with self._translated():
            found = [bucket for name in names for bucket in self._buckets_called(name)]
        return {bucket.name: sum(rule.every_seconds for rule in bucket.retention_rules or ()) for bucket in found}

    def _buckets_called(self, name: str) -> list[Any]:
        from influxdb_client.rest import ApiException  # noqa: PLC0415

        try:
            return list(self._client.buckets_api().find_buckets(name=name, org=self._address.org).buckets)
        except ApiException as error:
            # An organization that there is not is a 404 too.
            if error.status == _NOT_FOUND and str(error.message).startswith("bucket "):
                return []
            raise

    def field_types(self, bucket: str) -> dict[str, dict[str, frozenset[str]]]:
        """Return the types of a bucket's fields, by measurement and field: several where its shards differ.

        Only InfluxQL tells them without reading points; every bucket is a database of its name there.
        """
        with self._translated():
            answer = self._client.api_client.call_api(
                "/query",
                "GET",
                query_params=[("db", bucket), ("q", "SHOW FIELD KEYS")],
                response_type="object",
                _return_http_data_only=True,
            )
        (result,) = answer["results"]
        if "error" in result:
            raise StoreError(f"{self.shown} does not tell the field types of {bucket}: {result['error']}")
        return {series["name"]: _types_by_field(series["values"]) for series in result.get("series", ())}

    def create_bucket(self, name: str, *, keep_s: int) -> None:
        """Create a bucket that keeps its points so many seconds (0: for ever)."""
        from influxdb_client import BucketRetentionRules  # noqa: PLC0415

        with self._translated():
            self._client.buckets_api().create_bucket(
                bucket_name=name, retention_rules=BucketRetentionRules(type="expire", every_seconds=keep_s)
            )

    def ping(self) -> str:
        """Return the server's version. Raises StoreBusyError if it cannot be reached in time."""
        with self._translated():
            return str(self._client.version())

    def connections(self) -> int:
        """Ask whether the server is there; return how many connections were opened so far: a server that restarts needs another.

        Raises
        ------
        StoreBusyError
            If it cannot be reached in time.
        """
        self.ping()
        return self._connections

    def _count(self, client: InfluxDBClient) -> None:
        """Count the connections of a client: its pool opens one that was lost again without a word."""
        pool = client.api_client.rest_client.pool_manager.connection_from_url(self._address.url)
        plain: Any = pool.ConnectionCls

        def connect(connection: Any) -> None:
            self._connections += 1
            plain.connect(connection)

        pool.ConnectionCls = type("CountedConnection", (plain,), {"connect": connect})

    @property
    def _client(self) -> InfluxDBClient:
        if self._opened is None:
            from influxdb_client import InfluxDBClient  # noqa: PLC0415
            from urllib3.util.retry import Retry  # noqa: PLC0415

            retries = Retry(
                total=self._retries, backoff_factor=_BACK_OFF_S, status_forcelist=_BUSY, allowed_methods=None, raise_on_status=False
            )
            self._opened = InfluxDBClient(
                url=self._address.url,
                token=self._address.token,
                org=self._address.org,
                timeout=round(self._address.timeout.total_seconds() * 1_000),
                retries=retries,
                # Within a machine packing costs more than it saves.
                enable_gzip=not self._address.is_local,
            )
            self._count(self._opened)
        return self._opened

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            yield
        except ApiException as error:
            raise _translation(self.shown, error.status, _text(error.body)) from error
        except (HTTPError, OSError) as error:
            raise StoreBusyError(
                f"{self.shown} cannot be reached in time ({type(error).__name__}): start it or wait, then retry"
            ) from error


def _translation(shown: str, status: int, text: str) -> StoreError:
    said = text[:_SHOWN]
    if status in _REFUSED:
        return RefusedLinesError(f"{shown} refused ({status}): {said}", is_whole=status != _PARTIAL)
    if status in _WHO:
        return StoreError(f"{shown} refuses this token ({status}): check BOT3_INFLUX_TOKEN and what it may read and write")
    if status == _NOT_FOUND:
        return StoreError(f"{shown} lacks a bucket or organization ({said}): run `bot3 publish run`, or check BOT3_INFLUX_ORG")
    if _FULL in text:
        # It does not open a shard again that it could not open once, however much space there is by then.
        return StoreFullError(f"{shown}: its disk was full ({status}): free some, then restart InfluxDB if it goes on saying so: {said}")
    return StoreBusyError(f"{shown} is busy ({status}): wait and retry{f': {said}' if said else ''}")


def _text(body: Any) -> str:
    return (body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")).strip()


def _types_by_field(rows: Sequence[tuple[str, str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(kind for other, kind in rows if other == name) for name, _ in rows}


def _predicate_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _table_rows(text: str, *, shown: str) -> Iterator[dict[str, str]]:
    """Yield the rows of annotated tables; an empty line ends a table, and the next line names the columns of another."""
    header: list[str] | None = None
    for cells in csv.reader(io.StringIO(text)):
        if not cells:
            header = None
        elif header is None:
            header = cells
        elif "error" in header and "_value" not in header:
            # A query that fails on its way has answered 200 already.
            raise StoreError(f"{shown} could not finish a query: {cells[header.index('error')][:300]}")
        else:
            yield dict(zip(header, cells, strict=False))
