"""Read the settings, set up logs, and open the platform for a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bot3.cli.supervisor_lock import is_being_seeded
from bot3.errors import DataError
from bot3.logs import configure_logs
from bot3.settings import Settings, load_settings
from bot3.wiring import Platform, is_seeded, open_platform

WaitFlag = Annotated[bool, typer.Option("--wait", help="Wait for unavailable stores instead of failing.")]


def command_settings(*, candles: str | None = None) -> Settings:
    """Read the settings and set up logs for a command; `candles` overrides BOT3_CANDLES. Raises SettingsError if a setting is invalid."""
    settings = load_settings() if candles is None else load_settings(candles=candles)
    configure_logs("bot3", level=settings.log_level, secrets=settings.secrets())
    return settings


@contextmanager
def seeded_platform(*, read_only: bool = True) -> Iterator[Platform]:
    """Read the settings and open the platform of a seeded home.

    Raises
    ------
    SettingsError
        If a setting is invalid.
    DataError
        If the home is not seeded, or its seed is not complete.
    """
    settings = command_settings()
    if is_being_seeded(settings):
        raise DataError(f"`bot3 up` is seeding {settings.home}: wait until it prints the addresses")
    if not is_seeded(settings):
        raise DataError(f"{settings.home} contains no seeded home: run `bot3 init` (or `make run`), or set BOT3_HOME to a seeded home")
    with open_platform(settings, read_only=read_only) as platform:
        yield platform
