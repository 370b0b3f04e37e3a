"""Read closed trades of a freqtrade database as columns: the rows that are certainly valid all at once, the other few one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from bot3.adapters.freqtrade.conditions import ABOVE_ZERO, BOUNDS, IS_OPEN, LARGEST
from bot3.adapters.freqtrade.rows import AMOUNT_COLUMNS, grew
from bot3.adapters.freqtrade.trades import FreqtradeTrades, perhaps_closed_since
from bot3.adapters.sql.columns import NO_TIME, Columns, read_columns
from bot3.ports.trade_columns import COLUMNS, FLOATS, TradeColumns
from bot3.trading.names import pair_problem, text_problem
from bot3.trading.trades import OrderPattern, Trade

_TEXTS, _TIMES = ("pair", "enter_tag", "exit_reason"), ("open_date", "close_date")
_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "id": sa.BigInteger(),
    "is_short": sa.Boolean(),
    **dict.fromkeys(_TEXTS, sa.String()),
    **dict.fromkeys(_TIMES, sa.DateTime()),
}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # in local time, as freqtrade's columns are read
_DAY = timedelta(days=1)
_DAY_US = _DAY // timedelta(microseconds=1)
_FIRST_US, _LAST_US = (round((at - _EPOCH) / _DAY) * _DAY_US for at in (datetime(1900, 1, 1), datetime(9990, 1, 1)))  # noqa: DTZ001
_FEW = 500


class FreqtradeColumns(FreqtradeTrades):
    """A `ColumnReader` of a freqtrade database."""

    def closed_columns(self, *, closed_since: datetime | None) -> TradeColumns:
        """Return the trades of `closed_trades` as columns, in any order."""
        if not self._is_plain or self._has_text_orders:
            return TradeColumns.of(self.closed_trades(closed_since=closed_since))
        names = [name for name in self._names if name != "is_open"]
        # SQLite stores any value in a boolean column: read as a number, a value other than 0 and 1 is detected.
        types = _TYPES | ({"is_short": sa.Double()} if self._database.is_sqlite else {})
        rows = sa.table("trades", *(sa.column(name, types.get(name, sa.Double())) for name in names))
        conditions = [~IS_OPEN] if closed_since is None else [~IS_OPEN, perhaps_closed_since(closed_since)]
        query = self._with_counts(rows, *conditions)
        with self._database.read() as connection:
            read = read_columns(connection, query)
            for name in _TIMES:
                read[name] = _in_utc(read[name], self._origin.zone)
            sound = _sound(read)
            read["is_short"] = read["is_short"] == 1
            doubtful = list(self._one_by_one(connection, read["id"][~sound]))
        columns = TradeColumns.joined(self._columns({name: column[sound] for name, column in read.items()}), TradeColumns.of(doubtful))
        return columns.closed_since(closed_since)

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades that `closed_trades` would return."""
        if self._origin.zone.key == "UTC":
            return super().count_closed(closed_since=closed_since)
        # SQL cannot decide which of two local times is later.
        return len(self.closed_columns(closed_since=closed_since))

    def _one_by_one(self, connection: Connection, ids: NDArray[np.int64]) -> Iterator[Trade]:
        wanted = ids.tolist()
        for start in range(0, len(wanted), _FEW):
            yield from self._trades(connection, sa.column("id").in_(wanted[start : start + _FEW]))[0]

    def _columns(self, read: Columns) -> TradeColumns:
        """Return rows that are valid trades as trade columns."""
        count = len(read["id"])
        said = {"bot": self._origin.bot, "run_mode": self._origin.run_mode.value, "account": self._origin.account}
        known: Columns = {name: np.full(count, text, dtype="object") for name, text in said.items()}
        known |= {"trade_id": read["id"], "is_short": read["is_short"], "is_open": np.zeros(count, dtype="bool")}
        known |= {f"{name}_us": read[name] for name in _TIMES}
        known |= {name: read[name] if name in read else np.full(count, None, dtype="object") for name in _TEXTS}
        known |= {name: _finite(read[name]) if name in read else np.full(count, np.nan) for name in FLOATS}
        # Adding zero turns minus zero into zero, as for rows that are read one by one.
        known["funding_fees"] = np.nan_to_num(known["funding_fees"], nan=0.0) + 0.0
        known["order_pattern"] = _order_patterns(read)
        known["horizon"] = np.full(count, None, dtype="object")
        return TradeColumns(arrays={name: known[name] for name in COLUMNS})


def _order_patterns(read: Columns) -> NDArray[np.object_]:
    """Return the order pattern of each row; the amounts are compared only for rows without orders."""
    entries, exits = read["entries"], read["exits"]
    patterns = np.full(len(entries), OrderPattern.SINGLE.value, dtype="object")
    names = ("amount", "stake_amount", *(name for name in AMOUNT_COLUMNS if name in read))
    for row in np.flatnonzero((entries + exits == 0) | (entries > 1) | (exits > 1)).tolist():
        has_grown = not entries[row] + exits[row] and grew({name: read[name][row] for name in names})
        patterns[row] = OrderPattern.of_counts(entries=int(entries[row]), exits=int(exits[row]), grew=has_grown).value
    return patterns


def _finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _in_utc(local: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Return local times in UTC; `NO_TIME`, which makes the row doubtful, if one is invalid or the zone's offset changes on its day."""
    if zone.key == "UTC":
        return local
    is_known = (local > _FIRST_US) & (local < _LAST_US)
    days, places = np.unique(np.where(is_known, local, 0) // _DAY_US, return_inverse=True)
    offsets = np.array([_offset_us(_EPOCH + int(day) * _DAY, zone) for day in days.tolist()], dtype="int64")[places]
    return np.where(is_known & (offsets != NO_TIME), local - offsets, NO_TIME)


def _offset_us(day: datetime, zone: ZoneInfo) -> int:
    """Return a zone's offset from UTC on a local day in microseconds; `NO_TIME` if it changes on that day."""
    ends = (day, day + _DAY)
    offsets = {at.replace(tzinfo=zone, fold=fold).utcoffset() for at in ends for fold in (0, 1)}
    offset = offsets.pop()
    return NO_TIME if offsets or offset is None else offset // timedelta(microseconds=1)


def _sound(read: Columns) -> NDArray[np.bool_]:
    """Return which rows are certainly valid trades; others may be valid too, since the bounds used here are slightly too narrow."""
    opened, closed = read["open_date"], read["close_date"]
    sound: NDArray[np.bool_] = (opened != NO_TIME) & (closed != NO_TIME) & (opened <= closed)
    sound &= np.abs(read["close_profit_abs"]) <= LARGEST
    sound &= (read["is_short"] == 0) | (read["is_short"] == 1)
    bounds = dict.fromkeys(ABOVE_ZERO, (1.0 / LARGEST, LARGEST)) | BOUNDS
    for name, (low, high) in bounds.items():
        sound &= (read[name] >= low) & (read[name] <= high)
    sound &= _are_sound(read["pair"], pair_problem)
    for name in ("enter_tag", "exit_reason"):
        if name in read:
            sound &= _are_sound(read[name], text_problem)
    return sound


def _are_sound(texts: NDArray[Any], problem: Callable[[Any], str | None]) -> NDArray[np.bool_]:
    """Return which texts have no problem; each distinct text is checked once."""
    found = texts.tolist()
    wrong = {text for text in set(found) if problem(text) is not None}
    return np.array([text not in wrong for text in found], dtype="bool") if wrong else np.ones(len(found), dtype="bool")
