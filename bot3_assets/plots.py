"""Render plots as Markdown metadata; Dagster shows such a picture only if its text is short, about a thousand characters."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import dagster as dg

_ROW, _LEFT, _WIDTH, _RIGHT = 14, 60, 330, 24
_MOST_ROWS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One row of a plot: a bar from `low` to `high` with a tick at `mark`, all ratios."""

    label: str
    low: float
    mark: float
    high: float

    @property
    def is_real(self) -> bool:
        """Return whether all values are finite; a row with other values is drawn without a bar, so that its label stays visible."""
        return all(map(math.isfinite, (self.low, self.mark, self.high)))


def plot_intervals(rows: Sequence[Interval], *, title: str) -> dg.MetadataValue:
    """Return a picture of intervals, one below the other, with a line at zero and both ends of the scale; a text if there are no rows.

    Parameters
    ----------
    rows : sequence of Interval
        At most twelve rows are drawn, the first ones. A row with a value that is not finite has a label and no bar.
    title : str
        Alternative text of the picture; its length counts towards the limit.
    """
    if not rows:
        return dg.MetadataValue.md(f"{title}: nothing to show yet")
    picture = base64.b64encode(_drawn(rows[:_MOST_ROWS]).encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{picture})")


def _drawn(rows: Sequence[Interval]) -> str:
    low, high = min([0.0, *(row.low for row in rows if row.is_real)]), max([0.0, *(row.high for row in rows if row.is_real)])
    span = (high - low) or 1.0

    def across(value: float) -> int:
        return _LEFT + round((value - low) / span * _WIDTH)

    bottom = _ROW * len(rows)
    bars, ticks, labels = "", f"M{across(0.0)} 0V{bottom}", ""
    for number, row in enumerate(rows):
        top = number * _ROW
        labels += f'<text y="{top + 11}">{escape(row.label)}</text>'
        if not row.is_real:
            continue
        bars += f"M{across(row.low)} {top + 7}H{across(row.high)}"
        ticks += f"M{across(row.mark)} {top + 3}v8"
    # Every character counts: colours are abbreviated, all bars are one path, all ticks another.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + _RIGHT}" height="{bottom + 16}"'
        f' style="background:#fff;font:11px Arial">{labels}'
        f'<path d="{bars}" stroke="#69c" stroke-width="4"/><path d="{ticks}" stroke="#000"/>'
        f'<text x="{_LEFT}" y="{bottom + 12}">{low:.2%}</text><text x="{_LEFT + _WIDTH - 20}" y="{bottom + 12}">{high:.2%}</text></svg>'
    )
