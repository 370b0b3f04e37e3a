"""Page Trades: the record's closed trades with their figures, and the history of one trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from bot3.trading import figures
from bot3.trading.intervals import MIN_DAYS
from bot3.trading.trades import DIRECTIONS, RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.foreign_text import plain
from bot3.usecases.terms import definition
from dashboard import charts
from dashboard.cells import LEVERAGE, RATE, RATIO, money_columns
from dashboard.decisions import show_untraded
from dashboard.home import DashboardHome
from dashboard.page import banner, missing, table
from dashboard.stories import show_story

PAGE_ROWS = 100
ANYTHING = "all"
POOLED = "all run modes, pooled"
MODES = {RunMode.PAPER.value: "paper", RunMode.BACKTEST.value: "backtest history", RunMode.LIVE.value: "live", POOLED: POOLED}

_FILTERS = ("bot", "pair", "direction", "leverage_bin", "feeder_id", "exit_reason")
_CELLS = {
    "leverage": LEVERAGE,
    "open rate": RATE,
    "close rate": RATE,
    "profit of the stake": RATIO,
}


def render(home: DashboardHome) -> None:
    """Show the page Trades."""
    st.title("Trades")
    everything, revision = home.trades.frame()
    if everything.empty:
        missing("The record holds no closed trade.", "`bot3 init` makes the bots' histories; while `bot3 up` runs, closes are synced.")
        return
    mode, chosen = _show_filters(everything, home)
    found = filtered(everything, mode=mode, chosen=chosen)
    source = f"from the record {home.ports.record.store_id[:8]}, revision {revision}, synced from the bots' own databases, or imported"
    if found.empty:
        missing(f"No close matches among {MODES[mode]}.", _remedy(everything, mode=mode))
        return
    _show_figures(found, mode=mode, source=source, win_rate_mark=home.settings.win_rate_mark)
    _show_rows(found, revision=revision)
    _show_selected(everything, home)
    with banner("The bots' stores"):
        show_untraded(home, key="trades")


def filtered(trades: pd.DataFrame, *, mode: str, chosen: Mapping[str, str]) -> pd.DataFrame:
    """Return the trades of one run mode, or of all for `POOLED`, that match every filter, newest close first.

    `chosen` maps a column to the value that it must have; `ANYTHING` matches every value.
    """
    kept = pd.Series(data=True, index=trades.index) if mode == POOLED else trades["run_mode"] == mode
    for column, value in chosen.items():
        if value != ANYTHING:
            kept &= trades[column] == value
    return trades[kept].iloc[::-1]


def _remedy(everything: pd.DataFrame, *, mode: str) -> str:
    if mode != POOLED and not (everything["run_mode"] == mode).any():
        there = ", ".join(MODES[str(value)] for value in sorted(everything["run_mode"].unique()))
        return f"The record holds closes of: {there}. The daemon makes paper closes while `bot3 up` runs."
    return "Widen the filters."


def _show_filters(everything: pd.DataFrame, home: DashboardHome) -> tuple[str, dict[str, str]]:
    options: dict[str, Sequence[str]] = {
        "bot": [*home.ports.bot_names, *sorted(set(everything["bot"]) - set(home.ports.bot_names))],
        "pair": sorted(everything["pair"].unique()),
        "direction": DIRECTIONS,
        "leverage_bin": (*home.settings.bins.names, *home.settings.bins.outside),
        "feeder_id": sorted(everything["feeder_id"].unique()),
        "exit_reason": sorted(everything["exit_reason"].dropna().unique()),
    }
    columns = st.columns(len(_FILTERS) + 1)
    mode = columns[0].selectbox("run mode", list(MODES), format_func=MODES.__getitem__, key="mode", bind="query-params")
    chosen = {}
    for column, name in zip(columns[1:], _FILTERS, strict=True):
        label = name.removesuffix("_id").replace("_", " ")
        chosen[name] = str(column.selectbox(label, [ANYTHING, *options[name]], key=name, bind="query-params"))
    return str(mode), chosen


def _show_figures(found: pd.DataFrame, *, mode: str, source: str, win_rate_mark: float) -> None:
    of = figures.summary(found)
    n, mean = fmt.evidence(of.n), of.mean_profit
    cells = (
        ("Closes", fmt.count(of.n), f"{MODES[mode]}, on {of.days} UTC days"),
        (
            "Win rate",
            fmt.share(of.win_rate.value),
            f"{n}, 90 %: {fmt.share_interval(of.win_rate.low, of.win_rate.high)}, mark {fmt.share(win_rate_mark)}",
        ),
        (
            "Mean profit a trade",
            fmt.ratio(mean.value),
            f"of the stake, unweighted: every trade counts alike, whatever its stake; {n}, 90 %: {fmt.interval(mean.low, mean.high)}",
        ),
    )
    _show_metrics(cells)
    for money in of.money:
        _show_money(money)
    each = found[["bot", "run_mode"]].drop_duplicates().sort_values(["run_mode", "bot"])
    bots = ", ".join(f"{bot} ({run_mode})" for bot, run_mode in zip(each["bot"], each["run_mode"], strict=True))
    st.caption(
        f"All of these figures cover {plain(bots)}, {source}. A dash is what is not known; intervals need closes on {MIN_DAYS} days, "
        "for money also on enough days that count in stake."
    )
    st.plotly_chart(charts.profit_chart(found["close_profit"]), alt="Distribution of the closes' profit", key="trades_profit")


def _show_metrics(cells: Sequence[tuple[str, str, str]]) -> None:
    for column, (label, value, note) in zip(st.columns(len(cells)), cells, strict=True):
        column.metric(label, value, border=True, help=definition(label))
        column.caption(note)


def _show_money(money: figures.MoneyFigures) -> None:
    currency, n, earned = plain(fmt.currency_name(money.currency)), fmt.evidence(money.n), money.return_on_stake
    stake, mark = plain(fmt.amount(money.stake_abs, money.currency)), fmt.ratio(figures.AVG_PROFIT_MARK)
    _show_metrics(
        (
            (f"Realised, {currency}", fmt.signed(money.profit_abs, money.currency), n),
            (
                f"Return on stake, {currency}",
                fmt.ratio(earned.value),
                f"sum of profit / sum of stake, {stake}, {n}, 90 %: {fmt.interval(earned.low, earned.high)}, mark {mark}",
            ),
            (
                f"Profit factor, {currency}",
                fmt.number(money.profit_factor),
                f"sum of gains / sum of losses, {n}, mark {figures.PROFIT_FACTOR_MARK}",
            ),
        )
    )


def _show_rows(found: pd.DataFrame, *, revision: int) -> None:
    pages = -(-len(found) // PAGE_ROWS)
    left, right = st.columns([4, 1])
    page = 1
    with left:
        if pages > 1:
            page = st.pagination(pages, key="page")
    right.download_button(
        "Download CSV", data=lambda: found.to_csv(index=False), file_name="bot3-trades.csv", mime="text/csv", on_click="ignore"
    )
    rows = found.iloc[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    names = [trade_name(bot, mode, number) for bot, mode, number in zip(rows["bot"], rows["run_mode"], rows["trade_id"], strict=True)]

    def select(positions: list[int]) -> None:
        # The selection is stored by name: at the next rerun newer closes have moved the rows.
        if positions:
            st.query_params["trade"] = names[positions[0]]
        else:
            st.query_params.pop("trade", None)

    money, cells = money_columns(rows)
    key = f"trades_{revision}_{names[0]}_{len(found)}"
    table(_shown(rows, money), cells=_CELLS | cells, alt="Closed trades, newest first", key=key, select=select)
    st.caption(f"Rows {(page - 1) * PAGE_ROWS + 1:,} to {(page - 1) * PAGE_ROWS + len(rows):,} of {len(found):,}, newest close first.")


def trade_name(bot: str, run_mode: str, trade_id: int) -> str:
    """Return the name that identifies a trade in the page's URL, "BOT3-paper-12"."""
    return f"{bot}-{run_mode}-{trade_id}"


