"""Addresses of databases: how they are shown without secrets, and how the schema and the options in them are kept."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bot3.errors import SettingsError

_SECRET_KEYS = re.compile(r"pass(word|wd)?$|secret|token", re.IGNORECASE)
_HIDDEN, _QUOTED = "***", "%2A%2A%2A"
_SCHEMA_KEYS = ("currentSchema", "current_schema", "search_path", "schema")
"""Names under which other programs (JDBC among them) keep the schema in an address; libpq knows only `options`."""
_SPACE = re.compile(r"(?<!\\)\s+")
_SEARCH_PATH = re.compile(r"^(?:-c|--)\s*search[_-]path\s*=(?P<path>.*)$", re.DOTALL | re.IGNORECASE)


def parsed_url(address: str) -> URL:
    """Return the address of a database.

    Raises
    ------
    SettingsError
        If it is not one; the text holds nothing of it, for a part may be a password.
    """
    try:
        return make_url(address)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "the address of the database is neither a file nor a URL: write tradesv3.sqlite or postgresql://user@host/name"
        ) from error


def shown_url(url: URL) -> str:
    """Return an address without its secrets, wherever they are in it."""
    query = {key: _HIDDEN if _SECRET_KEYS.search(key) else value for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace(_QUOTED, _HIDDEN)


def has_secret(url: URL) -> bool:
    """Say whether an address carries a password, as a part of its own or in its query."""
    return url.password is not None or any(map(_SECRET_KEYS.search, url.query))


def server_url(url: URL, *, schema: str | None = None) -> URL:
    """Return a PostgreSQL address as psycopg takes it: one driver, and the schema in `options`.

    Parameters
    ----------
    schema : str, optional
        The schema to read, for an address that names none.

    Raises
    ------
    SettingsError
        If two schemas are named that differ.
    """
    named = [str(url.query[key]) for key in _SCHEMA_KEYS if key in url.query]
    named += [] if schema is None else [_quoted(schema)]
    paths = [path for path in (*named, _search_path(url)) if path is not None]
    if len({_first_schema(path) for path in paths}) > 1:
        raise SettingsError(f"{shown_url(url)} names different schemas ({', '.join(paths)}): keep one")
    kept = url.difference_update_query(_SCHEMA_KEYS).set(drivername="postgresql+psycopg")
    if not named:
        return kept
    return kept.update_query_dict({"options": merged_options(kept, f"-c search_path={_escaped(named[-1])}")})


def merged_options(url: URL, ours: str) -> str:
    """Return the `options` of a connection: those of the address, then ours, which count where both set one."""
    theirs = url.query.get("options", "")
    parts = [theirs] if isinstance(theirs, str) else list(theirs)
    return " ".join(part for part in (*parts, ours) if part)


def schema_of(url: URL) -> str | None:
    """Return the schema that an address of `server_url` names first; None if it names none, or the one of its user."""
    path = _search_path(url)
    return None if path is None else _first_schema(path)


def _search_path(url: URL) -> str | None:
    """Return the last search path that `options` sets: it is the one in force."""
    words = _SPACE.split(merged_options(url, "").strip())
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "-c":
            joined[-1] = f"-c{word}"
        else:
            joined.append(word)
    found = [match["path"] for match in map(_SEARCH_PATH.match, joined) if match is not None]
    return re.sub(r"\\(.)", r"\1", found[-1], flags=re.DOTALL) if found else None


def _first_schema(path: str) -> str | None:
    text = path.strip()
    quoted = re.match(r'"((?:[^"]|"")+)"', text)
    # PostgreSQL folds what is not quoted.
    name = text.split(",")[0].strip().lower() if quoted is None else quoted[1].replace('""', '"')
    return None if name in {"", "$user"} else name


def _quoted(schema: str) -> str:
    doubled = schema.replace('"', '""')
    return f'"{doubled}"'


def _escaped(text: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", text)
