"""Which market and which seed a home is of: noted when its seed begins, and never mixed with another."""

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
from bot3.settings import Settings
from bot3.trading.markets import Market

_FILE = "market.json"
_ROOMS = ("market", "trading", "learning", "usecases", "adapters")
"""Whose code a seed passes through."""

_SHAPES_NO_SEED = frozenset(
    {
        # The market itself, compared on its own.
        *("candles", "market_seed", "markets_file"),
        # Where things are, who is told, and how fast time goes.
        *("home", "trading_mode", "log_level", "clock_speed", "dagster_port", "dashboard_port"),
        # How the daemon and the beats work once the home lives; lives of what the last step of a seed publishes.
        *("protect_deadline_s", "win_rate_mark", "meta_learner_interval_s", "parameters_from", "sync_overlap_days"),
        *("recommendations_file", "parameters_file", "recommendations_life_s", "parameters_life_s"),
    }
)
"""Any other setting is taken to shape a seed, a new one too until it is named here; addresses of servers never do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedNote:
    """What shapes a seed, in forms that JSON keeps.

    Parameters
    ----------
    settings : mapping
        By field name.
    rules : str
        Digest of the code.
    markets : mapping
        Digest of the filters, by pair.
    start, end : datetime
        The span that is learned from.
    """

    settings: Mapping[str, Any]
    rules: str
    markets: Mapping[str, str]
    start: datetime
    end: datetime

    @classmethod
    def of(cls, settings: Settings, *, markets: Mapping[str, Market], span: tuple[datetime, datetime]) -> Self:
        """Return the note of a seed that begins now."""
        shaping = {name for name in Settings.model_fields if name not in _SHAPES_NO_SEED and not ("_db_" in name or "influx" in name)}
        return cls(
            settings=settings.model_dump(mode="json", include=shaping),
            rules=_rules_digest(),
            markets={pair: hashlib.sha256(repr(market).encode()).hexdigest()[:16] for pair, market in sorted(markets.items())},
            start=span[0],
            end=span[1],
        )

    def differences(self, other: SeedNote) -> list[str]:
        """Name what was so here and is otherwise there: settings; where they are the same, code and filters of pairs."""
        names = [name for name in sorted({*self.settings, *other.settings}) if self.settings.get(name) != other.settings.get(name)]
        if names:
            return [f"BOT3_{name.upper()} was {self.settings.get(name)}, is {other.settings.get(name)}" for name in names]
        code = [] if self.rules == other.rules else ["the code of the platform is another"]
        pairs = [pair for pair in sorted({*self.markets, *other.markets}) if self.markets.get(pair) != other.markets.get(pair)]
        return code + [f"{pair} or its filters are others" for pair in pairs]


def note_seed(settings: Settings, note: SeedNote) -> None:
    """Note the market of a home (`settings_of_home` has compared it) and what its seed is made of."""
    path = settings.home / _FILE
    seed = {
        "settings": note.settings,
        "rules": note.rules,
        "markets": note.markets,
        "start": note.start.isoformat(),
        "end": note.end.isoformat(),
    }
    facts = {"candles": _directories(settings), "market_seed": settings.market_seed, "seed": seed}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    path.with_suffix(".new").replace(path)


def noted_seed(home: Path) -> SeedNote | None:
    """Return what a home's seed was begun with; None where none was.

    Raises
    ------
    StoreError
        If the note cannot be read.
    """
    path = home / _FILE
    return _read(path).seed if path.exists() else None


def require_same_seed(home: Path, note: SeedNote) -> None:
    """Raise SettingsError if a stopped seed would go on as another one: two histories would become one in silence."""
    begun = noted_seed(home)
    differences = ["no note of what it was begun with was kept"] if begun is None else begun.differences(note)
    if differences:
        raise SettingsError(
            f"the seed of {home} cannot go on as it was begun: {'; '.join(differences)}; set that back, or begin anew: remove that "
            "directory, or set BOT3_HOME to another one"
        )


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
    made_of = list(facts.candles)
    if settings.candles and _directories(settings) != made_of:
        raise SettingsError(
            f"{settings.home} was made of {', '.join(made_of) or 'the simulated market'}, not of BOT3_CANDLES={settings.candles}: "
            "leave BOT3_CANDLES out, or set BOT3_HOME to another directory"
        )
    if not made_of and settings.market_seed != facts.market_seed:
        raise SettingsError(
            f"{settings.home} was made of the simulated market of seed {facts.market_seed}, BOT3_MARKET_SEED is {settings.market_seed}: "
            "leave it out, or set BOT3_HOME to another directory"
        )
    return settings.model_copy(update={"candles": os.pathsep.join(made_of)})


def _directories(settings: Settings) -> list[str]:
    return [str(directory.resolve()) for directory in settings.candle_directories]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    candles: tuple[str, ...]
    market_seed: int
    seed: SeedNote | None


def _read(path: Path) -> _Facts:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        seed = facts.get("seed")
        return _Facts(
            candles=tuple(str(part) for part in facts["candles"]),
            market_seed=int(facts["market_seed"]),
            seed=None if seed is None else _seed_of(seed),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read ({type(error).__name__}): seed a home anew with `bot3 init`") from error


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
    """Return a digest of the code that a seed passes through: rules carry no versions of their own."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for room in _ROOMS for path in (package / room).rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