def find_trade(trades: pd.DataFrame, name: str) -> pd.Series[Any] | None:
    """Return the trade with a name as in `trade_name`, of several the one that closed last; None if there is none."""
    # A bot of the fleet may have a hyphen in its name.
    bot, mode, number = ["", "", "", *name.rsplit("-", 2)][-3:]
    if not number.isdigit():
        return None
    rows = trades[(trades["bot"] == bot) & (trades["run_mode"] == mode) & (trades["trade_id"] == int(number))]
    return None if rows.empty else rows.iloc[-1]


def _show_selected(everything: pd.DataFrame, home: DashboardHome) -> None:
    name = st.query_params.get("trade", "")
    if not name:
        st.caption("Select a row to read the trade's story; its address can be kept.")
        return
    trade = find_trade(everything, name)
    if trade is None:
        missing(f"The record holds no closed trade {plain(name)}.", "Select a row above.")
        return
    show_story(trade, home)


def _shown(rows: pd.DataFrame, money: Mapping[str, pd.Series[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "closed (UTC)": rows["close_date"].map(fmt.stamp),
            "bot": rows["bot"],
            "mode": rows["run_mode"],
            "trade": rows["trade_id"],
            "pair": rows["pair"],
            "direction": rows["direction"],
            "leverage": rows["leverage"],
            "feeder": rows["feeder_id"],
            "open rate": rows["open_rate"],
            "close rate": rows["close_rate"],
            "profit of the stake": rows["close_profit"],
            **money,
            "why out": rows["exit_reason"],
        }
    )
