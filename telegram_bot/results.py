"""Answers to the commands about results: closed trades by bot, day and pair, and the bots' wallets and open positions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from bot3.trading import figures
from bot3.trading.intervals import MIN_DAYS
from bot3.trading.trades import Trade, direction
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.status import BotStatus, Fleet, WatchedStatus, read_fleet
from telegram_bot.home import BotHome, ClosedTrades
from telegram_bot.page import Page, Table
from telegram_bot.received import Arguments, InvalidArgumentError

_INTERVALS = f"Intervals are 90 %, closes of one UTC day counted as moving together; they need {MIN_DAYS} days."
_DAYS = 7
_MOST_DAYS = 60
_MOST_PAIRS = 30


def stats(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with the results of each bot's closed trades of one run mode, and of all bots by exit reason and duration."""
    found = home.every_closes(arguments.mode)
    blocks: list[str | Table] = [_performance(closes, home) for closes in found]
    every = pd.concat([closes.frame for closes in found], ignore_index=True)
    if len(every):
        blocks += [*_exits(every, _bots(found)), _durations(every)]
    return Page(title=f"Performance: {arguments.mode.value} closes", blocks=tuple(blocks), foot=(_INTERVALS, _from(found), home.as_of()))


def _performance(closes: ClosedTrades, home: BotHome) -> str:
    found = figures.summary(closes.frame)
    if not found.n:
        return f"{closes.bot}: no close yet"
    won = int((closes.frame["close_profit"] > 0.0).sum())
    win, mean = found.win_rate, found.mean_profit
    wins = f"{fmt.share(win.value)} ({fmt.share_interval(win.low, win.high)}; mark {fmt.share(home.settings.win_rate_mark)})"
    means = f"{fmt.ratio(mean.value)} of the stake, unweighted ({fmt.interval(mean.low, mean.high)})"
    return "\n".join(
        (
            f"{closes.bot}: n {found.n:,} on {found.days} days, {won:,} won, {found.n - won:,} not",
            *(line for money in found.money for line in _money_lines(money)),
            f"  win rate {wins}",
            f"  mean profit a trade {means}",
        )
    )


def _money_lines(found: figures.MoneyFigures) -> tuple[str, ...]:
    earned, mark = found.return_on_stake, fmt.ratio(figures.AVG_PROFIT_MARK)
    return (
        f"  realised {fmt.money(found.profit_abs, found.currency)} on stakes of {fmt.amount(found.stake_abs, found.currency)}",
        f"  return on stake {fmt.ratio(earned.value)} ({fmt.interval(earned.low, earned.high)}; mark {mark})",
        f"  profit factor {fmt.number(found.profit_factor)} of money (mark {figures.PROFIT_FACTOR_MARK})",
    )


def _exits(every: pd.DataFrame, bots: str) -> list[Table]:
    return [
        Table(head=("exit reason", "n", "won", fmt.currency_name(currency)), rows=_exit_rows(own, currency), note=bots)
        for currency, own in figures.by_currency(every).items()
    ]


def _exit_rows(closes: pd.DataFrame, currency: str) -> tuple[tuple[str, ...], ...]:
    grouped = closes.assign(reason=closes["exit_reason"].fillna("unknown")).groupby("reason")
    return tuple(
        (str(reason), fmt.count(len(own)), fmt.share(float((own["close_profit"] > 0.0).mean())), _sum(own, currency))
        for reason, own in sorted(grouped, key=lambda item: -len(item[1]))
    )


def _durations(every: pd.DataFrame) -> str:
    seconds = (every["close_date"] - every["open_date"]).dt.total_seconds()
    won = every["close_profit"] > 0.0
    told = [
        f"{name} {fmt.span(timedelta(seconds=float(seconds[chosen].median())))} (n {int(chosen.sum()):,})"
        for name, chosen in (("won", won), ("not won", ~won))
        if chosen.any()
    ]
    return f"Duration, median: {', '.join(told)}"


