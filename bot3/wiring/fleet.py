"""The fleet file, which lists bots of other programs; their databases are read and never written."""

from __future__ import annotations

import hashlib
import re
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.engine import URL

from bot3.errors import SettingsError
from bot3.settings import BOT_NAMES, Settings
from bot3.trading.trades import DIRECTIONS, RunMode
from bot3.wiring.publishing import buckets_of

if TYPE_CHECKING:
    from bot3.usecases.fleet.foreign_sources import ClosableReader, UnreliableReader

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,31}$"
"""Pattern of a bot's name, which is used as a partition key, as a tag and in bucket names: these characters are valid in all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetBot:
    """One bot of the fleet file.

    Parameters
    ----------
    url : str
        Path of a SQLite file, or a PostgreSQL URL with its password.
    shown : str
        The same without the password, for messages.
    source_timezone : str
        Time zone of the dates in the database.
    directions : tuple of str
        Directions that the bot trades: "long", "short" or both, sorted.
    password_file : Path or None
        File that the password was read from; None without one.
    """

    name: str
    url: str = field(repr=False)
    shown: str
    run_mode: RunMode
    source_timezone: str
    directions: tuple[str, ...]
    password_file: Path | None


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(pattern=NAME_PATTERN)
    url: str = Field(min_length=1)
    run_mode: Literal["paper", "live"]
    password_file: Path | None = None
    db_schema: str | None = Field(None, alias="schema", min_length=1, max_length=63)
    source_timezone: str = "UTC"
    directions: tuple[Literal["long", "short"], ...] = Field(DIRECTIONS, min_length=1)  # type: ignore[arg-type]  # the same two words


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    bots: tuple[_Entry, ...] = Field(min_length=1)


def fleet_of(settings: Settings) -> tuple[FleetBot, ...]:
    """Return the bots of the fleet file that the settings name; an empty tuple if they name none.

    Raises
    ------
    SettingsError
        If the file cannot be read, or a bot in it is invalid; the text names file, bot and field, never a password.
    """
    if settings.fleet_file is None:
        return ()
    bots = read_fleet(settings.fleet_file)
    for bot in bots:
        try:
            require_bucket(settings, bot.name)
        except SettingsError as error:
            raise SettingsError(f"{settings.fleet_file}: {error}") from None
    return bots


def source_names(settings: Settings) -> tuple[str, ...]:
    """Return the names of all bots whose trades are synced: the platform's own, then those of the fleet file, each once."""
    return tuple(dict.fromkeys((*BOT_NAMES, *(bot.name for bot in fleet_of(settings)))))


def require_name(name: str) -> None:
    """Raise SettingsError if a text is not a valid name of a bot (`NAME_PATTERN`)."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise SettingsError(f"{name!r} is not a valid bot name: use at most 32 letters, digits, - and _, beginning with a letter")


def require_bucket(settings: Settings, name: str) -> None:
    """Raise SettingsError for a bot whose trades would be published to the InfluxDB bucket of another bot, as BOT33 to that of BOT3."""
    buckets_of(settings).of_bot(name)


def read_fleet(path: Path) -> tuple[FleetBot, ...]:
    """Return the bots of a fleet file. Raises SettingsError as `fleet_of`; bucket names are not checked."""
    entries = _parsed(path).bots
    for place, entry in enumerate(entries):
        _require_free(path, entry, earlier=entries[:place])
    return tuple(_bot(path, entry) for entry in entries)


def open_fleet(bots: Sequence[FleetBot], *, monotonic: Callable[[], float] = time.monotonic) -> list[UnreliableReader]:
    """Return a reader of each bot's database, in the same order; a reader connects at its first query."""
    from bot3.usecases.fleet.foreign_sources import UnreliableReader  # noqa: PLC0415  # heavy

    return [
        UnreliableReader(bot=bot.name, run_mode=bot.run_mode, store_id=_identity(bot), connect=partial(_connect, bot), monotonic=monotonic)
        for bot in bots
    ]


