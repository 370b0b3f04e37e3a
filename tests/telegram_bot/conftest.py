"""Fixture: a filled home, created once, for commands of the bot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot3.wiring import open_platform
from telegram_bot.home import BotHome
from tests.dashboard.homes import make_home, settings_of


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("filled")
    make_home(home)
    return home


@pytest.fixture
def home(filled: Path) -> Iterator[BotHome]:
    with open_platform(settings_of(filled), read_only=True) as platform:
        yield BotHome(platform)
