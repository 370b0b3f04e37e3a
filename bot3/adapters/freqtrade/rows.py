"""Convert rows of freqtrade's tables to the platform's trades, or return the reason why a row cannot be used as a trade."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot3.errors import DataError
from bot3.ports.foreign_trades import FilledOrder, RefusedTrade
from bot3.trading.names import pair_problem, shown_name, text_problem
from bot3.trading.trades import OrderPattern, RunMode, Trade

REQUIRED_COLUMNS = (
    "id",
    "pair",
    "is_open",
    "is_short",
    "leverage",
    "open_rate",
    "close_rate",
    "open_date",
    "close_date",
    "close_profit",
    "close_profit_abs",
    "stake_amount",
    "amount",
    "fee_open",
    "fee_close",
    "exit_reason",
)
OPTIONAL_COLUMNS = (
    "enter_tag",
    "funding_fees",
    "min_rate",
    "max_rate",
    "initial_stop_loss_pct",
    "stop_loss_pct",
    "liquidation_price",
)
AMOUNT_COLUMNS = ("amount_requested", "max_stake_amount", "record_version")
"""Columns that show whether a trade had several entries or exits if its orders are missing."""
ORDER_COLUMNS = ("id", "ft_trade_id", "ft_order_side", "filled", "order_filled_date", "average", "price")
OPTIONAL_ORDER_COLUMNS = ("ft_price", "ft_fee_base")

_ABOVE_ZERO = ("open_rate", "amount", "stake_amount")
_TRUTHS = {"true": True, "t": True, "1": True, "1.0": True, "false": False, "f": False, "0": False, "0.0": False}
_LARGEST_FEE = 0.1
_LARGEST_LOSS = -2.0
"""Lowest valid close_profit, a ratio of the stake: a trade can lose at most its isolated margin and the fees."""
_GROWTH = 1.05
"""Factor of growth above which an amount or stake shows several orders: rounding to the exchange's steps raises an amount by less."""
_STAKE_VERSION = 2
"""From this `record_version` on, `max_stake_amount` excludes the leverage, as `stake_amount` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOrigin:
    """Facts about the trades of a database that it does not contain: their bot, run mode and account, and the time zone of its dates."""

    bot: str
    run_mode: RunMode
    account: str
    zone: ZoneInfo


def trade_or_refusal(row: Mapping[str, Any], origin: TradeOrigin) -> Trade | RefusedTrade:
    """Return the trade of a row, or the reason why the row cannot be used as a trade.

    The row has `REQUIRED_COLUMNS`, the numbers of filled `entries` and `exits`, and any of `OPTIONAL_COLUMNS` and `AMOUNT_COLUMNS`.
    Accepted are a close rate outside the lowest and highest rate, missing lowest and highest rates or stops, a missing leverage (taken as
    1), and close values of an open trade, which are ignored. Raises DataError if the row's id is not a whole number.
    """
    numbers = {name: _number(row[name]) for name in (*_ABOVE_ZERO, "fee_open", "fee_close")}
    numbers["leverage"] = 1.0 if row["leverage"] is None else _number(row["leverage"])
    truths = {name: truth(row[name]) for name in ("is_open", "is_short")}
    is_open = truths["is_open"] is True
    closes: dict[str, float] = {} if is_open else {name: _number(row[name]) for name in ("close_rate", "close_profit", "close_profit_abs")}
    opened = _instant(row["open_date"], origin.zone)
    closed = None if is_open else _close_instant(row["close_date"], origin.zone, opened=opened)
    problem = _name_problem(row) or _truth_problem(row, truths) or _time_problem(row, opened) or _entry_problem(numbers, is_open=is_open)
    if problem is None and not is_open:
        problem = _close_problem(closes, opened=opened, closed=closed)
    if opened is None or problem is not None:
        reason, detail = problem or ("", "")
        return RefusedTrade(trade_id=_row_id(row["id"]), pair=shown_name(row["pair"]), is_open=is_open, reason=reason, detail=detail)
    return Trade(
        bot=origin.bot,
        run_mode=origin.run_mode,
        account=origin.account,
        trade_id=_row_id(row["id"]),
        pair=str(row["pair"]),
        is_short=truths["is_short"] is True,
        open_date=opened,
        enter_tag=_text(row.get("enter_tag")),
        is_open=is_open,
        close_date=closed,
        exit_reason=None if is_open else _text(row["exit_reason"]),
        funding_fees=_finite(row.get("funding_fees")) or 0.0,
        min_rate=_finite(row.get("min_rate")),
        max_rate=_finite(row.get("max_rate")),
        initial_stop_loss_pct=_finite(row.get("initial_stop_loss_pct")),
        stop_loss_pct=_finite(row.get("stop_loss_pct")),
        liquidation_price=_finite(row.get("liquidation_price")),
        horizon=None,
        order_pattern=OrderPattern.of_counts(entries=int(row["entries"]), exits=int(row["exits"]), grew=grew(row)),
        **numbers,
        **closes,
    )


def grew(row: Mapping[str, Any]) -> bool:
    """Return whether a trade's amounts show several entries or exits.

    They do if its amount is over 5 % larger than the one first requested, or its largest stake over 5 % larger than its last one.
    """
    numbers = {
        name: _number(row.get(name)) for name in ("amount", "amount_requested", "stake_amount", "max_stake_amount", "record_version")
    }
    more = numbers["amount"] > numbers["amount_requested"] * _GROWTH and numbers["amount_requested"] > 0.0
    less = numbers["record_version"] >= _STAKE_VERSION and numbers["max_stake_amount"] > numbers["stake_amount"] * _GROWTH
    return bool(more or less)


def is_filled(filled: Any) -> bool:
    """Return whether an order was filled at least in part."""
    return _number(filled) > 0.0


def filled_orders(rows: Iterable[Mapping[str, Any]], *, shorts: Mapping[int, bool], zone: ZoneInfo) -> dict[int, tuple[FilledOrder, ...]]:
    """Return the filled orders of each trade, by trade id; a trade without filled orders has no entry.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of `orders` with `ORDER_COLUMNS` and any of `OPTIONAL_ORDER_COLUMNS`, in the order in which they were placed.
    shorts : mapping
        Trade id to is_short; orders of other trades are left out.
    """
    found: dict[int, list[FilledOrder]] = {}
    for row in rows:
        # A text column contains "12".
        trade_id = int(row["ft_trade_id"]) if str(row["ft_trade_id"]).isdecimal() else None
        filled = _number(row["filled"])
        if trade_id is not None and trade_id in shorts and filled > 0.0:
            found.setdefault(trade_id, []).append(_filled_order(row, filled=filled, is_short=shorts[trade_id], zone=zone))
    return {trade_id: tuple(orders) for trade_id, orders in sorted(found.items())}


def _filled_order(row: Mapping[str, Any], *, filled: float, is_short: bool, zone: ZoneInfo) -> FilledOrder:
    """Return one order; its rate is the first of `average`, `price` and `ft_price` that is above 0, in freqtrade's sequence."""
    rates = (_finite(row.get(name)) for name in ("average", "price", "ft_price"))
    return FilledOrder(
        is_entry=row["ft_order_side"] == ("sell" if is_short else "buy"),
        rate=next((rate for rate in rates if rate is not None and rate > 0.0), None),
        amount=filled - (_finite(row.get("ft_fee_base")) or 0.0),
        filled_at=_instant(row["order_filled_date"], zone),
    )


