"""Client of an InfluxDB 2 server: queries with bound parameters, writes, deletes, buckets, and the translation of its errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot3.adapters.influx.line_protocol import batches, format_ns
from bot3.errors import StoreBusyError, StoreError, StoreFullError

if TYPE_CHECKING:
    from influxdb_client import InfluxDBClient

# The client is imported at the first request: the import takes most of a second, and most homes use no server.

_NOT_FOUND = 404
_BATCH = 5_000
_FIRST, _LAST = "1677-09-22T00:00:00Z", "2262-04-11T00:00:00Z"
"""Start and end of the times that a server can store."""
_BUSY = {408, 429, 500, 502, 503, 504}
_PARTIAL = 422
_REFUSED = {400, 413, _PARTIAL}
_WHO = {401, 403}
_FULL = "no space left on device"
_RETRIES = 2
_BACK_OFF_S = 0.2
_SHOWN = 300


class RefusedLinesError(StoreError):
    """The server rejects these lines, or this deletion, permanently; a retry fails too.

    Parameters
    ----------
    is_whole : bool
        True if none of the lines was written: the server may accept some of them if they are sent in another request.
    """

    def __init__(self, text: str, *, is_whole: bool) -> None:
        super().__init__(text)
        self.is_whole = is_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxAddress:
    """Address of a server and the timeout of its requests.

    Parameters
    ----------
    timeout : timedelta
        Limit of one attempt to send a request; a failed one is repeated up to `retries` times (an argument of `InfluxServer`).
    """

    url: str
    org: str
    token: str
    timeout: timedelta

    @property
    def is_local(self) -> bool:
        """Return whether the server is on this machine, by its URL."""
        host = urlsplit(self.url).hostname or ""
        return host in {"localhost", "::1"} or host.startswith("127.")

    @property
    def shown(self) -> str:
        """Return the server's name in messages."""
        return f"InfluxDB at {urlsplit(self.url).netloc.rpartition('@')[2] or self.url}"


