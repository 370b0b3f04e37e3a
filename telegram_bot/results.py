"""What trading brought: figures of closed trades, by bot, day and pair; and what the bots hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from bot3.trading import figures
from bot3.trading.trades import direction
from bot3.usecases import words
from bot3.usecases.fleet_status import BotStatus, Fleet, read_fleet
from telegram_bot.asked import Asked, NotUnderstoodError
from telegram_bot.home import Closes, Home
from telegram_bot.page import Page, Table

_INTERVALS = f"Intervals are 90 %, closes of one UTC day counted as moving together; they need {figures.LEAST_DAYS} days."
_DAYS = 7
_MOST_DAYS = 60
_MOST_PAIRS = 30


def stats(home: Home, asked: Asked) -> Page:
    """Return the overall performance of each bot, and how trades ended."""
    found = home.every_closes(asked.mode)
    blocks: list[str | Table] = [_performance(closes, home) for closes in found]
    every = pd.concat([closes.frame for closes in found], ignore_index=True)
    if len(every):
        blocks += [_exits(every), _durations(every)]
    return Page(title=f"Performance: {asked.mode.value} closes", blocks=tuple(blocks), foot=(_INTERVALS, _from(found), home.as_of()))


def _performance(closes: Closes, home: Home) -> str:
    found = figures.summary(closes.frame)
    if not found.n:
        return f"{closes.bot}: no close yet"
    won = int((closes.frame["close_profit"] > 0.0).sum())
    win, average = found.win_rate, found.avg_profit
    wins = f"{words.share(win.value)} ({words.share_interval(win.low, win.high)}; mark {words.share(home.settings.win_rate_mark)})"
    mark = words.ratio(figures.AVG_PROFIT_MARK)
    means = f"{words.ratio(average.value)} of the stake ({words.interval(average.low, average.high)}; mark {mark})"
    return "\n".join(
        (
            f"{closes.bot}: n {found.n:,} on {found.days} days, {won:,} won, {found.n - won:,} not",
            f"  realised {words.money(found.profit_abs)}",
            f"  win rate {wins}",
            f"  average {means}",
            f"  profit factor {words.number(found.profit_factor)} (mark {figures.PROFIT_FACTOR_MARK})",
        )
    )


def _exits(every: pd.DataFrame) -> Table:
    grouped = every.assign(reason=every["exit_reason"].fillna("unknown")).groupby("reason")
    rows = [
        (str(reason), words.count(len(frame)), words.share(float((frame["close_profit"] > 0.0).mean())), _sum(frame))
        for reason, frame in sorted(grouped, key=lambda item: -len(item[1]))
    ]
    return Table(head=("exit reason", "n", "won", "USDT"), rows=tuple(rows), note="all bots")


def _durations(every: pd.DataFrame) -> str:
    seconds = (every["close_date"] - every["open_date"]).dt.total_seconds()
    won = every["close_profit"] > 0.0
    told = [
        f"{name} {words.span(timedelta(seconds=float(seconds[chosen].median())))} (n {int(chosen.sum()):,})"
        for name, chosen in (("won", won), ("not won", ~won))
        if chosen.any()
    ]
    return f"Held, median: {', '.join(told)}"


def profit(home: Home, asked: Asked) -> Page:
    """Return what was earned, by bot and direction: today, the last days, and in all."""
    now, days = home.now(), asked.number or _DAYS
    found = home.every_closes(asked.mode)
    spans = (("today", _midnight(now)), (f"{days} d", now - timedelta(days=days)), ("all", None))
    blocks: list[str | Table] = []
    for closes in found:
        kinds = _by_direction(closes.frame)
        rows = [(kind, *(_earned(frame, since) for _, since in spans), words.count(len(frame))) for kind, frame in kinds]
        blocks.append(Table(head=(f"{closes.bot} USDT", *(name for name, _ in spans), "n"), rows=tuple(rows)))
    blocks.append("Realised, after fees and funding; open positions are not in it. Days are the market's.")
    return Page(title=f"Profit: {asked.mode.value} closes", blocks=tuple(blocks), foot=(_from(found), home.as_of()))


def _by_direction(closes: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    is_short = closes["is_short"].astype(bool)
    each = [(direction(is_short=side), closes[is_short == side]) for side in (False, True)]
    present = [(name, frame) for name, frame in each if len(frame)]
    return [*(present if len(present) > 1 else []), ("in all", closes)]


def _earned(closes: pd.DataFrame, since: datetime | None) -> str:
    return _sum(closes if since is None else closes[closes["close_date"] >= since])


def _sum(closes: pd.DataFrame) -> str:
    return words.signed(float(closes["close_profit_abs"].sum())) if len(closes) else words.DASH


def daily(home: Home, asked: Asked) -> Page:
    """Return the profit of each UTC day of the market, by bot, with its number of closes. Raises NotUnderstoodError."""
    now, days = home.now(), asked.number or _DAYS
    if days > _MOST_DAYS:
        raise NotUnderstoodError(f"/daily shows at most {_MOST_DAYS} days: {days} are too many for one message")
    found = home.every_closes(asked.mode)
    rows = []
    for start in (_midnight(now) - timedelta(days=number) for number in range(days)):
        of_day = [_between(closes.frame, start) for closes in found]
        rows.append((f"{start:%m-%d}", *(_sum(frame) for frame in of_day), words.count(sum(len(frame) for frame in of_day))))
    head = ("UTC day", *(closes.bot for closes in found), "n")
    note = f"USDT realised on the day; {words.DASH} is a day without a close. The first row is today so far."
    return Page(
        title=f"Daily: {asked.mode.value} closes",
        blocks=(Table(head=head, rows=tuple(rows), note=note),),
        foot=(_from(found), home.as_of()),
    )


def _between(closes: pd.DataFrame, start: datetime) -> pd.DataFrame:
    return closes[(closes["close_date"] >= start) & (closes["close_date"] < start + timedelta(days=1))]


def pairs(home: Home, asked: Asked) -> Page:
    """Return which pairs earn, of all bots together."""
    frame, _ = home.trades.frame()
    of_mode = frame[frame["run_mode"] == asked.mode.value]
    foot = (home.of_record(asked.mode), home.as_of())
    title = f"Pairs: {asked.mode.value} closes of all bots"
    if of_mode.empty:
        return Page(title=title, blocks=("The record holds no close of this run mode yet.",), foot=foot)
    summed = sorted(of_mode.groupby("pair"), key=lambda item: -float(item[1]["close_profit_abs"].sum()))
    shown = summed if len(summed) <= _MOST_PAIRS else [*summed[: _MOST_PAIRS // 2], *summed[-_MOST_PAIRS // 2 :]]
    rows = [_pair_row(str(pair), closes) for pair, closes in shown]
    note = "best first; avg is of the stake" + (f"; {len(summed) - len(shown)} pairs between them are left out" if shown != summed else "")
    return Page(title=title, blocks=(Table(head=("pair", "n", "won", "avg", "USDT"), rows=tuple(rows), note=note),), foot=foot)


def _pair_row(pair: str, closes: pd.DataFrame) -> tuple[str, ...]:
    profits = closes["close_profit"]
    won, average = float((profits > 0.0).mean()), float(profits.mean())
    return pair.partition(":")[0], words.count(len(closes)), words.share(won), words.ratio(average), _sum(closes)


def balance(home: Home, asked: Asked) -> Page:
    """Return what each bot owns and holds, on paper."""
    del asked
    fleet, wallet = read_fleet(home), home.settings.wallet_abs
    blocks = tuple(_balance(bot, fleet, wallet_abs=wallet) for bot in fleet.bots)
    note = f"Each began with {wallet:,.0f} USDT. Equity with open profit is what the daemon told last; {words.DASH}: it is silent."
    sources = ", ".join(f"{bot.bot} {bot.store_id[:8]}" for bot in fleet.bots if bot.store_id)
    return Page(title="Balance: paper wallets", blocks=(*blocks, note), foot=(f"From own databases: {sources}.", home.as_of()))


def _balance(bot: BotStatus, fleet: Fleet, *, wallet_abs: float) -> str:
    if bot.closes is None:
        return f"{bot.bot}: cannot be told. {bot.problem}"
    equity = fleet.told(f"{bot.bot}_equity_abs")
    curve = figures.equity_curve(bot.closes, wallet_abs=wallet_abs)
    realised = float(bot.closes["close_profit_abs"].sum()) if len(bot.closes) else None
    lines = [
        f"{bot.bot}: {bot.in_force.state.value if bot.in_force.is_told or bot.in_force.is_latched else 'state not told'}",
        f"  equity with open profit {f'{equity:,.2f} USDT' if isinstance(equity, int | float) else words.DASH}",
        f"  realised {words.money(realised)} (n {len(bot.closes):,})",
    ]
    if len(curve):
        now, worst = curve["drawdown"].iloc[-1], curve["drawdown"].min()
        mark = words.ratio(figures.DRAWDOWN_MARK, 0)
        lines.append(f"  drawdown of closes {words.ratio(now)}, worst {words.ratio(worst)} (mark {mark})")
    return "\n".join([*lines, *_positions(bot)])


def _positions(bot: BotStatus) -> list[str]:
    held = sum(trade.stake_amount * trade.leverage for trade in bot.open_trades)
    if not bot.open_trades:
        return ["  no open position"]
    each = [
        f"  {trade.pair.partition(':')[0]} {direction(is_short=trade.is_short)} {trade.leverage:.1f}x from {words.rate(trade.open_rate)}"
        for trade in bot.open_trades
    ]
    return [f"  {len(each)} open, {held:,.0f} USDT at entry", *each]


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _from(found: Sequence[Closes]) -> str:
    return f"From {', '.join(closes.source for closes in found)}."
