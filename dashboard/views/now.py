"""Am I OK."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from bot3.ports.control import TradingState
from bot3.trading import figures
from bot3.trading.trades import direction
from bot3.usecases import words
from bot3.usecases.fleet_status import Alert, BotStatus, Fleet, alerts, read_fleet
from dashboard import charts
from dashboard.cells import LEVERAGE, MONEY, RATIO
from dashboard.decisions import show_reasons, show_untraded
from dashboard.home import Home
from dashboard.page import banner, missing, table

EVERY_S = 2.0
LAST_CLOSES = 8


def render(home: Home) -> None:
    """Show the page."""
    st.title("Now")
    show_numbers(home)
    with banner("The bots' stores"):
        _show_equity(home)
        show_reasons(home)
        show_untraded(home, key="now")


def _show_numbers(home: Home) -> None:
    """Show what changes all the time; charts stay outside, they would lose the reader's zoom."""
    with banner("The state of the fleet"):
        fleet = read_fleet(home)
        _show_alerts(alerts(fleet))
        _show_totals(fleet, wallet_abs=home.settings.wallet_abs)
        _show_bots(fleet, wallet_abs=home.settings.wallet_abs, win_rate_mark=home.settings.win_rate_mark)
        _show_in_force(fleet)
        _show_last_closes(fleet)


show_numbers = st.fragment(_show_numbers, run_every=EVERY_S)


def _show_alerts(found: Sequence[Alert]) -> None:
    if not found:
        agree = "the record agrees with every bot's closes and history"
        st.success(f"**All well**: the daemon beats, no bot is stopped, learning is in force, {agree}.", icon=":material/check_circle:")
    for alert in found:
        show = st.error if alert.is_severe else st.warning
        show(f"{alert.text} {alert.remedy}", icon=":material/dangerous:" if alert.is_severe else ":material/warning:")


def _show_totals(fleet: Fleet, *, wallet_abs: float) -> None:
    readable = [bot for bot in fleet.bots if bot.closes is not None]
    if not readable:
        return
    closes = pd.concat([bot.closes for bot in readable if bot.closes is not None], ignore_index=True)
    today = _of_today(closes, fleet)
    wallets = wallet_abs * len(readable)
    positions = sum(len(bot.open_trades) for bot in readable)
    cells = (
        ("Realised today", *_earned(today, wallet_abs=wallets), "since 00:00 UTC, market time"),
        ("Realised, all paper closes", *_earned(closes, wallet_abs=wallets), "since the first close"),
        ("Open positions", str(positions), f"{words.evidence(positions)}", "realised figures leave them out"),
    )
    for column, (label, value, rests, note) in zip(st.columns(3), cells, strict=True):
        column.metric(label, value, border=True)
        column.caption(f"{rests}, {note}; {', '.join(bot.bot for bot in readable)}, own databases")


def _earned(closes: pd.DataFrame, *, wallet_abs: float) -> tuple[str, str]:
    if closes.empty:
        return words.DASH, "n 0"
    earned = float(closes["close_profit_abs"].sum())
    return words.money(earned), f"{words.ratio(earned / wallet_abs)} of the wallets, {words.evidence(len(closes))}"


def _of_today(closes: pd.DataFrame, fleet: Fleet) -> pd.DataFrame:
    midnight = fleet.now.replace(hour=0, minute=0, second=0, microsecond=0)
    return closes[closes["close_date"] >= midnight]


def _profit(closes: pd.DataFrame, *, wallet_abs: float) -> str:
    if closes.empty:
        return words.DASH
    earned = float(closes["close_profit_abs"].sum())
    return f"{words.money(earned)} ({words.ratio(earned / wallet_abs)})"


def _show_bots(fleet: Fleet, *, wallet_abs: float, win_rate_mark: float) -> None:
    st.subheader("Bots")
    columns = {bot.bot: _bot_cells(bot, fleet, wallet_abs=wallet_abs) for bot in fleet.bots}
    profit = (words.ratio(figures.AVG_PROFIT_MARK), words.number(figures.PROFIT_FACTOR_MARK, 1))
    marks = (*[""] * 6, words.ratio(figures.DRAWDOWN_MARK, 0), words.share(win_rate_mark), *profit, "")
    st.table(pd.DataFrame({**columns, "Mark": marks}, index=list(_ROWS)), alt="State and figures of each bot beside the marks")
    st.caption(
        f"Paper closes of each bot's own database; ratios in brackets are of its wallet of {wallet_abs:,.0f} USDT. Intervals are 90 %, "
        f"closes of one UTC day counted as moving together, and need {figures.LEAST_DAYS} days. "
        "Marks are targets to compare with, not gates."
    )


_ROWS = (
    "Store",
    "State",
    "Open positions",
    "Equity with open profit, as the daemon tells",
    "Realised today",
    "Realised, all",
    "Drawdown (closes): now, worst",
    "Win rate",
    "Average profit of the stake",
    "Profit factor",
    "Last close",
)


