"""Render an audit as one HTML file that works without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

from bot3.cli.audit_tables import (
    GROUP_COLUMNS,
    PARAMETER_COLUMNS,
    PARAMETER_TITLE,
    SEVERAL_TITLE,
    figure_rows,
    group_cells,
    group_tables,
    parameter_cells,
    several_rows,
    shown_parameters,
    unused_cells,
)
from bot3.cli.audit_words import left_out_words, verdict_words, warnings_of
from bot3.usecases.audit.report import AuditReport, GroupComparison

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1c1c1c; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
.verdict { font-size: 1.15rem; padding: .8rem 1rem; background: #f0f3f7; border-left: 4px solid #3d5a80; }
.note { color: #7a4a00; }
"""
_COLOURS = {"realised": "#8d99ae", "static": "#b56576", "learned": "#3d5a80"}


def audit_page(report: AuditReport) -> str:
    """Return the HTML page with all tables and figures; it includes plotly's script if it has a figure."""
    figures = [figure for figure in (_days_figure(report), _gains_figure(report)) if figure is not None]
    parts = [
        f"<h1>Audit of {escape(report.database)}</h1>",
        f"<p class='verdict'>{escape(verdict_words(report))}</p>",
        *(f"<p>{escape(text)}</p>" for text in (left_out_words(report),) if text is not None),
        *(f"<p class='note'>{escape(warning)}</p>" for warning in warnings_of(report)),
        _table("Mean of a trade, net of all costs, ratio of the stake with leverage", ("what", "value"), figure_rows(report)),
        *(_plot(figure, is_first=number == 0) for number, figure in enumerate(figures)),
        *(_table(title, GROUP_COLUMNS, map(group_cells, groups)) for title, groups in group_tables(report)),
        _table("By pair, direction and leverage bin", GROUP_COLUMNS, map(group_cells, report.by_group)),
        _table(PARAMETER_TITLE, PARAMETER_COLUMNS, [parameter_cells(row, report) for row in shown_parameters(report)]),
        *_several(report),
        _table("Trades that could not be used", ("trades", "why", "ids"), map(unused_cells, report.unused)),
    ]
    head = f"<meta charset='utf-8'><title>Audit of {escape(report.database)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _several(report: AuditReport) -> list[str]:
    if report.several_orders is None:
        return []
    return [_table(SEVERAL_TITLE, ("what", "value"), several_rows(report.several_orders))]


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    return f"<h2>{escape(title)}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plot(figure: go.Figure, *, is_first: bool) -> str:
    html: str = pio.to_html(figure, include_plotlyjs=is_first, full_html=False, config={"displaylogo": False})
    return html


def _days_figure(report: AuditReport) -> go.Figure | None:
    """Return a figure of the cumulative profits of the judged trades by day, in stakes; None if no trade was judged.

    The line of the learned settings is left out if too little was learned.
    """
    if not report.days:
        return None
    figure = go.Figure(layout={"title": "Judged trades, sum of net profits (stakes)", "template": "plotly_white", "height": 420})
    days = [outcome.day for outcome in report.days]
    for name, colour in _COLOURS.items():
        if name == "learned" and not report.is_learned:
            continue
        sums = list(accumulate(getattr(outcome, f"{name}_profit") for outcome in report.days))
        figure.add_trace(go.Scatter(x=days, y=sums, name=name, mode="lines+markers", line={"color": colour}))
    return figure


def _gains_figure(report: AuditReport) -> go.Figure | None:
    """Return a figure of the gains by direction, leverage bin and pair, with their intervals.

    Groups without an interval are left out; None if no group has one.
    """
    groups = [group for group in (*report.by_direction, *report.by_bin, *report.by_pair) if group.comparison.gain.lower > -float("inf")]
    if not groups:
        return None
    figure = go.Figure(layout={"title": "Gain of learned over static, of the stake", "template": "plotly_white"})
    figure.add_trace(_gain_bars(groups))
    figure.add_vline(x=0.0, line_color="#888")
    figure.update_layout(height=160 + 26 * len(groups), xaxis_tickformat="+.2%", yaxis={"autorange": "reversed"})
    return figure


def _gain_bars(groups: Sequence[GroupComparison]) -> go.Scatter:
    gains = [group.comparison.gain for group in groups]
    return go.Scatter(
        x=[gain.mean for gain in gains],
        y=[group.key for group in groups],
        mode="markers",
        marker={"color": _COLOURS["learned"], "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [gain.upper - gain.mean for gain in gains],
            "arrayminus": [gain.mean - gain.lower for gain in gains],
        },
    )
