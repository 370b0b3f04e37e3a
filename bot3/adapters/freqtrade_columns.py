"""All closed trades of a freqtrade database as columns: what is surely sound at once, the few doubtful rows one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from bot3.adapters.freqtrade_conditions import IS_OPEN
from bot3.adapters.freqtrade_rows import trade_or_refusal
from bot3.adapters.freqtrade_trades import FreqtradeTrades
from bot3.ports.trade_columns import COLUMNS, FLOATS, TradeColumns, plain_floats
from bot3.trading.trades import Trade

_ABOVE_ZERO = ("open_rate", "close_rate", "amount", "stake_amount")
_LARGEST = 1e300
_BOUNDS = {"leverage": (1.0, 10.0), "fee_open": (-0.09, 0.09), "fee_close": (-0.09, 0.09), "close_profit": (-1.9, _LARGEST)}


class FreqtradeColumns(FreqtradeTrades):
    """A `ColumnReader` on a freqtrade database."""

    def closed_columns(self) -> TradeColumns:
        """Return what `closed_trades(closed_since=None)` returns, in any order.

        Local times take the way through trades, one by one: an hour that is told twice is a matter of both dates of a row.
        """
        if self._origin.zone.key != "UTC":
            return TradeColumns.of(self.closed_trades(closed_since=None))
        with self._database.read() as connection:
            rows = _fetch(connection, sa.select(self._table()).where(~IS_OPEN), is_sqlite=self._database.is_sqlite)
        read: dict[str, Sequence[Any]] = dict(zip(self._names, zip(*rows, strict=True) if rows else [()] * len(self._names), strict=True))
        times = {name: _times(read[name]) for name in ("open_date", "close_date")}
        numbers = {name: _numbers(read[name]) for name in FLOATS if name in read}
        sound = _sound(numbers, times)
        doubtful = (trade_or_refusal(dict(zip(self._names, rows[place], strict=True)), self._origin) for place in np.flatnonzero(~sound))
        rest = TradeColumns.of([trade for trade in doubtful if isinstance(trade, Trade)])
        return TradeColumns.joined(self._columns(read, numbers, times, np.flatnonzero(sound)), rest)

    def _columns(
        self,
        read: Mapping[str, Sequence[Any]],
        numbers: Mapping[str, NDArray[np.float64]],
        times: Mapping[str, NDArray[np.int64]],
        places: NDArray[np.intp],
    ) -> TradeColumns:
        count, at = len(places), places.tolist()
        known: dict[str, list[Any]] = {name: [None] * count for name in COLUMNS}
        known |= {"bot": [self._origin.bot] * count, "run_mode": [self._origin.run_mode.value] * count}
        known |= {"account": [self._origin.account] * count, "is_open": [False] * count}
        known |= {name: list(plain_floats(_finite(column[places]))) for name, column in numbers.items()}
        known["funding_fees"] = [value or 0.0 for value in known["funding_fees"]]
        known |= {f"{name}_us": column[places].tolist() for name, column in times.items()}
        known["trade_id"] = list(map(int, _picked(read["id"], at)))
        known["is_short"] = list(map(bool, _picked(read["is_short"], at)))
        for name in ("pair", "enter_tag", "exit_reason"):
            if name in read:
                known[name] = [None if value is None else str(value) for value in _picked(read[name], at)]
        return TradeColumns(lists=known)


def _picked(column: Sequence[Any], places: Sequence[int]) -> Sequence[Any]:
    return column if len(places) == len(column) else [column[place] for place in places]


def _fetch(connection: Connection, query: sa.Select[Any], *, is_sqlite: bool) -> list[Any]:
    driver: Any = connection.connection.driver_connection
    text = str(query.compile(connection))
    if is_sqlite:
        return list(driver.execute(text).fetchall())
    # Numbers and times come as bytes, not as texts to be parsed.
    with driver.cursor(binary=True) as cursor:
        return list(cursor.execute(text).fetchall())


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return numbers, NaN for what is none."""
    try:
        return np.array(values, dtype="float64")
    except (TypeError, ValueError):
        return np.array([_number(value) for value in values], dtype="float64")


def _number(value: Any) -> float:
    try:
        return float("nan") if value is None else float(value)
    except (TypeError, ValueError):
        return float("nan")


_NO_TIME = np.iinfo(np.int64).min


def _times(values: Sequence[Any]) -> NDArray[np.int64]:
    """Return microseconds since 1970, the smallest number for what is no time; where one is in doubt, all are looked at one by one."""
    if not all(map(_is_plain, values)):
        return np.full(len(values), _NO_TIME, dtype="int64")
    try:
        return np.array(values, dtype="datetime64[us]").astype("int64")
    except (TypeError, ValueError):
        return np.full(len(values), _NO_TIME, dtype="int64")


def _is_plain(value: Any) -> bool:
    """Say whether a time is as freqtrade writes it, without a zone: numpy takes other texts too, "now" among them."""
    if isinstance(value, datetime):
        return value.tzinfo is None
    return (
        isinstance(value, str)
        and value[10:11] == " "
        and (len(value) == 19 or (len(value) == 26 and value[19] == "." and value[20:].isdigit()))
    )


def _finite(numbers: NDArray[np.float64]) -> Any:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _sound(numbers: Mapping[str, NDArray[np.float64]], times: Mapping[str, NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Say which rows are surely trades; the bounds are those of `freqtrade_conditions`, a little inside what a row may be."""
    opened, closed = times["open_date"], times["close_date"]
    sound: NDArray[np.bool_] = (
        (opened != _NO_TIME) & (closed != _NO_TIME) & (opened <= closed) & (np.abs(numbers["close_profit_abs"]) <= _LARGEST)
    )
    bounds = dict.fromkeys(_ABOVE_ZERO, (1.0 / _LARGEST, _LARGEST)) | _BOUNDS
    for name, (low, high) in bounds.items():
        sound &= (numbers[name] >= low) & (numbers[name] <= high)
    return sound
