"""Parse database URLs: hide their secrets in messages, and preserve the schema and the options in them."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from bot3.errors import SettingsError

_SECRET_KEYS = re.compile(r"pass(word|wd)?$|secret|token", re.IGNORECASE)
_HIDDEN, _QUOTED = "***", "%2A%2A%2A"
_SCHEMA_KEYS = ("currentSchema", "current_schema", "search_path", "schema")
"""Keys under which other programs (JDBC among them) store the schema in a URL; libpq reads only `options`."""
_SPACE = re.compile(r"(?<!\\)\s+")
_SEARCH_PATH = re.compile(r"^(?:-c|--)\s*search[_-]path\s*=(?P<path>.*)$", re.DOTALL | re.IGNORECASE)


def parsed_url(address: str) -> URL:
    """Parse the URL of a database.

    Raises
    ------
    SettingsError
        If the URL is invalid; the message contains no part of it, because a part may be a password.
    """
    try:
        return make_url(address)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "the database address is neither a file nor a valid URL: set it like tradesv3.sqlite or postgresql://user@host/name"
        ) from error


def shown_url(url: URL) -> str:
    """Return a URL with *** in place of its password and of query values whose key names a password, secret or token."""
    query = {key: _HIDDEN if _SECRET_KEYS.search(key) else value for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace(_QUOTED, _HIDDEN)


def has_secret(url: URL) -> bool:
    """Return whether a URL contains a password, or a query key that names a password, secret or token."""
    return url.password is not None or any(map(_SECRET_KEYS.search, url.query))


def server_url(url: URL, *, schema: str | None = None) -> URL:
    """Return a PostgreSQL URL for the driver psycopg, with the schema in `options`.

    Parameters
    ----------
    schema : str, optional
        The schema to read if the URL names none; if it names one, both must be equal.

    Raises
    ------
    SettingsError
        If the URL or the argument names two different schemas.
    """
    named = [str(url.query[key]) for key in _SCHEMA_KEYS if key in url.query]
    named += [] if schema is None else [_quoted(schema)]
    paths = [path for path in (*named, _search_path(url)) if path is not None]
    if len({_first_schema(path) for path in paths}) > 1:
        raise SettingsError(f"{shown_url(url)} names different schemas ({', '.join(paths)}): name only one")
    kept = url.difference_update_query(_SCHEMA_KEYS).set(drivername="postgresql+psycopg")
    if not named:
        return kept
    return kept.update_query_dict({"options": merged_options(kept, f"-c search_path={_escaped(named[-1])}")})


def merged_options(url: URL, ours: str) -> str:
    """Return the `options` of a connection: those of the URL, then the given ones, which override them."""
    theirs = url.query.get("options", "")
    parts = [theirs] if isinstance(theirs, str) else list(theirs)
    return " ".join(part for part in (*parts, ours) if part)


def schema_of(url: URL) -> str | None:
    """Return the first schema of a URL that `server_url` returned; None if it names no schema, or "$user", the user's own one."""
    path = _search_path(url)
    return None if path is None else _first_schema(path)


def _search_path(url: URL) -> str | None:
    """Return the last search path in `options`, which is the effective one; None if there is none."""
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
    # PostgreSQL folds an unquoted name to lower case.
    name = text.split(",")[0].strip().lower() if quoted is None else quoted[1].replace('""', '"')
    return None if name in {"", "$user"} else name


def _quoted(schema: str) -> str:
    doubled = schema.replace('"', '""')
    return f'"{doubled}"'


def _escaped(text: str) -> str:
    return re.sub(r"([\\\s])", r"\\\1", text)
