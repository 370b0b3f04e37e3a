"""A page of numbers in Prometheus' text format, made anew for every reader; and whether this process lives and is ready."""

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
        # Registering asks for names: without this it would ask every store.
        return []


def _metric(family: Family) -> Metric:
    build = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = build(family.name, family.help, labels=family.labels)
    for labels, value in family.samples.items():
        metric.add_metric(labels, value)
    return metric


def page_of(measured: Measured) -> bytes:
    """Return the page as it is now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(measured))
    return generate_latest(registry)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A second exporter on the port would take half of the readers.
    allow_reuse_port = False

    def __init__(self, address: tuple[str, int], measured: Measured, *, rule: RequestRule, is_current: Callable[[], bool]) -> None:
        self.measured, self.rule, self._is_current = measured, rule, is_current
        super().__init__(address, _Handler)

    def service_actions(self) -> None:
        """Look, several times a second, whether what is measured is still there."""
        if not self._is_current():
            raise DataError("the home was replaced by another one: start again to read that")


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
            # A bug must not look like a page without numbers.
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
    """Serves until it is stopped; it listens once it was made.

    Parameters
    ----------
    rule : RequestRule
        Which requests are answered.
    is_current : callable
        Says whether what is measured is still what it was made for.

    Raises
    ------
    AlreadyRunningError
        If somebody listens on the port.
    """

    def __init__(self, measured: Measured, *, host: str, port: int, rule: RequestRule, is_current: Callable[[], bool]) -> None:
        try:
            self._server = _Server((host, port), measured, rule=rule, is_current=is_current)
        except OSError as error:
            raise AlreadyRunningError(
                f"{host}:{port} cannot be listened on ({error.strerror}): set BOT3_METRICS_PORT to another"
            ) from error

    @property
    def address(self) -> str:
        """Return where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve(self) -> None:
        """Answer until `stop`. Raises DataError once what is measured was replaced: its numbers would be an old home's."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve`; to be called from another thread."""
        self._server.shutdown()
