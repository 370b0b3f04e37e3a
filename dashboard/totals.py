"""Part of the page Now: totals of realised profit and open positions by run mode and currency, with the bots that each covers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import streamlit as st

from bot3.trading.currencies import stake_currency
from bot3.trading.figures import by_currency, notional_sums
from bot3.trading.trades import RunMode, Trade
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.status import BotStatus, Fleet, WatchedStatus
from bot3.usecases.foreign_text import plain
from bot3.usecases.terms import definitions
from dashboard.home import DashboardHome


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The bots of one run mode that a total covers: own bots, and bots of the fleet file (`watched`)."""

    mode: RunMode
    own: tuple[BotStatus, ...]
    watched: tuple[WatchedStatus, ...]

    def closes(self) -> pd.DataFrame:
        """Return the closed trades of own bots whose database can be read, from there, and of fleet bots from the record."""
        own = [bot.closes for bot in self.own if bot.closes is not None]
        return pd.concat([*own, *(bot.closes for bot in self.watched)], ignore_index=True)

    def closes_today(self, fleet: Fleet) -> pd.DataFrame:
        """Return those of `closes` since midnight UTC, of market time for own bots, of wall time for fleet bots."""
        own = [_since_midnight(bot.closes, fleet.now) for bot in self.own if bot.closes is not None]
        return pd.concat([*own, *(_since_midnight(bot.closes, fleet.wall_now) for bot in self.watched)], ignore_index=True)

    def open_trades(self) -> list[Trade]:
        """Return the open trades of all bots whose databases can be read."""
        watched = [trade for bot in self.watched for trade in bot.open_trades or ()]
        return [*(trade for bot in self.own for trade in bot.open_trades), *watched]

    def described(self) -> str:
        """Return a text with the covered bots and their sources, and with the bots whose database cannot be read."""
        own = ", ".join(bot.bot for bot in self.own if bot.closes is not None)
        watched = ", ".join(bot.bot for bot in self.watched)
        unread = [
            *(bot.bot for bot in self.own if bot.closes is None),
            *(f"open trades of {bot.bot}" for bot in self.watched if bot.problem),
        ]
        parts = (f"{own} from their own databases" if own else "", f"{watched} of the fleet file from the record" if watched else "")
        return " and ".join(part for part in parts if part) + (f"; without {', '.join(unread)}: cannot be read" if unread else "")


def covered_modes(fleet: Fleet) -> list[Covered]:
    """Return the bots by run mode, paper before live; a mode without a fleet bot and without a readable own bot is left out."""
    found = [
        Covered(
            mode=mode, own=fleet.bots if mode is RunMode.PAPER else (), watched=tuple(bot for bot in fleet.watched if bot.run_mode is mode)
        )
        for mode in (RunMode.PAPER, RunMode.LIVE)
    ]
    return [one for one in found if one.watched or any(bot.closes is not None for bot in one.own)]


def show_totals(fleet: Fleet, home: DashboardHome) -> None:
    """Show realised profit today and in all, and open positions, by run mode and stake currency; name the bots that are not included."""
    for covered in covered_modes(fleet):
        closes, today, trades = covered.closes(), covered.closes_today(fleet), covered.open_trades()
        every, of_today = by_currency(closes), by_currency(today)
        currencies = sorted({*every, *(stake_currency(trade.pair) for trade in trades)}) or [home.settings.stake_currency]
        for currency in currencies:
            _show_currency(
                covered,
                currency,
                today=of_today.get(currency, today.head(0)),
                closes=every.get(currency, closes.head(0)),
                trades=[trade for trade in trades if stake_currency(trade.pair) == currency],
            )
    _name_imports(fleet, home)


def _show_currency(covered: Covered, currency: str, *, today: pd.DataFrame, closes: pd.DataFrame, trades: list[Trade]) -> None:
    mode, positions = covered.mode.value, len(trades)
    held = f"{fmt.amounts(notional_sums(trades))} at entry" if trades else "none"
    cells = (
        (f"Realised today, {mode}", _earned(today, currency), f"{fmt.evidence(len(today))}, since 00:00 UTC{_whose_day(covered)}"),
        (f"Realised since the first close, {mode}", _earned(closes, currency), fmt.evidence(len(closes))),
        (f"Open positions in {fmt.currency_name(currency)}, {mode}", str(positions), f"{held}; realised figures leave them out"),
    )
    for column, (label, value, note) in zip(st.columns(3), cells, strict=True):
        column.metric(plain(label), value, border=True)
        column.caption(plain(f"{note}; {covered.described()}"), help=definitions("effective n", "market time", "n", "wall time"))


def _earned(closes: pd.DataFrame, currency: str) -> str:
    # The currency is part of a pair's name, which another program may have chosen.
    return fmt.money(float(closes["close_profit_abs"].sum()), plain(currency)) if len(closes) else fmt.DASH


def _whose_day(covered: Covered) -> str:
    if covered.own and covered.watched:
        return ", market time; the fleet's bots: wall time"
    return ", market time" if covered.own else ", wall time"


def _name_imports(fleet: Fleet, home: DashboardHome) -> None:
    shown = {(bot.bot, RunMode.PAPER.value) for bot in fleet.bots} | {(bot.bot, bot.run_mode.value) for bot in fleet.watched}
    counts = home.trades.counts()
    rows = zip(counts["bot"], counts["run_mode"], strict=True)
    left = [f"{bot} ({mode})" for bot, mode in rows if mode != RunMode.BACKTEST.value and (bot, mode) not in shown]
    if left:
        st.caption(
            f"Not in these totals: {plain(', '.join(left))}, imported or no longer in the fleet file; the page Trades includes them."
        )


def _since_midnight(closes: pd.DataFrame, now: datetime) -> pd.DataFrame:
    return closes[closes["close_date"] >= now.replace(hour=0, minute=0, second=0, microsecond=0)]