def zone_of(bot: FleetBot) -> str | None:
    """Return the time zone in which a bot's PostgreSQL database writes dates; None for SQLite, where dates are in UTC.

    Raises StoreError if the database cannot be queried.
    """
    from bot3.adapters.freqtrade.time_zone import writers_zone  # noqa: PLC0415  # heavy

    return writers_zone(bot.url)


def _connect(bot: FleetBot) -> ClosableReader:
    from bot3.adapters.freqtrade.columns import FreqtradeColumns  # noqa: PLC0415  # heavy

    return FreqtradeColumns.open(bot.url, bot=bot.name, run_mode=bot.run_mode, source_timezone=bot.source_timezone)


def _identity(bot: FleetBot) -> str:
    return hashlib.blake2s(f"{bot.name}|{bot.run_mode}|{bot.shown}".encode(), digest_size=12).hexdigest()


def _parsed(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"BOT3_FLEET_FILE names {path}, which cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML ({error}): see docs/fleet.md for an example") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {_explained(error)} (docs/fleet.md lists the fields)") from None


def _explained(error: ValidationError) -> str:
    return "; ".join(
        f"{' '.join(str(part + 1) if isinstance(part, int) else part for part in item['loc'])}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _require_free(path: Path, entry: _Entry, *, earlier: Sequence[_Entry]) -> None:
    if any((entry.name, entry.run_mode) == (other.name, other.run_mode) for other in earlier):
        raise SettingsError(f"{path} names {entry.name} with run_mode {entry.run_mode} twice: remove one, or give it another name")
    if entry.name in BOT_NAMES and RunMode(entry.run_mode) is RunMode.PAPER:
        raise SettingsError(
            f'{path}: paper trades of {entry.name} are this platform\'s own; rename the bot, or set run_mode = "live" if they are'
        )


def _bot(path: Path, entry: _Entry) -> FleetBot:
    where = f"{path}: {entry.name}"
    try:
        ZoneInfo(entry.source_timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"{where}: source_timezone {entry.source_timezone!r} is not a time zone: set Europe/Berlin or UTC") from error
    url, shown = _address(where, entry, folder=path.parent)
    return FleetBot(
        name=entry.name,
        url=url,
        shown=shown,
        run_mode=RunMode(entry.run_mode),
        source_timezone=entry.source_timezone,
        directions=tuple(sorted(set(entry.directions))),
        password_file=None if entry.password_file is None else path.parent / entry.password_file,
    )


def _address(where: str, entry: _Entry, *, folder: Path) -> tuple[str, str]:
    """Return the URL of a database, and the same without a password; relative paths are relative to the fleet file's directory."""
    from bot3.adapters.sql.urls import has_secret, parsed_url, server_url, shown_url  # noqa: PLC0415  # heavy

    try:
        url = parsed_url(entry.url) if "://" in entry.url else URL.create("sqlite", database=entry.url)
    except SettingsError as error:
        raise SettingsError(f"{where}: url is neither a file nor a URL: set tradesv3.sqlite or postgresql://user@host/name") from error
    backend = url.drivername.partition("+")[0]
    if backend == "sqlite" and url.database:
        if entry.db_schema is not None:
            raise SettingsError(f"{where}: schema is only valid with a PostgreSQL url: a SQLite file has none, remove the line")
        file = str(folder / url.database)
        return file, file
    if backend not in {"postgresql", "postgres"}:
        raise SettingsError(f"{where}: a database is SQLite or PostgreSQL, not {backend}: `freqtrade convert-db` copies it to one of them")
    if has_secret(url):
        raise SettingsError(f"{where}: url contains a password: write it to a file and name that as password_file")
    try:
        # A URL without a schema is not changed: the identity of the source is computed from it.
        url = url if entry.db_schema is None else server_url(url, schema=entry.db_schema)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
    with_password = url if entry.password_file is None else url.set(password=_password(where, folder / entry.password_file))
    return with_password.render_as_string(hide_password=False), shown_url(url)


def _password(where: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{where}: password_file {file} cannot be read: {error.strerror}") from error
    if not text:
        raise SettingsError(f"{where}: password_file {file} is empty")
    return text