def _bot_cells(bot: BotStatus, fleet: Fleet, *, wallet_abs: float) -> tuple[str, ...]:
    state = _state_words(bot)
    if bot.closes is None:
        return ("cannot be read", state, *([words.DASH] * (len(_ROWS) - 2)))
    found = figures.summary(bot.closes)
    equity = fleet.told(f"{bot.bot}_equity_abs")
    exposure = sum(trade.stake_amount * trade.leverage for trade in bot.open_trades)
    curve = figures.equity_curve(bot.closes, wallet_abs=wallet_abs)
    drawdown = f"{words.ratio(curve['drawdown'].iloc[-1])}, {words.ratio(curve['drawdown'].min())}" if len(curve) else words.DASH
    n = words.evidence(found.n)
    return (
        f"own database, {bot.store_id[:8]}",
        state,
        f"{len(bot.open_trades)}" + (f", {exposure:,.0f} USDT at entry" if bot.open_trades else ""),
        f"{equity:,.2f} USDT" if isinstance(equity, int | float) else words.DASH,
        _profit(_of_today(bot.closes, fleet), wallet_abs=wallet_abs),
        _profit(bot.closes, wallet_abs=wallet_abs),
        drawdown,
        f"{words.share(found.win_rate.value)} ({words.share_interval(found.win_rate.low, found.win_rate.high)}), {n}",
        f"{words.ratio(found.avg_profit.value)} ({words.interval(found.avg_profit.low, found.avg_profit.high)}), {n}",
        f"{words.number(found.profit_factor)}, {n}",
        words.age(bot.closes["close_date"].iloc[-1].to_pydatetime(), now=fleet.now) if len(bot.closes) else words.DASH,
    )


def _state_words(bot: BotStatus) -> str:
    found = bot.in_force
    if found.state is not TradingState.ACTIVE:
        return f"{found.state.value.upper()}: {found.reason}"
    return found.state.value if found.is_told else f"{words.DASH} not latched, and the daemon tells nothing"


def _show_in_force(fleet: Fleet) -> None:
    st.subheader("In force")
    beat = fleet.daemon
    process, parameters, recommendation = st.columns(3)
    with process.container(border=True):
        st.markdown("**Execution daemon**")
        if beat is None:
            st.markdown(f"{words.DASH} never seen")
        else:
            st.markdown(f"{beat.state}, heartbeat {words.age(beat.wall_at, now=fleet.wall_now)} (wall time)")
            candle = fleet.told("last_candle")
            decided = (
                f"decided on the candle of {words.stamp(datetime.fromisoformat(candle))}" if isinstance(candle, str) else "no candle yet"
            )
            uses = words.version(str(fleet.told("parameters_version") or ""))
            st.caption(f"process {beat.pid}, up {words.span(fleet.wall_now - beat.started_at)}, {decided}, uses parameters {uses}")
    with parameters.container(border=True):
        st.markdown("**Parameters** (record)")
        learned = fleet.parameters.value
        st.markdown(words.DASH if learned is None else words.expiry(learned.expires_at, now=fleet.now))
        if learned is not None:
            rows = f"{len(learned.rows)} rows, known {words.age(learned.known_at, now=fleet.now)}"
            st.caption(f"version {words.version(learned.version)}, {rows} (market time)")
    with recommendation.container(border=True):
        st.markdown("**Recommendation** (record)")
        advice = fleet.recommendation.value
        st.markdown(words.DASH if advice is None else words.expiry(advice.expires_at, now=fleet.now))
        if advice is not None:
            top = ", ".join(f"F{number:02d}" for number in advice.top_feeders) or "none"
            st.caption(
                f"version {words.version(advice.version)}: {advice.regime.value.replace('_', ' ')}, top {top}, "
                f"{words.leverage(advice)}, size x {advice.suggested_position_size_multiplier:.2f}"
            )


def _show_last_closes(fleet: Fleet) -> None:
    st.subheader("Last closes")
    frames = [bot.closes.tail(LAST_CLOSES).assign(bot=bot.bot) for bot in fleet.bots if bot.closes is not None and len(bot.closes)]
    if not frames:
        missing("No bot has closed a trade yet.", "The daemon trades while `bot3 up` runs; backtest history is on the page Trades.")
        return
    last = pd.concat(frames, ignore_index=True).sort_values("close_date", ascending=False).head(LAST_CLOSES)
    shown = pd.DataFrame(
        {
            "closed (market time)": last["close_date"].map(words.stamp),
            "bot": last["bot"],
            "trade": last["trade_id"],
            "pair": last["pair"],
            "direction": [direction(is_short=bool(value)) for value in last["is_short"]],
            "leverage": last["leverage"],
            "feeder": last["enter_tag"],
            "profit of the stake": last["close_profit"],
            "profit": last["close_profit_abs"],
            "why out": last["exit_reason"],
        }
    )
    cells = {"leverage": LEVERAGE, "profit of the stake": RATIO, "profit": MONEY}
    table(shown, cells=cells, alt="The newest closes of all bots", key="now_last_closes")


def _show_equity(home: Home) -> None:
    st.subheader("Equity from closed trades")
    wallet_abs = home.settings.wallet_abs
    curves = {}
    for bot in home.ports.bot_names:
        curves[bot] = figures.equity_curve(home.closes(bot).frame(), wallet_abs=wallet_abs)
    drawn = {bot: curve for bot, curve in curves.items() if len(curve)}
    if not drawn:
        missing("No curve yet.", "It starts with the first paper close.")
        return
    st.plotly_chart(charts.equity_chart(drawn, wallet_abs=wallet_abs), alt="Equity of each bot after each close", key="now_equity")
    left, right = st.columns([5, 1])
    left.caption(
        f"Drawn at market time {words.stamp(home.ports.clock.now())} and left alone, so that your zoom stays. Open positions are not in it."
    )
    right.button("Draw again")