def _name_problem(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return why one of a row's texts cannot be stored, and the text; None if all can."""
    if (problem := pair_problem(row["pair"])) is not None:
        return problem, shown_name(row["pair"])
    for name in ("enter_tag", "exit_reason"):
        text = _text(row.get(name))
        if (problem := text_problem(text)) is not None:
            return f"{name}: {problem}", shown_name(text)
    return None


def _row_id(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"a row of `trades` has the id {value!r}, which is not a whole number: name freqtrade's own database") from error


def truth(value: Any) -> bool | None:
    """Parse a boolean, also from a number or text; return None for an invalid value. `bool` would return True for the text "0"."""
    return _TRUTHS.get(str(value).strip().lower())


def _truth_problem(row: Mapping[str, Any], truths: Mapping[str, bool | None]) -> tuple[str, str] | None:
    return next(((f"{name} must be true or false", repr(row[name])) for name, truth in truths.items() if truth is None), None)


def _time_problem(row: Mapping[str, Any], opened: datetime | None) -> tuple[str, str] | None:
    return ("open_date is not a valid time", repr(row["open_date"])) if opened is None else None


def _entry_problem(numbers: Mapping[str, float], *, is_open: bool) -> tuple[str, str] | None:
    """Return what is invalid about an entry, and the value found; None if nothing is."""
    for name in _ABOVE_ZERO:
        # Since September 2024 freqtrade stores an amount of 0 until the entry fills.
        is_unfilled = is_open and name == "amount" and numbers[name] == 0.0
        if not (math.isfinite(numbers[name]) and numbers[name] > 0.0) and not is_unfilled:
            return f"{name} must be above 0", f"{numbers[name]:g}"
    for name in ("fee_open", "fee_close"):
        if not abs(numbers[name]) < _LARGEST_FEE:
            return f"{name} must be a ratio such as 0.0005", f"{numbers[name]:g}"
    if not (math.isfinite(numbers["leverage"]) and numbers["leverage"] >= 1.0):
        return "leverage must be at least 1", f"{numbers['leverage']:g}"
    return None


def _close_problem(closes: Mapping[str, float], *, opened: datetime | None, closed: datetime | None) -> tuple[str, str] | None:
    """Return what is invalid about a close, and the value found; None if nothing is."""
    if closed is None:
        return "it is closed but has no close_date", ""
    if opened is not None and closed < opened:
        return "it closed before it opened", f"{closed.isoformat()} before {opened.isoformat()}"
    if not (math.isfinite(closes["close_rate"]) and closes["close_rate"] > 0.0):
        return "close_rate must be above 0", f"{closes['close_rate']:g}"
    for name in ("close_profit", "close_profit_abs"):
        if not math.isfinite(closes[name]):
            return f"it is closed but its {name} is not a number", f"{closes[name]:g}"
    if closes["close_profit"] < _LARGEST_LOSS:
        return "it lost more than its stake can lose: an order of another trade is likely in it", f"close_profit {closes['close_profit']:g}"
    return None


def _number(value: Any) -> float:
    """Parse a number; return NaN for an invalid value, so that a later check refuses the row."""
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _finite(value: Any) -> float | None:
    number = _number(value)
    return number if math.isfinite(number) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _close_instant(value: Any, zone: ZoneInfo, *, opened: datetime | None) -> datetime | None:
    closed = _instant(value, zone)
    if closed is None or opened is None or closed >= opened:
        return closed
    # When summer time ends, local time repeats an hour: the close may lie in the second one.
    return _instant(value, zone, fold=1)


def _instant(value: Any, zone: ZoneInfo, *, fold: int = 0) -> datetime | None:
    """Parse a timestamp (SQLite's text or PostgreSQL's datetime, usually without a zone) to aware UTC; return None for an invalid one."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo is not None else value.replace(tzinfo=zone, fold=fold)
    try:
        return aware.astimezone(UTC)
    except OverflowError:
        return None  # on the first or last day of the calendar the time in UTC may lie outside it
