"""Parts of the page Now: each bot's state and results, and the open positions of all bots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from bot3.ports.control import TradingState
from bot3.trading.currencies import stake_currency
from bot3.trading.figures import (
    AVG_PROFIT_MARK,
    DRAWDOWN_MARK,
    PROFIT_FACTOR_MARK,
    Summary,
    by_currency,
    equity_curve,
    notional_sums,
    profit_sums,
    summary,
)
from bot3.trading.intervals import MIN_DAYS, Estimate
from bot3.trading.trades import RunMode, Trade, direction
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.status import BotStatus, Fleet, WatchedStatus
from bot3.usecases.foreign_text import plain
from bot3.usecases.terms import definitions
from dashboard.cells import LEVERAGE, RATE
from dashboard.home import DashboardHome
from dashboard.page import table

_ROWS = (
    "Store",
    "State",
    "Open positions",
    "Equity with open profit, from the daemon",
    "Realised today",
    "Realised, all",
    "Drawdown (closes): now, worst",
    "Win rate",
    "Return on stake (sum of profit / sum of stake)",
    "Profit factor (money)",
    "Mean profit a trade, unweighted",
    "Last close",
)


def show_bots(fleet: Fleet, home: DashboardHome) -> None:
    """Show a table with the state and results of every own and fleet bot, one column each, and the marks to compare them with."""
    st.subheader("Bots")
    columns = {plain(bot.bot): _own_cells(bot, fleet, home) for bot in fleet.bots}
    columns |= {plain(bot.name): _watched_cells(bot, fleet) for bot in fleet.watched}
    marks = {
        "Drawdown (closes): now, worst": fmt.ratio(DRAWDOWN_MARK, 0),
        "Win rate": fmt.share(home.settings.win_rate_mark),
        "Return on stake (sum of profit / sum of stake)": fmt.ratio(AVG_PROFIT_MARK),
        "Profit factor (money)": fmt.number(PROFIT_FACTOR_MARK, 1),
    }
    frame = pd.DataFrame({**columns, "Mark": [marks.get(row, "") for row in _ROWS]}, index=list(_ROWS))
    st.table(frame, alt="State and figures of each bot beside the marks")
    wallet = fmt.amount(home.settings.wallet_abs, home.settings.stake_currency)
    fleet_note = " Bots of the fleet file: closes from the record, open positions from their own databases." if fleet.watched else ""
    st.caption(
        f"Paper closes of each of our bots' own database; ratios in brackets are of its wallet of {wallet}.{fleet_note} Money is summed by "
        "currency, never across; return on stake and profit factor are of money, the mean profit counts each trade alike. "
        f"Intervals are 90 %, closes of one UTC day counted as moving together, and need {MIN_DAYS} days. "
        "Marks are targets to compare with, not gates.",
        help=definitions("90 % interval", "drawdown", "effective n", "latch", "n", "profit factor", "return on stake", "win rate"),
    )


def _own_cells(bot: BotStatus, fleet: Fleet, home: DashboardHome) -> tuple[str, ...]:
    if bot.closes is None:
        return ("cannot be read", _state(bot), *([fmt.DASH] * (len(_ROWS) - 2)))
    currency, wallet_abs = home.settings.stake_currency, home.settings.wallet_abs
    equity = fleet.reported(f"{bot.bot}_equity_abs")
    curve = equity_curve(by_currency(bot.closes).get(currency, bot.closes.head(0)), wallet_abs=wallet_abs)
    drawdown = f"{fmt.ratio(curve['drawdown'].iloc[-1])}, {fmt.ratio(curve['drawdown'].min())}" if len(curve) else fmt.DASH
    today = bot.closes[bot.closes["close_date"] >= fleet.now.replace(hour=0, minute=0, second=0, microsecond=0)]
    return (
        f"own database, {bot.store_id[:8]}",
        _state(bot),
        _positions(bot.open_trades),
        fmt.amount(equity, currency) if isinstance(equity, int | float) else fmt.DASH,
        _profit(today, currency=currency, wallet_abs=wallet_abs),
        _profit(bot.closes, currency=currency, wallet_abs=wallet_abs),
        drawdown,
        *_figures(summary(bot.closes)),
        fmt.age(bot.closes["close_date"].iloc[-1].to_pydatetime(), now=fleet.now) if len(bot.closes) else fmt.DASH,
    )


def _watched_cells(bot: WatchedStatus, fleet: Fleet) -> tuple[str, ...]:
    today = bot.closes[bot.closes["close_date"] >= fleet.wall_now.replace(hour=0, minute=0, second=0, microsecond=0)]
    unsynced = f", {bot.unsynced:,} closes not in the record yet" if bot.unsynced else ""
    return (
        f"fleet file, {bot.store_id[:8]}{unsynced}",
        "its database cannot be read" if bot.problem else "only read",
        f"{fmt.DASH} unavailable" if bot.open_trades is None else _positions(bot.open_trades),
        fmt.DASH,
        fmt.moneys(_shown(profit_sums(today))),
        fmt.moneys(_shown(profit_sums(bot.closes))),
        fmt.DASH,
        *_figures(summary(bot.closes)),
        fmt.age(bot.closes["close_date"].iloc[-1].to_pydatetime(), now=fleet.wall_now) if len(bot.closes) else fmt.DASH,
    )


def _figures(found: Summary) -> tuple[str, str, str, str]:
    n, win, mean = fmt.evidence(found.n), found.win_rate, found.mean_profit
    several = len(found.money) > 1
    named = [(f"{fmt.currency_name(plain(money.currency))}: " if several else "", money) for money in found.money]
    returns = [f"{name}{_with_interval(money.return_on_stake)}, {fmt.evidence(money.n)}" for name, money in named]
    factors = [f"{name}{fmt.number(money.profit_factor)}, {fmt.evidence(money.n)}" for name, money in named]
    return (
        f"{fmt.share(win.value)} ({fmt.share_interval(win.low, win.high)}), {n}",
        "; ".join(returns) or fmt.DASH,
        "; ".join(factors) or fmt.DASH,
        f"{_with_interval(mean)}, {n}",
    )


def _with_interval(found: Estimate) -> str:
    return f"{fmt.ratio(found.value)} ({fmt.interval(found.low, found.high)})"


def _positions(trades: Sequence[Trade]) -> str:
    return f"{len(trades)}" + (f", {fmt.amounts(_shown(notional_sums(trades)))} at entry" if trades else "")


def _shown(sums: Mapping[str, float]) -> dict[str, float]:
    """Return sums by currency, with the currency escaped for Markdown: it is from a pair's name, which another program may have chosen."""
    return {plain(currency): value for currency, value in sums.items()}


