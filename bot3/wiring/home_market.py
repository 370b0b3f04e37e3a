"""The note of a home's market and seed: it is written when the seed begins, and prevents that the home continues with another market."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

from bot3.errors import SettingsError, StoreError
from bot3.file_replacement import replace_file
from bot3.settings import Settings
from bot3.trading.leverage_bins import DEFAULT_BINS
from bot3.trading.markets import Market

_FILE = "market.json"
_ROOMS = ("market", "trading", "learning", "usecases", "adapters")
"""Packages whose code determines the result of a seed."""

_SHAPES_NO_SEED = frozenset(
    {
        # The market itself, compared separately.
        *("candles", "market_seed", "markets_file"),
        # Locations, ports, logging and the speed of time.
        *("home", "trading_mode", "log_level", "clock_speed", "dagster_port", "dashboard_port"),
        # Operation of the daemon and its schedules once the home is seeded; lifetimes of what the last step of a seed publishes.
        *("protect_deadline_s", "win_rate_mark", "meta_learner_interval_s", "parameters_from", "sync_overlap_days"),
        *("recommendations_file", "parameters_file", "recommendations_life_s", "parameters_life_s"),
    }
)
"""Settings that do not change the result of a seed; any other may change it, except addresses of databases and of InfluxDB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedNote:
    """The settings, code and markets that determine the result of a seed, as JSON can store them.

    Parameters
    ----------
    settings : mapping
        Field name of `Settings` to its value.
    rules : str
        Digest of the source files that determine the result of a seed.
    markets : mapping
        Pair to the digest of its exchange filters.
    start, end : datetime
        The span of candles that is used, in market time.
    """

    settings: Mapping[str, Any]
    rules: str
    markets: Mapping[str, str]
    start: datetime
    end: datetime

    @classmethod
    def of(cls, settings: Settings, *, markets: Mapping[str, Market], span: tuple[datetime, datetime]) -> Self:
        """Return the note of a seed with these settings, exchange filters and candles, and with the code that runs now."""
        shaping = {name for name in Settings.model_fields if name not in _SHAPES_NO_SEED and not ("_db_" in name or "influx" in name)}
        return cls(
            settings=settings.model_dump(mode="json", include=shaping),
            rules=_rules_digest(),
            markets={pair: hashlib.sha256(repr(market).encode()).hexdigest()[:16] for pair, market in sorted(markets.items())},
            start=span[0],
            end=span[1],
        )

    def differences(self, other: SeedNote) -> list[str]:
        """Return the differences between this note and another as texts; empty if there is none.

        If settings differ, only these are returned; otherwise changed code and changed filters of pairs. The spans are not compared.
        """
        names = [name for name in sorted({*self.settings, *other.settings}) if self.settings.get(name) != other.settings.get(name)]
        if names:
            return [f"BOT3_{name.upper()} was {self.settings.get(name)}, is {other.settings.get(name)}" for name in names]
        code = [] if self.rules == other.rules else ["the platform's code has changed"]
        pairs = [pair for pair in sorted({*self.markets, *other.markets}) if self.markets.get(pair) != other.markets.get(pair)]
        return code + [f"{pair} or its filters have changed" for pair in pairs]


def note_seed(settings: Settings, note: SeedNote) -> None:
    """Write the market of a home and the note of its seed to a file in the home; it replaces an earlier one."""
    seed = {
        "settings": note.settings,
        "rules": note.rules,
        "markets": note.markets,
        "start": note.start.isoformat(),
        "end": note.end.isoformat(),
    }
    facts = {"candles": _directories(settings), "market_seed": settings.market_seed, "leverage_bins": settings.leverage_bins, "seed": seed}
    replace_file(settings.home / _FILE, json.dumps(facts, indent=2).encode())


def noted_seed(home: Path) -> SeedNote | None:
    """Return the note of a home's seed; None if the home has no note, or one of an earlier release without the seed.

    Raises
    ------
    StoreError
        If the file cannot be read or is invalid.
    """
    path = home / _FILE
    return _read(path).seed if path.exists() else None


def require_same_seed(home: Path, note: SeedNote) -> None:
    """Raise SettingsError if an interrupted seed would continue with other settings, code or markets, or its note is missing.

    Otherwise the results of two different seeds would be mixed.
    """
    begun = noted_seed(home)
    differences = ["it has no record of its settings"] if begun is None else begun.differences(note)
    if differences:
        raise SettingsError(
            f"the seed of {home} cannot continue as it began: {'; '.join(differences)}; undo these changes, or start again: remove that "
            "directory, or set BOT3_HOME to another one"
        )


def settings_of_home(settings: Settings) -> Settings:
    """Return the settings with the candle directories that their home was made from; unchanged for a home without a note.

    Raises
    ------
    SettingsError
        If the settings name other candles, another seed of the simulated market, or other leverage bins than the home was made from: its
        positions and its learned values would be compared with the prices of another market, or with trades of other bins.
    StoreError
        If the note cannot be read or is invalid.
    """
    path = settings.home / _FILE
    if not path.exists():
        return settings
    facts = _read(path)
    made_of = list(facts.candles)
    if settings.candles and _directories(settings) != made_of:
        raise SettingsError(
            f"{settings.home} was made from {', '.join(made_of) or 'the simulated market'}, not from BOT3_CANDLES={settings.candles}: "
            "remove BOT3_CANDLES, or set BOT3_HOME to another directory"
        )
    if not made_of and settings.market_seed != facts.market_seed:
        raise SettingsError(
            f"{settings.home} was made from the simulated market of seed {facts.market_seed}, BOT3_MARKET_SEED is {settings.market_seed}: "
            "remove it, or set BOT3_HOME to another directory"
        )
    if settings.leverage_bins != facts.leverage_bins:
        ours, its = (",".join(f"{edge:g}" for edge in edges) for edges in (settings.leverage_bins, facts.leverage_bins))
        raise SettingsError(
            f"{settings.home} was made with the leverage bins {its}, BOT3_LEVERAGE_BINS is {ours}: its trades and parameters are stored by "
            f"bin; set BOT3_LEVERAGE_BINS={its}, or set BOT3_HOME to another directory"
        )
    return settings.model_copy(update={"candles": os.pathsep.join(made_of)})


def _directories(settings: Settings) -> list[str]:
    return [str(directory.resolve()) for directory in settings.candle_directories]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    candles: tuple[str, ...]
    market_seed: int
    leverage_bins: tuple[float, ...]
    seed: SeedNote | None


def _read(path: Path) -> _Facts:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seed = facts.get("seed")
        return _Facts(
            candles=tuple(str(part) for part in facts["candles"]),
            market_seed=int(facts["market_seed"]),
            # A home of an older release has no note of its bins: they could not be set.
            leverage_bins=tuple(float(edge) for edge in facts.get("leverage_bins", DEFAULT_BINS.edges)),
            seed=None if seed is None else _seed_of(seed),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read ({type(error).__name__}): seed a new home with `bot3 init`") from error


def _seed_of(kept: Mapping[str, Any]) -> SeedNote:
    return SeedNote(
        settings=dict(kept["settings"]),
        rules=str(kept["rules"]),
        markets=dict(kept["markets"]),
        start=datetime.fromisoformat(kept["start"]),
        end=datetime.fromisoformat(kept["end"]),
    )


@cache
def _rules_digest() -> str:
    """Return a digest of the source files that determine the result of a seed; there is no version number for them."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for room in _ROOMS for path in (package / room).rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
