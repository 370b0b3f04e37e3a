"""A tiny home on the simulated market: seeded once a test session, copied for every test that changes it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from bot3.settings import Settings, load_settings
from bot3.usecases.seed.home import seed_home
from bot3.wiring import open_platform

TINY: dict[str, Any] = {"seed_days": 42, "feeder_first_weeks": 5, "feeder_every_weeks": 4, "feeder_train_days": 120}
"""The smallest possible seed: one model for each feeder, and a week of histories."""


def tiny_settings(home: Path, **changes: Any) -> Settings:
    """Return settings of a tiny home, independent of the environment."""
    return load_settings({}, env_file=home / "no.env", home=home, **(TINY | changes))


def tiny_environment(home: Path) -> dict[str, str]:
    """Return the same settings as environment variables of a process."""
    return {"BOT3_HOME": str(home), **{f"BOT3_{name.upper()}": str(value) for name, value in TINY.items()}}


@cache
def seeded_home() -> Path:
    """Seed the home that tests only read; takes about 15 s, once."""
    folder = Path(tempfile.mkdtemp(prefix="bot3-seeded-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    home = folder / "home"
    seed(tiny_settings(home))
    return home


def seed(settings: Settings) -> None:
    """Seed the home of some settings."""
    with open_platform(settings) as platform:
        seed_home(platform.seed_parts(), progress=lambda *_: None)
        platform.finish_seed()
        for bot in platform.bot_names:
            # `bot3 up` would create them, but a home that is only read must have them.
            platform.bot_store(bot)


def copy_of_home(folder: Path) -> Path:
    """Return a copy of the seeded home that a test may change."""
    return Path(shutil.copytree(seeded_home(), folder / "home"))


def set_market_time(home: Path, at: datetime) -> None:
    """Set the market clock of a home that is not open, stopped at a time."""
    with open_platform(tiny_settings(home)) as platform:
        platform.set_clock(at)


def seeded_until(home: Path, **changes: Any) -> datetime:
    """Return the market time at which a home's seed ends."""
    with open_platform(tiny_settings(home, **changes), read_only=True) as platform:
        return platform.seeded_until
