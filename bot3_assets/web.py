"""Serve Dagster's web pages, with protection against requests of other web pages: `python -m bot3_assets.web -p PORT -w WORKSPACE_FILE`.

Dagster's own server accepts commands from any web page that is open in a browser on this machine: a mutation in a request's URL, a body of
another content type, a websocket. This module serves the same application behind `bot3.web_guard`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from bot3.errors import SettingsError
from bot3.private_files import create_private_files
from bot3.settings import load_settings
from bot3.web_guard import RequestRule, WebGuard

COMMANDS = ("/graphql", "/report_asset_materialization", "/report_asset_check", "/report_asset_observation")
_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW = 15_000, 3_600, 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments and serve until stopped; exit with code 2 if arguments or settings are invalid."""
    create_private_files()
    asked = _parser().parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from error
    serve(host=asked.host, port=asked.port, workspace=asked.workspace, is_read_only=asked.read_only, allowed_hosts=settings.allowed_hosts)


def serve(*, host: str, port: int, workspace: str, is_read_only: bool, allowed_hosts: Sequence[str]) -> None:
    """Serve the pages of the Dagster instance in DAGSTER_HOME, behind the guard, until stopped.

    Parameters
    ----------
    workspace : str
        Path of the workspace file.
    is_read_only : bool
        Reject every command (mutation).
    allowed_hosts : sequence of str
        Host names, besides this machine's own, under which browsers may request the pages.
    """
    # Dagster takes a second to import, so import it only after the arguments were parsed.
    import uvicorn  # noqa: PLC0415  # after the arguments were read
    from dagster import DagsterInstance, __version__  # noqa: PLC0415  # after the arguments were read
    from dagster._core.workspace.context import WorkspaceProcessContext  # noqa: PLC0415  # after the arguments were read
    from dagster._core.workspace.load_target import WorkspaceFileTarget  # noqa: PLC0415  # after the arguments were read
    from dagster._utils.log import configure_loggers  # noqa: PLC0415  # after the arguments were read
    from dagster_webserver.app import create_app_from_workspace_process_context  # noqa: PLC0415  # after the arguments were read

    configure_loggers(formatter="colored", log_level="INFO")
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW)
        target = WorkspaceFileTarget(paths=[workspace])
        with WorkspaceProcessContext(instance, version=__version__, read_only=is_read_only, workspace_load_target=target) as context:
            pages = create_app_from_workspace_process_context(context, lifespan=_lifespan)
            guarded = WebGuard(pages, rule=RequestRule(allowed_hosts=allowed_hosts, commands=COMMANDS))
            logging.getLogger("dagster-webserver").info("Serving Dagster's pages on http://%s:%s", host, port)
            uvicorn.run(guarded, host=host, port=port, log_level="warning")


@asynccontextmanager
async def _lifespan(_app: Any) -> AsyncIterator[None]:
    # Uvicorn cancels requests that are still open when it is stopped (https://github.com/encode/uvicorn/issues/1160).
    with suppress(asyncio.CancelledError):
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot3_assets.web", description="Dagster's web server; it rejects requests of other pages."
    )
    parser.add_argument("-H", "--host", default="127.0.0.1", help="address to listen on; the pages have no login")
    parser.add_argument("-p", "--port", type=int, required=True)
    parser.add_argument("-w", "--workspace", required=True, help="path of the workspace file")
    parser.add_argument("--read-only", action="store_true", help="refuse every mutation")
    return parser


if __name__ == "__main__":
    main()
