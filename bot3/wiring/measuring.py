"""Build the metrics of one home for a monitoring system."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from bot3.web_guard import RequestRule
from bot3.wiring.platform import Platform, home_identity

if TYPE_CHECKING:
    from bot3.adapters.prometheus.server import PrometheusServer
    from bot3.ports.metrics import Measured


def measured(platform: Platform) -> Measured:
    """Return the object that computes a platform's metrics."""
    from bot3.usecases.operations.measure import Measure  # noqa: PLC0415  # loads numba
    from bot3.usecases.operations.measurements import Subject  # noqa: PLC0415  # loads numba

    return Measure(
        Subject(
            ports=platform,
            notices=platform.notices,
            stake_currency=platform.settings.stake_currency,
            directory=platform.settings.home,
            build={"version": _version(), "trading_mode": platform.settings.trading_mode},
            sources=platform.sources,
            outbox=platform.record.outbox.span if platform.publishing.is_configured else None,
        )
    )


def metrics_page(platform: Platform) -> str:
    """Return the current metrics in Prometheus' text format."""
    from bot3.adapters.prometheus.server import page_of  # noqa: PLC0415  # only `bot3 metrics` needs its client

    return page_of(measured(platform)).decode()


def metrics_server(platform: Platform, *, host: str, port: int) -> PrometheusServer:
    """Return an HTTP server of the metrics, which already listens. Raises AlreadyRunningError if another process listens on the port."""
    from bot3.adapters.prometheus.server import PrometheusServer  # noqa: PLC0415  # only `bot3 metrics` needs its client

    opened = home_identity(platform.settings)
    rule = RequestRule(allowed_hosts=platform.settings.allowed_hosts)
    return PrometheusServer(
        measured(platform), host=host, port=port, rule=rule, is_current=lambda: home_identity(platform.settings) == opened
    )


def _version() -> str:
    try:
        return version("bot3")
    except PackageNotFoundError:
        return "unknown"
