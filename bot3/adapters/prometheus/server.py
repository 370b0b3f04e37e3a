"""Serve metrics in Prometheus' text format, measured at every request, and whether this process is alive and its stores respond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from bot3.errors import AlreadyRunningError, DataError
from bot3.ports.metrics import Family, Kind, Measured
from bot3.web_guard import HEADERS_AGAINST_FRAMES, RequestRule

if TYPE_CHECKING:
    from prometheus_client import Metric

log = structlog.get_logger()

_TEXT = "text/plain; charset=utf-8"
_PAGE = "text/plain; version=0.0.4; charset=utf-8"


class _Collector:
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        return (_metric(family) for family in self._measured.families())

    def describe(self) -> list[Metric]:
        # Registration needs the metrics' names: without this method it would measure all metrics, and so query every store.
        return []


def _metric(family: Family) -> Metric:
    build = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = build(family.name, family.help, labels=family.labels)
    for labels, value in family.samples.items():
        metric.add_metric(labels, value)
    return metric


def page_of(measured: Measured) -> bytes:
    """Measure all metrics and return the page with them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(measured))
    return generate_latest(registry)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Otherwise a second exporter could listen on the same port and receive a part of the requests.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], measured: Measured, *, rule: RequestRule, is_current: Callable[[], bool]) -> None:
        self.measured, self.rule, self._is_current = measured, rule, is_current
        super().__init__(address, _Handler)

    def service_actions(self) -> None:
        """Check at each poll of the socket whether the measured home is still the same. Raises DataError if another home replaced it."""
        if not self._is_current():
            raise DataError("another home replaced this one: restart the exporter to read it")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "bot3"
    sys_version = ""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        refusal = self.server.rule.refusal(method="GET", path=path, query=query, headers=self.headers.items())
        if refusal is not None:
            self._reply(403, f"403: {refusal}\n".encode())
        elif path == "/metrics":
            self._metrics()
        elif path == "/livez":
            self._reply(200, b"alive\n")
        elif path == "/readyz":
            is_ready = self.server.measured.is_ready()
            self._reply(200 if is_ready else 503, b"ready\n" if is_ready else b"the stores do not answer\n")
        else:
            self._reply(404, b"/metrics, /livez, /readyz\n")

    def _metrics(self) -> None:
        try:
            page = page_of(self.server.measured)
        except Exception:
            # An error must not be reported as a page without metrics.
            log.exception("page_failed")
            self._reply(500, b"failed: see the log of this process\n")
            return
        self._reply(200, page, kind=_PAGE)

    def _reply(self, status: int, body: bytes, *, kind: str = _TEXT) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS_AGAINST_FRAMES:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the base class names it
        """Log no request: there is one every few seconds."""


class PrometheusServer:
    """An HTTP server that serves until it is stopped; it listens as soon as it is constructed.

    Parameters
    ----------
    rule : RequestRule
        Decides which requests are answered; others get status 403.
    is_current : callable
        Returns whether the measured home is still the one that the server was created for.

    Raises
    ------
    AlreadyRunningError
        If the server cannot listen on the port, as when another process does.
    """

    def __init__(self, measured: Measured, *, host: str, port: int, rule: RequestRule, is_current: Callable[[], bool]) -> None:
        try:
            self._server = _Server((host, port), measured, rule=rule, is_current=is_current)
        except OSError as error:
            raise AlreadyRunningError(
                f"cannot listen on {host}:{port} ({error.strerror}): set BOT3_METRICS_PORT to another port"
            ) from error

    @property
    def address(self) -> str:
        """Return the URL of the server."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve(self) -> None:
        """Answer requests until `stop`. Raises DataError once the home was replaced: the metrics would be those of the old home."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve`; call this from another thread than `serve`."""
        self._server.shutdown()
