"""Page Now: alerts, totals, bots, open positions, published learning, and the newest closed trades and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from bot3.trading.figures import by_currency, equity_curve
from bot3.trading.trades import RunMode, direction
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.status import Alert, Fleet, alerts, read_fleet
from bot3.usecases.foreign_text import plain
from dashboard import charts
from dashboard.bots import show_bots, show_positions
from dashboard.cells import LEVERAGE, RATIO, money_columns
from dashboard.decisions import show_reasons, show_untraded
from dashboard.home import DashboardHome
from dashboard.page import banner, missing, table
from dashboard.totals import show_totals

EVERY_S = 2.0
LAST_CLOSES = 8


def render(home: DashboardHome) -> None:
    """Show the page Now."""
    st.title("Now")
    show_numbers(home)
    with banner("The bots' stores"):
        _show_equity(home)
        show_reasons(home)
        show_untraded(home, key="now")


def _show_numbers(home: DashboardHome) -> None:
    """Show the values that are read again every `EVERY_S`; charts are not part of it, because a rerun would reset the reader's zoom."""
    with banner("The state of the fleet"):
        fleet = read_fleet(home)
        _show_alerts(alerts(fleet))
        show_totals(fleet, home)
        show_bots(fleet, home)
        show_positions(fleet)
        _show_in_force(fleet)
        _show_last_closes(fleet)


show_numbers = st.fragment(_show_numbers, run_every=EVERY_S)


def _show_alerts(found: Sequence[Alert]) -> None:
    if not found:
        agree = "the record agrees with the closes and histories of our own bots"
        st.success(f"**All well**: the daemon beats, no bot is stopped, learning is in force, {agree}.", icon=":material/check_circle:")
    for alert in found:
        show = st.error if alert.is_severe else st.warning
        show(f"{plain(alert.text)} {alert.remedy}", icon=":material/dangerous:" if alert.is_severe else ":material/warning:")


def _show_in_force(fleet: Fleet) -> None:
    st.subheader("In force")
    beat = fleet.daemon
    process, parameters, recommendation = st.columns(3)
    with process.container(border=True):
        st.markdown("**Execution daemon**")
        if beat is None:
            st.markdown(f"{fmt.DASH} never seen")
        else:
            st.markdown(f"{beat.state}, heartbeat {fmt.age(beat.wall_at, now=fleet.wall_now)} (wall time)")
            candle = fleet.reported("last_candle")
            decided = (
                f"decided on the candle of {fmt.stamp(datetime.fromisoformat(candle))}" if isinstance(candle, str) else "no candle yet"
            )
            uses = fmt.version(str(fleet.reported("parameters_version") or ""))
            st.caption(f"process {beat.pid}, up {fmt.span(fleet.wall_now - beat.started_at)}, {decided}, uses parameters {uses}")
    with parameters.container(border=True):
        st.markdown("**Parameters** (record)")
        learned = fleet.parameters.value
        st.markdown(fmt.DASH if learned is None else fmt.expiry(learned.expires_at, now=fleet.now, anchor=fleet.anchor))
        if learned is not None:
            computed = fmt.age(learned.computed_at, now=fleet.wall_now)
            known_at = fmt.age(learned.known_at, now=fleet.now)
            st.caption(
                f"version {fmt.version(learned.version)}, {len(learned.rows)} rows, computed {computed} (wall time), "
                f"known {known_at} (market time)"
            )
    with recommendation.container(border=True):
        st.markdown("**Recommendation** (record)")
        advice = fleet.recommendation.value
        st.markdown(fmt.DASH if advice is None else fmt.expiry(advice.expires_at, now=fleet.now, anchor=fleet.anchor))
        if advice is not None:
            top = ", ".join(f"F{number:02d}" for number in advice.top_feeders) or "none"
            st.caption(
                f"version {fmt.version(advice.version)}: {advice.regime.value.replace('_', ' ')}, top {top} (tier {advice.top_tier}), "
                f"{fmt.leverage(advice)}, size x {advice.suggested_position_size_multiplier:.2f}"
            )


def _show_last_closes(fleet: Fleet) -> None:
    st.subheader("Last closes")
    own = [bot.closes.tail(LAST_CLOSES).assign(bot=bot.bot, mode=RunMode.PAPER.value) for bot in fleet.bots if bot.closes is not None]
    watched = [bot.closes.tail(LAST_CLOSES).assign(mode=bot.run_mode.value) for bot in fleet.watched]
    frames = [frame for frame in (*own, *watched) if len(frame)]
    if not frames:
        missing("No bot has closed a trade yet.", "The daemon trades while `bot3 up` runs; backtest history is on the page Trades.")
        return
    last = pd.concat(frames, ignore_index=True).sort_values("close_date", ascending=False).head(LAST_CLOSES)
    money, cells = money_columns(last)
    shown = pd.DataFrame(
        {
            "closed (UTC)": last["close_date"].map(fmt.stamp),
            "bot": last["bot"],
            "mode": last["mode"],
            "trade": last["trade_id"],
            "pair": last["pair"],
            "direction": [direction(is_short=bool(value)) for value in last["is_short"]],
            "leverage": last["leverage"],
            "feeder": last["enter_tag"],
            "profit of the stake": last["close_profit"],
            **money,
            "why out": last["exit_reason"],
        }
    )
    cells = {"leverage": LEVERAGE, "profit of the stake": RATIO, **cells}
    table(shown, cells=cells, alt="The newest closes of all bots", key="now_last_closes")


def _show_equity(home: DashboardHome) -> None:
    st.subheader("Equity from closed trades")
    wallet_abs, currency = home.settings.wallet_abs, home.settings.stake_currency
    curves = {}
    for bot in home.ports.bot_names:
        closes = home.closes(bot).frame()
        curves[bot] = equity_curve(by_currency(closes).get(currency, closes.head(0)), wallet_abs=wallet_abs)
    drawn = {bot: curve for bot, curve in curves.items() if len(curve)}
    if not drawn:
        missing("No curve yet.", "It starts with the first paper close.")
        return
    st.plotly_chart(
        charts.equity_chart(drawn, wallet_abs=wallet_abs, currency=currency), alt="Equity of each bot after each close", key="now_equity"
    )
    left, right = st.columns([5, 1])
    left.caption(
        f"Drawn at market time {fmt.stamp(home.ports.clock.now())} and left alone, so that your zoom stays. Paper closes of "
        f"{', '.join(drawn)} in {currency}; open positions are not in it."
    )
    right.button("Draw again")
