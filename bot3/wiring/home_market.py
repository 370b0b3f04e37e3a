"""Which market a home is of: noted when its seed begins, and never mixed with another."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bot3.errors import SettingsError, StoreError
from bot3.settings import Settings

_FILE = "market.json"


def note_market(settings: Settings) -> None:
    """Note the market of a home, unless it has one (`settings_of_home` has compared it)."""
    path = settings.home / _FILE
    if path.exists():
        return
    facts = {"candles": _directories(settings), "market_seed": settings.market_seed}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    path.with_suffix(".new").replace(path)


def settings_of_home(settings: Settings) -> Settings:
    """Return the settings with the candle directories of their home, where none are set.

    Raises
    ------
    SettingsError
        If other candles, or another seed of the simulated market, are set than the home was made of: its positions and what it learned
        would be judged by the prices of another market.
    StoreError
        If the note cannot be read.
    """
    path = settings.home / _FILE
    if not path.exists():
        return settings
    facts = _read(path)
    made_of = [str(part) for part in facts["candles"]]
    if settings.candles and _directories(settings) != made_of:
        raise SettingsError(
            f"{settings.home} was made of {', '.join(made_of) or 'the simulated market'}, not of BOT3_CANDLES={settings.candles}: "
            "leave BOT3_CANDLES out, or set BOT3_HOME to another directory"
        )
    if not made_of and settings.market_seed != facts["market_seed"]:
        raise SettingsError(
            f"{settings.home} was made of the simulated market of seed {facts['market_seed']}, BOT3_MARKET_SEED is {settings.market_seed}: "
            "leave it out, or set BOT3_HOME to another directory"
        )
    return settings.model_copy(update={"candles": os.pathsep.join(made_of)})


def _directories(settings: Settings) -> list[str]:
    return [str(directory.resolve()) for directory in settings.candle_directories]


def _read(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"candles": list(facts["candles"]), "market_seed": int(facts["market_seed"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({type(error).__name__}): seed a home anew with `bot3 init`") from error
