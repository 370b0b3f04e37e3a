"""`bot3 metrics`: serve the platform's metrics for Prometheus, and its liveness and readiness."""

from __future__ import annotations

import signal
import sys
from threading import Thread
from types import FrameType
from typing import Annotated

import typer

from bot3.cli.output import messages
from bot3.cli.session import seeded_platform
from bot3.wiring import metrics_page, metrics_server, when_available


def register(app: typer.Typer) -> None:
    """Add the command `metrics` to the command line."""
    app.command()(metrics)


def metrics(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on; the page has no login.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port to listen on [BOT3_METRICS_PORT].", show_default=False)] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the page once, and exit.")] = False,
) -> None:
    """Serve /metrics, /livez and /readyz until stopped; all stores are opened read-only."""
    with seeded_platform() as platform:
        if once:
            sys.stdout.write(metrics_page(platform))
            return
        chosen = platform.settings.metrics_port if port is None else port
        server = when_available(lambda: metrics_server(platform, host=host, port=chosen))
        if server is None:
            return

        def stop(_number: int, _frame: FrameType | None) -> None:
            # From another thread: this one is busy serving.
            Thread(target=server.stop).start()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        messages.print(f"metrics at {server.address}/metrics")
        server.serve()
