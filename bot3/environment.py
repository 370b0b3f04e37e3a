"""Read variables of the environment and of a `.env` file, and text files that they name."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from bot3.errors import SettingsError


def named_variables(environment: Mapping[str, str], *, env_file: Path, prefix: str) -> dict[str, str]:
    """Return the variables whose names begin with a prefix, names in upper case; the environment takes precedence over the file.

    Raises
    ------
    SettingsError
        If the file exists and cannot be read as text.
    """
    return _named(_of_file(env_file), prefix=prefix) | _named(environment, prefix=prefix)


def text_of_file(path: Path, *, shown: str) -> str:
    """Return the text of a file. Raises SettingsError, whose text begins with `shown`, if it cannot be read as UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{shown}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Without the cause, which contains the file's content.
        raise SettingsError(f"{shown}: it is not UTF-8 text") from None


def _of_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    text = text_of_file(path, shown=f"{path} cannot be read")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}


def _named(given: Mapping[str, str], *, prefix: str) -> dict[str, str]:
    return {name.upper(): value for name, value in given.items() if name.upper().startswith(prefix)}