def profit(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with the realised profit by bot, currency and direction: today (UTC, market time), the last days, and in all."""
    now, days = home.now(), arguments.number or _DAYS
    found = home.every_closes(arguments.mode)
    spans = (("today", _midnight(now)), (f"{days} d", now - timedelta(days=days)), ("all", None))
    blocks: list[str | Table] = []
    for closes in found:
        for currency, own in (figures.by_currency(closes.frame) or {home.settings.stake_currency: closes.frame}).items():
            kinds = _by_direction(own)
            rows = [(kind, *(_earned(frame, since, currency) for _, since in spans), fmt.count(len(frame))) for kind, frame in kinds]
            head = f"{closes.bot} {fmt.currency_name(currency)}"
            blocks.append(Table(head=(head, *(name for name, _ in spans), "n"), rows=tuple(rows)))
    blocks.append("Realised, after fees and funding; open positions are not in it. Days are the market's.")
    return Page(title=f"Profit: {arguments.mode.value} closes", blocks=tuple(blocks), foot=(_from(found), home.as_of()))


def _by_direction(closes: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    is_short = closes["is_short"].astype(bool)
    each = [(direction(is_short=side), closes[is_short == side]) for side in (False, True)]
    present = [(name, frame) for name, frame in each if len(frame)]
    return [*(present if len(present) > 1 else []), ("in all", closes)]


def _earned(closes: pd.DataFrame, since: datetime | None, currency: str) -> str:
    return _sum(closes if since is None else closes[closes["close_date"] >= since], currency)


def _sum(closes: pd.DataFrame, currency: str) -> str:
    """Return the sum of the profits of trades in one currency as text; a dash without trades."""
    return fmt.signed(float(closes["close_profit_abs"].sum()), currency) if len(closes) else fmt.DASH


def _bots(found: Sequence[ClosedTrades]) -> str:
    return ", ".join(closes.bot for closes in found if len(closes.frame))


def daily(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with the realised profit of each UTC day of market time by bot, newest first, and the number of closes.

    Raises InvalidArgumentError for more than 60 days.
    """
    now, days = home.now(), arguments.number or _DAYS
    if days > _MOST_DAYS:
        raise InvalidArgumentError(f"/daily shows at most {_MOST_DAYS} days: {days} are too many for one message")
    found = home.every_closes(arguments.mode)
    every = pd.concat([closes.frame for closes in found], ignore_index=True)
    currencies = list(figures.by_currency(every)) or [home.settings.stake_currency]
    starts = [_midnight(now) - timedelta(days=number) for number in range(days)]
    tables = tuple(_daily(found, currency, starts) for currency in currencies)
    return Page(title=f"Daily: {arguments.mode.value} closes", blocks=tables, foot=(_from(found), home.as_of()))


def _daily(found: Sequence[ClosedTrades], currency: str, starts: Sequence[datetime]) -> Table:
    own = [(closes.bot, figures.by_currency(closes.frame).get(currency, closes.frame.head(0))) for closes in found]
    rows = []
    for start in starts:
        of_day = [_between(frame, start) for _, frame in own]
        rows.append((f"{start:%m-%d}", *(_sum(frame, currency) for frame in of_day), fmt.count(sum(len(frame) for frame in of_day))))
    note = f"{fmt.currency_name(currency)} realised on the day; {fmt.DASH} is a day without a close. The first row is today so far."
    return Table(head=("UTC day", *(bot for bot, _ in own), "n"), rows=tuple(rows), note=note)


def _between(closes: pd.DataFrame, start: datetime) -> pd.DataFrame:
    return closes[(closes["close_date"] >= start) & (closes["close_date"] < start + timedelta(days=1))]


def pairs(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with the results of each pair's closed trades in the record, of one run mode and all bots together.

    Of more than 30 pairs of one stake currency, the 15 with the highest and the 15 with the lowest profit are shown.
    """
    frame, _ = home.trades.frame()
    of_mode = frame[frame["run_mode"] == arguments.mode.value]
    foot = (home.of_record(arguments.mode), home.as_of())
    title = f"Pairs: {arguments.mode.value} closes of all bots"
    if of_mode.empty:
        return Page(title=title, blocks=("The record contains no close of this run mode yet.",), foot=foot)
    tables = tuple(_pairs(own, currency) for currency, own in figures.by_currency(of_mode).items())
    return Page(title=title, blocks=tables, foot=foot)


def _pairs(closes: pd.DataFrame, currency: str) -> Table:
    summed = sorted(closes.groupby("pair"), key=lambda item: -float(item[1]["close_profit_abs"].sum()))
    shown = summed if len(summed) <= _MOST_PAIRS else [*summed[: _MOST_PAIRS // 2], *summed[-_MOST_PAIRS // 2 :]]
    rows = [_pair_row(str(pair), own, currency) for pair, own in shown]
    left_out = f"; {len(summed) - len(shown)} pairs between them are left out" if shown != summed else ""
    bots = ", ".join(sorted(str(bot) for bot in closes["bot"].unique()))
    note = f"{bots}; best first; ret: sum of profit / sum of stake; PF: sum of gains / sum of losses{left_out}"
    return Table(head=("pair", "n", "won", "ret", "PF", fmt.currency_name(currency)), rows=tuple(rows), note=note)


def _pair_row(pair: str, closes: pd.DataFrame, currency: str) -> tuple[str, ...]:
    won, money = float((closes["close_profit"] > 0.0).mean()), figures.summary(closes).of(currency)
    earned, factor = (fmt.DASH, fmt.DASH) if money is None else (fmt.ratio(money.return_on_stake.value), fmt.number(money.profit_factor))
    return pair.partition(":")[0], fmt.count(len(closes)), fmt.share(won), earned, factor, _sum(closes, currency)


def balance(home: BotHome, arguments: Arguments) -> Page:
    """Return the page with each own bot's paper wallet and open positions, and the open positions of the fleet file's bots."""
    del arguments
    fleet, settings = read_fleet(home), home.settings
    blocks = [_balance(bot, fleet, home) for bot in fleet.bots] + [_watched(bot) for bot in fleet.watched]
    wallet = fmt.amount(settings.wallet_abs, settings.stake_currency)
    note = f"Each own bot began with {wallet}. Equity with open profit is from the daemon's heartbeat; {fmt.DASH}: it sends none."
    sources = ", ".join(f"{bot.bot} {bot.store_id[:8]}" for bot in fleet.bots if bot.store_id)
    return Page(title="Balance: wallets and positions", blocks=(*blocks, note), foot=(f"From own databases: {sources}.", home.as_of()))


def _balance(bot: BotStatus, fleet: Fleet, home: BotHome) -> str:
    if bot.closes is None:
        return f"{bot.bot}: cannot be read. {bot.problem}"
    currency = home.settings.stake_currency
    equity = fleet.reported(f"{bot.bot}_equity_abs")
    curve = figures.equity_curve(figures.by_currency(bot.closes).get(currency, bot.closes.head(0)), wallet_abs=home.settings.wallet_abs)
    lines = [
        f"{bot.bot}: {bot.in_force.state.value if bot.in_force.is_reported or bot.in_force.is_latched else 'state unknown'}",
        f"  equity with open profit {fmt.amount(equity, currency) if isinstance(equity, int | float) else fmt.DASH}",
        f"  realised {fmt.moneys(figures.profit_sums(bot.closes))} (n {len(bot.closes):,})",
    ]
    if len(curve):
        now, worst = curve["drawdown"].iloc[-1], curve["drawdown"].min()
        mark = fmt.ratio(figures.DRAWDOWN_MARK, 0)
        lines.append(f"  drawdown of closes {fmt.ratio(now)}, worst {fmt.ratio(worst)} (mark {mark})")
    return "\n".join([*lines, *_positions(bot.open_trades)])


def _watched(bot: WatchedStatus) -> str:
    lines = [
        f"{bot.name}: listed in the fleet file, read only",
        f"  realised {fmt.moneys(figures.profit_sums(bot.closes))} (n {len(bot.closes):,}, from the record)",
    ]
    if bot.open_trades is None:
        return "\n".join([*lines, f"  open positions unavailable: {bot.problem}"])
    return "\n".join([*lines, *_positions(bot.open_trades)])


def _positions(trades: Sequence[Trade]) -> list[str]:
    if not trades:
        return ["  no open position"]
    each = [
        f"  {trade.pair.partition(':')[0]} {direction(is_short=trade.is_short)} {trade.leverage:.1f}x from {fmt.rate(trade.open_rate)}"
        for trade in trades
    ]
    return [f"  {len(each)} open, {fmt.amounts(figures.notional_sums(trades))} at entry", *each]


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _from(found: Sequence[ClosedTrades]) -> str:
    return f"From {', '.join(closes.source for closes in found)}."
