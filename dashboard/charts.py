"""Draw charts with fixed heights and few points; colours can be distinguished by colour-blind readers and are never the only mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bot3.market.regimes import Regime
from bot3.trading.figures import thinned
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ANY, ExitParameters
from bot3.trading.recommendations import FeederScore
from bot3.trading.trade_classes import class_parts
from bot3.usecases import formatting as fmt

BLUE, ORANGE, TEAL, GREY = "#2f6fb5", "#d5761c", "#1f8a7d", "#707b89"
LINE_POINTS = 600
_DASHES = ("solid", "dash", "dot")
_BOT_COLOURS = (BLUE, ORANGE, TEAL)
_REGIME_COLOURS = {
    Regime.BULL_TRENDING: BLUE,
    Regime.BEAR_TRENDING: ORANGE,
    Regime.SIDEWAYS: "#b9c2cd",
    Regime.VOLATILE: "#8a5fb0",
}
_PERCENT = ".2%"


def equity_chart(curves: Mapping[str, pd.DataFrame], *, wallet_abs: float, currency: str) -> go.Figure:
    """Draw the equity after each closed trade, one line per bot, and the wallet at the start.

    Parameters
    ----------
    curves : mapping
        Bot to a frame with columns close_date and equity_abs; long ones are thinned to `LINE_POINTS` points.
    wallet_abs : float
        Wallet of a bot at the start, in `currency`.
    """
    figure = go.Figure()
    for position, (bot, curve) in enumerate(curves.items()):
        kept = curve.iloc[thinned(curve["equity_abs"].to_numpy(dtype=np.float64), points=LINE_POINTS)] if len(curve) else curve
        line = {"shape": "hv", "width": 2, "color": _BOT_COLOURS[position % 3], "dash": _DASHES[position % 3]}
        figure.add_scatter(x=kept["close_date"], y=kept["equity_abs"], mode="lines", name=bot, line=line)
    figure.add_hline(
        y=wallet_abs,
        line={"color": GREY, "width": 1, "dash": "dot"},
        annotation_text="wallet at the start",
        annotation_position="bottom right",
    )
    figure.update_yaxes(title_text=f"equity after closes, {currency}", tickformat=",.0f")
    return _laid_out(figure, height=340, x_title="market time, UTC")


def profit_chart(close_profit: pd.Series[float]) -> go.Figure:
    """Draw a histogram of close profits (ratios of the stake, at least one) in 40 bins from the 1st to the 99th percentile.

    The first and the last bin include the profits beyond.
    """
    values = close_profit.to_numpy(dtype=np.float64)
    low, high = np.quantile(values, [0.01, 0.99])
    edges = np.linspace(low, high if high > low else low + 0.01, 41)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
    middles = (edges[:-1] + edges[1:]) / 2.0
    colours = [BLUE if middle >= 0.0 else ORANGE for middle in middles]
    figure = go.Figure(go.Bar(x=middles, y=counts, marker={"color": colours}, width=float(edges[1] - edges[0]) * 0.95))
    figure.add_vline(x=0.0, line={"color": GREY, "width": 1})
    figure.update_xaxes(tickformat=_PERCENT)
    figure.update_yaxes(title_text="closes")
    return _laid_out(figure, height=260, x_title="profit after costs, ratio of the stake")


def levels_chart(rows: Sequence[ExitParameters], *, stop_loss: float, take_profit: float) -> go.Figure:
    """Draw the learned stop and target of each group, and lines at the static ones; all are ratios of the stake."""
    names = [_short(row) for row in rows]
    hover = [f"{fmt.evidence(row.trades_count, row.n_eff)}, {row.state.value}" for row in rows]
    figure = go.Figure()
    levels = (
        ("learned target", [row.take_profit_target for row in rows], BLUE, "triangle-up"),
        ("learned stop", [row.stop_loss for row in rows], ORANGE, "triangle-down"),
    )
    for name, values, colour, symbol in levels:
        texts = [f"{value * 100:+.1f} %" for value in values]
        figure.add_scatter(
            x=names,
            y=values,
            mode="markers+text",
            text=texts,
            textposition="middle right",
            name=name,
            marker={"color": colour, "size": 11, "symbol": symbol},
            hovertext=hover,
        )
    for value, name in ((take_profit, "static target"), (stop_loss, "static stop")):
        figure.add_hline(
            y=value,
            line={"color": GREY, "width": 1, "dash": "dash"},
            annotation_text=f"{name} {value * 100:+.1f} %",
            annotation_position="top left",
        )
    figure.update_xaxes(type="category", range=[-0.7, len(rows) - 0.4])
    figure.update_yaxes(tickformat=".0%", title_text="ratio of the stake", zeroline=True)
    return _laid_out(figure, height=360, x_title="leverage bin" if rows and rows[0].leverage_bin != "*" else "")


def expectancy_chart(names: Sequence[str], rows: Sequence[ExitParameters] | Sequence[FeederScore]) -> go.Figure:
    """Draw the posterior expectancies of groups or feeders with their 90 % intervals, the first row at the top."""
    middle = [row.expectancy for row in rows]
    above = [row.upper_bound - row.expectancy for row in rows]
    below = [row.expectancy - row.lower_bound for row in rows]
    error = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": GREY, "thickness": 2}
    figure = go.Figure(
        go.Scatter(x=middle, y=list(names), mode="markers", error_x=error, marker={"color": BLUE, "size": 9}, name="expectancy")
    )
    figure.add_vline(x=0.0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_yaxes(type="category", autorange="reversed")
    figure.update_xaxes(tickformat=_PERCENT)
    return _laid_out(
        figure, height=max(200, 90 + 30 * len(names)), x_title="net expectancy a trade, ratio of the price; bar: 90 % interval"
    )


def history_chart(history: pd.DataFrame) -> go.Figure:
    """Draw the stop and target of one group over market time (columns known_at, stop_loss, take_profit_target, trades_count)."""
    figure = go.Figure()
    for column, name, colour, dash in (("take_profit_target", "target", BLUE, "solid"), ("stop_loss", "stop", ORANGE, "dash")):
        kept = history.iloc[thinned(history[column].to_numpy(dtype=np.float64), points=LINE_POINTS)]
        hover = [f"n {n:,}" for n in kept["trades_count"]]
        figure.add_scatter(
            x=kept["known_at"], y=kept[column], mode="lines+markers", name=name, hovertext=hover, marker={"size": 5},
            line={"shape": "hv", "color": colour, "dash": dash},
        )  # fmt: skip
    figure.update_yaxes(tickformat=".1%", title_text="ratio of the stake")
    return _laid_out(figure, height=300, x_title="known at, market time, UTC")


def regime_chart(states: pd.DataFrame, index: pd.Series[Any] | None) -> go.Figure:
    """Draw the market index, and below it the regime probabilities as known at each time, stacked to 1.

    Parameters
    ----------
    states : DataFrame
        Columns known_at and p_* of each regime; at most `LINE_POINTS` rows.
    index : Series or None
        Market index by time, 100 at its start; None draws no index.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.5, 0.5], vertical_spacing=0.06)
    if index is not None:
        kept = index.iloc[thinned(index.to_numpy(dtype=np.float64), points=LINE_POINTS)]
        figure.add_scatter(x=kept.index, y=kept, mode="lines", name="market index", line={"color": "#1c2430", "width": 1.5}, row=1, col=1)
    for regime, colour in _REGIME_COLOURS.items():
        figure.add_scatter(
            x=states["known_at"], y=states[f"p_{regime.value}"], name=regime.value.replace("_", " "), stackgroup="regimes", mode="lines",
            line={"width": 0.5, "color": colour}, fillcolor=colour, row=2, col=1,
        )  # fmt: skip
    figure.update_yaxes(title_text="index, 100 at the left", row=1, col=1)
    figure.update_yaxes(title_text="probability", tickformat=".0%", range=[0, 1], row=2, col=1)
    figure.update_xaxes(title_text="market time, UTC", row=2, col=1)
    return _laid_out(figure, height=480)


def _laid_out(figure: go.Figure, *, height: int, x_title: str = "") -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0},
        hovermode="closest",
    )
    if x_title:
        figure.update_xaxes(title_text=x_title)
    return figure


def _short(row: ExitParameters) -> str:
    name, horizon = class_parts(row.leverage_bin)
    pair = f"{'all' if row.pair == '*' else row.pair.split('/')[0]} {'both' if row.direction == '*' else row.direction}"
    text = pair if name == ANY else f"{name}x"
    return text if horizon is Horizon.DAY else f"{text} {horizon}"
