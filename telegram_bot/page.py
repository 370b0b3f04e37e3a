"""Render an answer (a title, texts and tables) as Telegram HTML that fits in one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LIMIT = 4_096
"""Longest message in UTF-16 code units; HTML tags and escapes do not count."""
_CELL = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: `head` are the column titles; the first column is left-aligned, the others right-aligned; `note` is shown below the rows."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer: a title, texts and tables, and `foot`, lines that name source and time of the figures.

    If the answer is too long, blocks are cut first; `foot` is cut only if it is longer than a quarter of the limit.
    """

    title: str
    blocks: tuple[str | Table, ...]
    foot: tuple[str, ...] = ()


def rendered(page: Page) -> str:
    """Return a page as HTML of at most `LIMIT`; blocks that do not fit are cut from the end, and a note is added."""
    title, foot = _short(page.title, LIMIT // 8), _short("\n".join(page.foot), LIMIT // 4)
    parts, left = [f"<b>{escape(title)}</b>"], LIMIT - _units(title) - _units(foot) - _units(_CUT) - 4
    for block in page.blocks:
        html, taken = _table(block, left) if isinstance(block, Table) else _text(block, left)
        parts.append(html)
        if taken is None:
            parts.append(_CUT)
            break
        left -= taken
    return "\n".join([*parts, *([f"<i>{escape(foot)}</i>"] if foot else [])])


_CUT = "… the rest does not fit in one message"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _short(text: str, limit: int) -> str:
    # `errors="ignore"` drops half of a surrogate pair at the cut.
    return text if _units(text) <= limit else text.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", errors="ignore") + "…"


def _text(text: str, left: int) -> tuple[str, int | None]:
    if _units(text) + 1 > left:
        return escape(_short(text, max(left - 2, 1))), None
    return escape(text), _units(text) + 1


def _table(table: Table, left: int) -> tuple[str, int | None]:
    lines, note = _aligned(table), f"\n{table.note}" if table.note else ""
    kept = len(lines)
    while kept > 1 and _units("\n".join(lines[:kept]) + note) + 2 > left:
        kept -= 1
    text = "\n".join(lines[:kept])
    html = f"<pre>{escape(text)}</pre>{escape(note)}"
    return html, _units(text + note) + 2 if kept == len(lines) else None


def _aligned(table: Table) -> list[str]:
    rows: Sequence[Sequence[str]] = [[_short(cell.replace("\n", " "), _CELL) for cell in row] for row in (table.head, *table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.head))]
    return [_line(row, widths) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = [
        cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return " ".join([first, *others]).rstrip()
