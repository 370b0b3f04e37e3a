"""The stores of a home that a backup contains, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from bot3.errors import SettingsError
from bot3.settings import BOT_NAMES, Settings
from bot3.wiring.databases import server_url

if TYPE_CHECKING:
    from bot3.adapters.backup.postgres import PostgresBackup
    from bot3.adapters.backup.sqlite import HomeBackup
    from bot3.ports.backup import StoreBackup

_DAGSTER = "dagster"


def store_backups(settings: Settings, environment: Mapping[str, str]) -> Sequence[Sequence[StoreBackup]]:
    """Return all stores of a home in the order in which they are copied, in groups that are copied as of one instant.

    A store that is derived from another one is copied before it: Dagster's storage, then the record, then the bots' databases. What happens
    in between is then only missing in the derived store, and is synced and reported again after a restore. A bot's database is locked while
    its paper account is copied. The file that marks a home as seeded is last: after an interrupted restore the home counts as not seeded.

    Parameters
    ----------
    environment : mapping
        Environment variables: DAGSTER_PG_* name Dagster's database on a server; without them its storage is in the home.

    Raises
    ------
    SettingsError
        If the password file of Dagster's database cannot be read.
    """
    files = ("history", "models", "signals", "influx", "market.json", "HALT", "latches", *_published(settings))
    groups: list[list[StoreBackup]] = [[_dagster(settings, environment)], [_platform(settings)]]
    groups += [[_bot(settings, name), _account(settings, name)] for name in BOT_NAMES]
    groups += [[_files(settings, "files", *files)], [_home(settings, "mark", "home.json")]]
    return groups


def _platform(settings: Settings) -> StoreBackup:
    url = server_url(settings, "platform")
    return _server("platform", url) if url else _home(settings, "platform", "platform.sqlite", "control.sqlite")


def _bot(settings: Settings, name: str) -> StoreBackup:
    url = server_url(settings, name)
    return _server(name, url) if url else _home(settings, name, f"bots/{name}.sqlite")


def _account(settings: Settings, name: str) -> StoreBackup:
    return _files(settings, f"{name}-account", f"exchange/{name}.sqlite")


def _dagster(settings: Settings, environment: Mapping[str, str]) -> StoreBackup:
    host = environment.get("DAGSTER_PG_HOST")
    if not host:
        return _files(settings, _DAGSTER, _DAGSTER)
    url = URL.create(
        "postgresql+psycopg",
        username=environment.get("DAGSTER_PG_USER", _DAGSTER),
        password=_dagster_password(environment),
        host=host,
        port=int(environment.get("DAGSTER_PG_PORT", "5432")),
        database=environment.get("DAGSTER_PG_DB", _DAGSTER),
    )
    return _server(_DAGSTER, url.render_as_string(hide_password=False))


def _dagster_password(environment: Mapping[str, str]) -> str | None:
    path = environment.get("DAGSTER_PG_PASSWORD_FILE")
    if path is None:
        return environment.get("DAGSTER_PG_PASSWORD")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"DAGSTER_PG_PASSWORD_FILE names {path}, which cannot be read: {error.strerror}") from error


def _published(settings: Settings) -> list[str]:
    """Return the paths of the JSON files of published values that are in the home (relative paths)."""
    return [str(path) for path in (settings.parameters_file, settings.recommendations_file) if not path.is_absolute()]


def _home(settings: Settings, name: str, *needed: str) -> HomeBackup:
    from bot3.adapters.backup.sqlite import HomeBackup  # noqa: PLC0415  # only a backup needs it

    return HomeBackup(name=name, home=settings.home, needed=needed)


def _files(settings: Settings, name: str, *wanted: str) -> HomeBackup:
    from bot3.adapters.backup.sqlite import HomeBackup  # noqa: PLC0415  # only a backup needs it

    return HomeBackup(name=name, home=settings.home, wanted=wanted)


def _server(name: str, url: str) -> PostgresBackup:
    from bot3.adapters.backup.postgres import PostgresBackup  # noqa: PLC0415  # only a backup of a server needs it

    return PostgresBackup(name=name, url=url)