class InfluxServer:
    """A client of one server; it connects at the first request, and repeats a failed one up to `retries` times.

    Every method that sends a request raises StoreBusyError if the server is busy or does not respond before the timeout, and StoreError if
    it rejects the token or lacks the bucket.
    """

    def __init__(self, address: InfluxAddress, *, retries: int = _RETRIES) -> None:
        self._address, self._retries = address, retries
        self._opened: InfluxDBClient | None = None
        self._connections = 0

    @property
    def shown(self) -> str:
        """Return the server's name in messages."""
        return self._address.shown

    def close(self) -> None:
        """Close the connection."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def rows(self, flux: str, **params: str | int) -> Iterator[dict[str, str]]:
        """Yield the rows of a query as texts by column; values are passed as bound parameters, never as part of the query's text.

        Raises
        ------
        StoreBusyError
            If the server does not respond before the timeout.
        StoreError
            If the server rejects the query.
        """
        from influxdb_client import Dialect  # noqa: PLC0415  # only homes that publish to InfluxDB load its client

        plain = Dialect(header=True, annotations=[], date_time_format="RFC3339Nano")
        with self._translated():
            answer = self._client.query_api().query_raw(flux, dialect=plain, params=params)
            text = answer.data.decode()
        return _table_rows(text, shown=self.shown)

    def write(self, bucket: str, lines: Sequence[str]) -> None:
        """Write lines in batches of 5,000.

        Raises
        ------
        RefusedLinesError
            If the server rejects a line permanently. Other lines may have been written; writing them again changes nothing.
        """
        from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415  # only homes that publish to InfluxDB load its client

        api = self._client.write_api(write_options=SYNCHRONOUS)
        for batch in batches(lines, _BATCH):
            with self._translated():
                api.write(bucket=bucket, record="\n".join(batch).encode())

    def delete(self, bucket: str, *, measurement: str, tags: Mapping[str, str], at_ns: int) -> None:
        """Delete the points of one series at one time; deleting a missing point changes nothing.

        Parameters
        ----------
        tags : mapping
            Values as they are stored (`line_protocol.tag_value`).
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
        """Check that this token may write to a bucket, without writing anything.

        Raises
        ------
        StoreError
            If the token has no write permission, or the organization has no such bucket.
        """
        query = [("org", self._address.org), ("bucket", bucket)]
        with self._translated():
            # The client sends no request for an empty list of lines. The server checks permissions before it parses the lines.
            self._client.api_client.call_api(
                "/api/v2/write", "POST", query_params=query, header_params={"Content-Type": "text/plain; charset=utf-8"}, body=""
            )

    def buckets(self, names: Iterable[str]) -> dict[str, int]:
        """Return those of the named buckets that this token may read, with their retention in seconds (0: unlimited).

        Each bucket is requested by name: the server omits buckets without permission from a page of its list, and the client takes a
        short page for the last one.
        """
        with self._translated():
            found = [bucket for name in names for bucket in self._buckets_called(name)]
        return {bucket.name: sum(rule.every_seconds for rule in bucket.retention_rules or ()) for bucket in found}

    def _buckets_called(self, name: str) -> list[Any]:
        from influxdb_client.rest import ApiException  # noqa: PLC0415  # only homes that publish to InfluxDB load its client

        try:
            return list(self._client.buckets_api().find_buckets(name=name, org=self._address.org).buckets)
        except ApiException as error:
            # A missing organization is a 404 too.
            if error.status == _NOT_FOUND and str(error.message).startswith("bucket "):
                return []
            raise

    def field_types(self, bucket: str) -> dict[str, dict[str, frozenset[str]]]:
        """Return the types of a bucket's fields, by measurement and field: several types if its shards differ.

        They are queried in InfluxQL, which returns them without reading points; there, every bucket is a database of the same name.
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
            raise StoreError(f"{self.shown} returned no field types of {bucket}: {result['error']}")
        return {series["name"]: _types_by_field(series["values"]) for series in result.get("series", ())}

    def create_bucket(self, name: str, *, keep_s: int) -> None:
        """Create a bucket with a retention in seconds (0: unlimited)."""
        from influxdb_client import BucketRetentionRules  # noqa: PLC0415  # only homes that publish to InfluxDB load its client

        with self._translated():
            self._client.buckets_api().create_bucket(
                bucket_name=name, retention_rules=BucketRetentionRules(type="expire", every_seconds=keep_s)
            )

    def ping(self) -> str:
        """Return the server's version. Raises StoreBusyError if the server does not respond before the timeout."""
        with self._translated():
            return str(self._client.version())

    def connections(self) -> int:
        """Ping the server and return how many connections were opened so far; the number grows after a restart of the server.

        Raises
        ------
        StoreBusyError
            If the server does not respond before the timeout.
        """
        self.ping()
        return self._connections

    def _count(self, client: InfluxDBClient) -> None:
        """Count the connections that a client opens: its pool reopens a lost connection without reporting it."""
        pool = client.api_client.rest_client.pool_manager.connection_from_url(self._address.url)
        plain: Any = pool.ConnectionCls

        def connect(connection: Any) -> None:
            self._connections += 1
            plain.connect(connection)

        pool.ConnectionCls = type("CountedConnection", (plain,), {"connect": connect})

    @property
    def _client(self) -> InfluxDBClient:
        if self._opened is None:
            from influxdb_client import InfluxDBClient  # noqa: PLC0415  # only homes that publish to InfluxDB load its client
            from urllib3.util.retry import Retry  # noqa: PLC0415  # comes with InfluxDB's client

            retries = Retry(
                total=self._retries, backoff_factor=_BACK_OFF_S, status_forcelist=_BUSY, allowed_methods=None, raise_on_status=False
            )
            self._opened = InfluxDBClient(
                url=self._address.url,
                token=self._address.token,
                org=self._address.org,
                timeout=round(self._address.timeout.total_seconds() * 1_000),
                retries=retries,
                # On the same machine compression costs more than it saves.
                enable_gzip=not self._address.is_local,
            )
            self._count(self._opened)
        return self._opened

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from influxdb_client.rest import ApiException  # noqa: PLC0415  # only homes that publish to InfluxDB load its client
        from urllib3.exceptions import HTTPError  # noqa: PLC0415  # comes with InfluxDB's client

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
        return RefusedLinesError(f"{shown} rejected the request ({status}): {said}", is_whole=status != _PARTIAL)
    if status in _WHO:
        return StoreError(f"{shown} rejected this token ({status}): check BOT3_INFLUX_TOKEN and its read and write permissions")
    if status == _NOT_FOUND:
        return StoreError(f"{shown} lacks a bucket or organization ({said}): run `bot3 publish run`, or check BOT3_INFLUX_ORG")
    if _FULL in text:
        # The server does not reopen a shard that it once failed to open, however much space is free by then.
        return StoreFullError(f"{shown}: its disk was full ({status}): free space, then restart InfluxDB if the error remains: {said}")
    return StoreBusyError(f"{shown} is busy ({status}): wait and retry{f': {said}' if said else ''}")


def _text(body: Any) -> str:
    return (body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")).strip()


def _types_by_field(rows: Sequence[tuple[str, str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(kind for other, kind in rows if other == name) for name, _ in rows}


def _predicate_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _table_rows(text: str, *, shown: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a response in CSV; an empty line ends a table, and the line after it is the header of the next one."""
    header: list[str] | None = None
    for cells in csv.reader(io.StringIO(text)):
        if not cells:
            header = None
        elif header is None:
            header = cells
        elif "error" in header and "_value" not in header:
            # A query that fails midway has already returned status 200.
            raise StoreError(f"{shown} could not finish a query: {cells[header.index('error')][:300]}")
        else:
            yield dict(zip(header, cells, strict=False))
