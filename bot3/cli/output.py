"""Print the output of commands: tables for people, one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot3.usecases.foreign_text import visible

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


class PlainConsole(Console):
    """Prints texts as they are: nothing in them is interpreted as markup, emoji name or terminal control sequence."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text to print, in which escape sequences replace control characters except line breaks."""
        return super().render_str(visible(text, keep="\n"), **(options | {"markup": False, "emoji": False}))


messages = PlainConsole(stderr=True, highlight=False, markup=False, emoji=False)
_WIDE = 200  # columns of a table in a file or a pipe, which has no screen width

results = PlainConsole(file=sys.stdout, highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDE)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output; numbers that are not finite are null, times are ISO texts, frames are lists of rows."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, sort_keys=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on standard output; None and NaN are shown as an en dash, times without their zone."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(visible(_shown(cell)) for cell in row))
    results.print(table)


def percent(ratio: float | None, digits: int = 2) -> str:
    """Return 0.0123 as "+1.23 %"; an unknown ratio (None or NaN) as an en dash."""
    return "\N{EN DASH}" if ratio is None or ratio != ratio else f"{ratio:+.{digits}%}".replace("%", " %")  # noqa: PLR0124


def age(then: datetime, *, now: datetime) -> str:
    """Return how long ago a time was, as text: "42 s", "3.1 h"; a time in the future has a minus sign."""
    seconds = (now.astimezone(UTC) - then.astimezone(UTC)).total_seconds()
    for limit, unit, size in ((120, "s", 1), (7_200, "min", 60), (172_800, "h", 3_600)):
        if abs(seconds) < limit:
            return f"{seconds / size:.0f} {unit}" if size < 3_600 else f"{seconds / size:.1f} {unit}"
    return f"{seconds / 86_400:.1f} d"


def _shown(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and cell != cell):  # noqa: PLR0124
        return "\N{EN DASH}"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, pd.DataFrame):
        value = value.to_dict(orient="records")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return None if pd.isna(value) else value.isoformat()
    if isinstance(value, float):
        return value if abs(value) != float("inf") and value == value else None  # noqa: PLR0124
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value) if isinstance(value, Path) or not hasattr(value, "item") else _plain_scalar(value.item())
