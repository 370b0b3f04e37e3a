"""Show the history of one trade: its result, the values that it was opened with, the parameters used, and its orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from bot3.trading.currencies import stake_currency
from bot3.trading.orders import ENTRY_CONTEXT, Intent, IntentLeg
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.foreign_text import plain
from dashboard.home import DashboardHome
from dashboard.page import banner, missing, table

_TELLERS: Mapping[str, Callable[[float], str]] = {
    "confidence": lambda value: fmt.share(value, 1),
    "sigma": lambda value: f"{fmt.share(value, 2)} of the price over the horizon",
    "stop_loss": lambda value: f"{fmt.ratio(value)} of the stake",
    "stop_rate": fmt.rate,
    "take_profit_rate": fmt.rate,
    "giveback_activation_move": lambda value: f"{fmt.ratio(value)} of the price",
    "giveback_share": fmt.share,
    "break_even_activation_move": lambda value: f"{fmt.ratio(value)} of the price",
}


def show_story(trade: pd.Series[Any], home: DashboardHome) -> None:
    """Show the history of a closed trade, given as a row of the record's trade frame.

    Orders and decision are shown only of paper and backtest trades of own bots, if their database contains them.
    """
    bot, mode = str(trade["bot"]), RunMode(trade["run_mode"])
    st.subheader(f"{bot}, {mode.value} trade {trade['trade_id']}")
    st.markdown(sentence(trade))
    if bot not in home.ports.bot_names or mode is RunMode.LIVE:
        missing("No orders and no decision are shown of this trade.", f"{bot}'s own database is only read for its trades (docs/fleet.md).")
        return
    with banner(f"The store of {bot}"):
        store = home.ports.history_store(bot) if mode is RunMode.BACKTEST else home.ports.bot_store(bot)
        intents = store.intents_of_trade(int(trade["trade_id"]))
        entry = next((intent for intent in intents if intent.leg is IntentLeg.ENTRY), None)
        if entry is None:
            missing("No orders are kept of this trade.", "A backtest's history keeps trades only; imported trades come without a journal.")
            return
        _show_context(entry)
        _show_parameters(entry, home)
        _show_orders(intents)


def sentence(trade: pd.Series[Any]) -> str:
    """Return one sentence, as Markdown, that describes a closed trade and its result."""
    lasted = trade["close_date"] - trade["open_date"]
    currency = stake_currency(str(trade["pair"]))
    profit, funding = (plain(fmt.money(trade[name], currency)) for name in ("close_profit_abs", "funding_fees"))
    return (
        f"**{trade['direction'].capitalize()} {plain(trade['pair'])} at {trade['leverage']:.1f}x** on feeder {plain(trade['feeder_id'])}, "
        f"opened {fmt.stamp(trade['open_date'])} at {fmt.rate(trade['open_rate'])}, closed after {fmt.span(lasted)} at "
        f"{fmt.rate(trade['close_rate'])} by {plain(trade['exit_reason'])}: result {fmt.ratio(trade['close_profit'])} of the stake "
        f"of {plain(fmt.amount(trade['stake_amount'], currency))}, {profit} after fees and {funding} funding."
    )


def _show_context(entry: Intent) -> None:
    st.markdown("**Why it was opened, and with what**")
    names = [*(name for name in ENTRY_CONTEXT if name in entry.context), *(name for name in entry.context if name not in ENTRY_CONTEXT)]
    cells = [(name.replace("_", " "), _told(name, entry.context[name])) for name in names]
    st.table(pd.DataFrame(cells, columns=["what", "at entry"]), hide_index=True, alt="What the trade was opened with")


def _told(name: str, value: object) -> str:
    if value is None:
        return fmt.DASH
    if isinstance(value, float):
        return _TELLERS[name](value) if name in _TELLERS else f"{value:.4g}"
    return str(value)


def _show_parameters(entry: Intent, home: DashboardHome) -> None:
    key, version = entry.context.get("parameters_key"), entry.context.get("parameters_version")
    if not isinstance(key, str) or key.count("|") < 2:
        st.caption("Protected by the static set of the settings: no learned row was used.")
        return
    history = home.ports.record.parameters.history(key=key)
    # An incremental publication contains changed rows only: a parameter set also contains rows of earlier versions.
    exact = history[history["version"] == version]
    used = exact if len(exact) else history[history["known_at"] <= entry.candle_close_time]
    if used.empty:
        st.caption(f"Protected by row {fmt.key(key)} of the set {fmt.version(str(version))}, which the record does not hold.")
        return
    row = used.iloc[-1]
    target = fmt.NO_TARGET if row["has_target"] is False else f"target {fmt.ratio(row['take_profit_target'])} of the stake"
    st.markdown(
        f"**Parameters used**: {fmt.key(key)} of the set {fmt.version(str(version))}, row of version "
        f"{fmt.version(str(row['version']))}: stop {fmt.ratio(row['stop_loss'])}, "
        f"{target} at {row['leverage_ref']:.1f}x; "
        f"expectancy {fmt.ratio(row['expectancy'], 3)} ({fmt.interval(row['lower_bound'], row['upper_bound'], 3)}) of the price, "
        f"{fmt.evidence(int(row['trades_count']), float(row['n_eff']))}, state {row['state']}."
    )


def _show_orders(intents: list[Intent]) -> None:
    st.markdown("**Orders** (journal of the bot's own database)")
    shown = pd.DataFrame(
        {
            "leg": [intent.leg.value for intent in intents],
            "side": [intent.side.value for intent in intents],
            "type": [intent.order_type.value for intent in intents],
            "amount": [str(intent.amount) for intent in intents],
            "trigger rate": [fmt.DASH if intent.trigger_rate is None else str(intent.trigger_rate) for intent in intents],
            "state": [intent.state.value for intent in intents],
            "decided (market)": [fmt.stamp(intent.candle_close_time) for intent in intents],
            "sent (wall)": [fmt.stamp(intent.sent_at) for intent in intents],
            "client order id": [intent.client_order_id for intent in intents],
            "why": [str(intent.context.get("exit_reason") or intent.reject_reason or fmt.DASH) for intent in intents],
        }
    )
    table(shown, alt="Orders of the trade, oldest first", key="story_orders")
