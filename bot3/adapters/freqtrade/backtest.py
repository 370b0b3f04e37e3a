"""Read the trades of a freqtrade backtest result (`backtest-result-*.zip` or `.json`). The file is untrusted: only its JSON is parsed."""

from __future__ import annotations

import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot3.adapters.freqtrade.rows import TradeOrigin, trade_or_refusal
from bot3.errors import DataError, SettingsError, StoreError
from bot3.market.instants import EPOCH
from bot3.ports.foreign_trades import FilledOrder, ForeignTrades, RefusedTrade
from bot3.trading.names import shown_name
from bot3.trading.trades import RunMode, Trade

LARGEST_RESULT = 256 * 2**20
"""Maximum size of a result's JSON in bytes; freqtrade writes about 1 KiB a trade."""
_MEMBER = re.compile(r"backtest-result-[^/]*\.json")
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
"""Errors that a damaged, encrypted or unusually packed archive member raises."""
_REQUIRED = (
    *("pair", "is_open", "is_short", "leverage", "open_rate", "close_rate", "open_timestamp", "close_timestamp", "profit_ratio"),
    *("profit_abs", "stake_amount", "amount", "fee_open", "fee_close", "exit_reason"),
)
_SAME = (
    *("pair", "is_open", "is_short", "leverage", "open_rate", "close_rate", "stake_amount", "amount", "fee_open", "fee_close"),
    *("exit_reason", "enter_tag", "funding_fees", "min_rate", "max_rate"),
)
_RENAMED = {
    "close_profit": "profit_ratio",
    "close_profit_abs": "profit_abs",
    "initial_stop_loss_pct": "initial_stop_loss_ratio",
    "stop_loss_pct": "stop_loss_ratio",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FreqtradeBacktest:
    """A `ForeignTradeSource` of one strategy's trades; a trade's id is its position in the strategy's list, counted from 1."""

    strategy: str
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def open(cls, path: Path, *, strategy: str | None = None) -> FreqtradeBacktest:
        """Read a result file.

        Parameters
        ----------
        path : Path
            `backtest-result-*.zip`, or the `.json` of older releases. Other members of the archive are not read.
        strategy : str or None
            Strategy whose trades are read; None if the file contains only one.

        Raises
        ------
        SettingsError
            If the named strategy is not in the file, the file contains several and none was named, or it is the result's `.meta.json`.
        DataError
            If the file is no backtest result of freqtrade 2022.4 or later, is damaged, or contains more than 256 MiB of JSON.
        StoreError
            If the file cannot be read.
        """
        strategies = _strategies(_parsed(_json(path), shown=path), shown=path)
        name = _chosen(list(strategies), strategy, shown=path)
        return cls(strategy=name, rows=tuple(_rows(strategies[name], shown=f"{path}: strategy {shown_name(name)}")))

    def read_all(self) -> ForeignTrades:
        """Return all trades in run mode backtest, open and closed, and the rows that are not valid trades."""
        origin = TradeOrigin(bot=self.strategy, run_mode=RunMode.BACKTEST, account="backtest", zone=ZoneInfo("UTC"))
        orders = {number: filled for number, row in enumerate(self.rows, start=1) if (filled := tuple(_orders(row)))}
        read = [_trade(row, number, orders.get(number, ()), origin) for number, row in enumerate(self.rows, start=1)]
        trades = [trade for trade in read if isinstance(trade, Trade)]
        closed = [trade for trade in trades if not trade.is_open]
        return ForeignTrades(
            closed=tuple(sorted(closed, key=lambda trade: (trade.close_date or EPOCH, trade.trade_id))),
            open=tuple(sorted((trade for trade in trades if trade.is_open), key=lambda trade: (trade.open_date, trade.trade_id))),
            refused=tuple(row for row in read if isinstance(row, RefusedTrade)),
            orders=orders,
        )


def _json(path: Path) -> bytes:
    if path.name.endswith(".meta.json"):
        raise SettingsError(f"{path} contains no trades: name the result beside it, {path.name.removesuffix('.meta.json')}.zip or .json")
    try:
        if zipfile.is_zipfile(path):
            return _unpacked(path)
        with path.open("rb") as file:
            return _bounded(file.read(LARGEST_RESULT + 1), shown=str(path))
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist: name a file such as user_data/backtest_results/backtest-result-*.zip") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): name a backtest result that this user may read") from error