def _profit(closes: pd.DataFrame, *, currency: str, wallet_abs: float) -> str:
    sums = profit_sums(closes)
    of_wallet = f" ({fmt.ratio(sums[currency] / wallet_abs)})" if currency in sums else ""
    return f"{fmt.moneys(_shown(sums))}{of_wallet if len(sums) == 1 else ''}"


def _state(bot: BotStatus) -> str:
    found = bot.in_force
    if found.state is not TradingState.ACTIVE:
        return f"{found.state.value.upper()}: {plain(found.reason)}"
    return found.state.value if found.is_reported else f"{fmt.DASH} not latched, and the daemon tells nothing"


def show_positions(fleet: Fleet) -> None:
    """Show the open trades of all bots, and name the bots whose database cannot be read; show nothing if there are neither."""
    own = [(bot.bot, RunMode.PAPER, trade) for bot in fleet.bots for trade in bot.open_trades]
    held = [*own, *((bot.bot, bot.run_mode, trade) for bot in fleet.watched for trade in bot.open_trades or ())]
    unread = [bot.bot for bot in fleet.bots if bot.closes is None] + [bot.name for bot in fleet.watched if bot.open_trades is None]
    if not held and not unread:
        return
    st.subheader("Open positions")
    if held:
        rows = [_position(bot, mode, trade) for bot, mode, trade in held]
        table(pd.DataFrame(rows), cells={"leverage": LEVERAGE, "open rate": RATE}, alt="Open positions of all bots", key="now_positions")
    if unread:
        st.caption(f"Unavailable, not zero: {plain(', '.join(unread))}.")


def _position(bot: str, mode: RunMode, trade: Trade) -> dict[str, object]:
    return {
        "bot": bot,
        "mode": mode.value,
        "trade": trade.trade_id,
        "pair": trade.pair,
        "direction": direction(is_short=trade.is_short),
        "leverage": trade.leverage,
        "stake": fmt.amount(trade.stake_amount, stake_currency(trade.pair)),
        "open rate": trade.open_rate,
        "opened": fmt.stamp(trade.open_date),
        "feeder or tag": trade.enter_tag,
    }