def _unpacked(path: Path) -> bytes:
    """Return the result in an archive. Raises DataError if it is larger than the limit, whatever size the archive's directory states."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = _member(archive.namelist(), path=path)
            with archive.open(member) as file:
                return _bounded(file.read(LARGEST_RESULT + 1), shown=f"{path}: {member}")
    except _BROKEN as error:
        raise DataError(f"{path} is a damaged or encrypted archive ({error}): run the backtest again") from error


def _member(names: Sequence[str], *, path: Path) -> str:
    own = f"{path.stem}.json"
    if own in names:
        return own
    # A renamed archive still contains the original names; those of configuration and strategies are longer.
    found = sorted(
        (name for name in names if _MEMBER.fullmatch(name) and not name.endswith("_config.json")), key=lambda name: (len(name), name)
    )
    if not found:
        raise DataError(f"{path} is no backtest result of freqtrade: the archive contains no {own} and no backtest-result-*.json")
    return found[0]


def _bounded(read: bytes, *, shown: str) -> bytes:
    if len(read) > LARGEST_RESULT:
        raise DataError(f"{shown} is larger than {LARGEST_RESULT // 2**20} MiB: run the backtest on a shorter time range")
    return read


def _parsed(text: bytes, *, shown: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown} is not valid JSON ({error}): name a backtest result of freqtrade") from error


def _strategies(result: Any, *, shown: Path) -> Mapping[str, Any]:
    found = result.get("strategy") if isinstance(result, dict) else None
    if not isinstance(found, dict) or not found:
        raise DataError(f"{shown} is no backtest result of freqtrade 2022.4 or later: it contains no `strategy`; run the backtest again")
    return found


def _chosen(names: list[str], wanted: str | None, *, shown: Path) -> str:
    listed = ", ".join(map(shown_name, names[:20]))
    if wanted is None:
        if len(names) > 1:
            raise SettingsError(f"{shown} contains {len(names)} strategies ({listed}): name one with --strategy")
        return names[0]
    if wanted not in names:
        raise SettingsError(f"{shown} contains no strategy {wanted!r}: it contains {listed}")
    return wanted


def _rows(strategy: Any, *, shown: str) -> Iterator[Mapping[str, Any]]:
    trades = strategy.get("trades") if isinstance(strategy, dict) else None
    if not isinstance(trades, list):
        raise DataError(f"{shown} contains no list `trades`: export trades with `freqtrade backtesting --export trades`")
    for number, trade in enumerate(trades, start=1):
        if not isinstance(trade, dict):
            raise DataError(f"{shown}: trade {number} is not an object: run the backtest again")
        missing = [name for name in _REQUIRED if name not in trade]
        if missing:
            raise DataError(f"{shown}: trade {number} lacks {', '.join(missing)}: run the backtest again with freqtrade 2022.4 or later")
        yield trade


def _trade(row: Mapping[str, Any], number: int, orders: Sequence[FilledOrder], origin: TradeOrigin) -> Trade | RefusedTrade:
    for name in ("is_open", "is_short"):
        if not isinstance(row[name], bool):
            return RefusedTrade(
                trade_id=number, pair=shown_name(row["pair"]), reason=f"{name} is neither true nor false", detail=shown_name(row[name])
            )
    entries = sum(order.is_entry for order in orders)
    values = {name: row.get(name) for name in _SAME} | {name: row.get(source) for name, source in _RENAMED.items()}
    times = {"open_date": _instant(row["open_timestamp"]), "close_date": _instant(row["close_timestamp"])}
    return trade_or_refusal(values | times | {"id": number, "entries": entries, "exits": len(orders) - entries}, origin)


def _orders(row: Mapping[str, Any]) -> Iterator[FilledOrder]:
    """Yield the filled orders of a trade; results of releases that did not export `orders` have none."""
    orders = row.get("orders")
    for order in orders if isinstance(orders, list) else ():
        if not isinstance(order, dict) or order.get("order_filled_timestamp") is None:
            continue
        rate, amount = _number(order.get("safe_price")), _number(order.get("amount"))
        yield FilledOrder(
            is_entry=order.get("ft_is_entry") is True,
            rate=rate if rate is not None and rate > 0.0 else None,
            amount=amount or 0.0,
            filled_at=_instant(order["order_filled_timestamp"]),
        )


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _instant(milliseconds: Any) -> datetime | None:
    """Return the time of a timestamp in milliseconds; None for an invalid one."""
    number = _number(milliseconds)
    try:
        return None if number is None else EPOCH + timedelta(milliseconds=number)
    except (OverflowError, ValueError):
        return None
