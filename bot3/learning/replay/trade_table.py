"""In-memory table of the learner's closed trades: their groups, the state of their replays, and from which of them is learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.replay.candle_arrays import WARM_UP_CANDLES, CandleArrays
from bot3.learning.replay.censoring import CloseCounts, is_late, longest_wait_us
from bot3.learning.replay.entry_fit import INSIDE, MOST, NO_CANDLE, OUTSIDE, entry_fit
from bot3.learning.replay.groups import OUTSIDE_CANDLES, Group, has_unknown_orders, is_learned, left_out_reason, signal_rank
from bot3.learning.replay.paths import ReplayCandles, TradePaths
from bot3.learning.replay.replay import summary
from bot3.learning.replay.replay_frame import STATE_NAMES, ReplayFrame, ReplayState
from bot3.learning.replay.table_columns import FACTS, group_of, horizon_of, key_columns, records
from bot3.market.instants import DAY_US, HOUR_US, MINUTE_US, microseconds
from bot3.trading.horizons import Horizon
from bot3.trading.trades import DIRECTIONS

COMPLETE_SHARE = 0.9
"""Minimum share of the horizon's candles that must exist; the rest may be missing because of outages."""
GRACE_US = DAY_US
"""Market time to wait for late candles before a due replay gets the state `no_candles`."""
RETRY_US = HOUR_US
"""Market time between two attempts to load the candles of pairs without candles, and between two searches for missing funding."""

_UNSAVED = -1
_SAME_FUNDING = 1e-9
"""Tolerance for sums of the same payments, whose rounding depends on the first candle of the cumulative sum."""
_Signal = tuple[str, str, int, Horizon]
_Bot = tuple[str, str]


class TradeTable:
    """Closed trades, one per row; the index of a row does not change, a correction of its trade overwrites the row."""

    def __init__(self, frame: ReplayFrame) -> None:
        self._frame = frame
        self._rows: dict[tuple[Any, ...], int] = {}
        self._facts: dict[str, NDArray[Any]] = {name: np.zeros(0, dtype=kind) for name, kind in FACTS.items()}
        self._signals: dict[_Signal, list[int]] = {}
        self._pairs: list[str] = []
        self._codes: dict[str, int] = {}
        self.trades: list[dict[str, Any]] = []
        self.reasons: list[str] = []
        self.by_group: dict[Group, set[int]] = {}
        self.pending: set[int] = set()
        self.unchecked: set[int] = set()
        """Rows without known orders whose entry was not yet compared with its candle."""
        self._sources: dict[_Bot, int] = {}
        self._knows_late = False
        self._without_orders: dict[_Bot, set[int]] = {}
        self._outside: set[_Bot] = set()
        self._changed: set[_Bot] = set()
        self._without_candles: dict[str, int] = {}
        """Pairs without any candle, whose trades have the state `no_candles`, to the market time of the last attempt to load them."""

    def __len__(self) -> int:
        return len(self.trades)

    @property
    def has_entry_candle(self) -> bool:
        """Return whether a trade's path begins with the candle of its entry: only if candles last a minute at most."""
        return self._frame.candle_us <= MINUTE_US

    def fact(self, name: str) -> NDArray[Any]:
        """Return one column by its name in `FACTS`, with one value per row."""
        return self._facts[name][: len(self)]

    def group(self, row: int) -> Group:
        """Return the pair, direction, and label of the leverage bin and horizon of a row."""
        return group_of(self.trades[row])

    def ingest(self, trades: pd.DataFrame) -> set[Group]:
        """Ingest new and changed trades (the record's trade frame); return the cells whose trades to learn from changed.

        The table does not depend on the order of arrival: of the trades on one signal, the one that represents it is chosen again whenever
        one of them is new or changed.
        """
        if trades.empty:
            return set()
        touched: set[Group] = set()
        signals: set[_Signal] = set()
        rows = [self._place(trade, touched, signals) for trade in records(trades)]
        self._write(np.array(rows, dtype=np.int64), trades)
        for signal in signals:
            touched |= self._elect(signal)
        return {group for group in touched if is_learned(group[2])}

    def due_us(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return when the replays of rows are due, in microseconds since 1970: one candle after the end of their horizons."""
        due: NDArray[np.int64] = self._facts["open_us"][rows] + (self._facts["horizon_candles"][rows] + 1) * self._frame.candle_us
        return due

    def days(self, rows: NDArray[np.int64]) -> int:
        """Return the longest horizon of some rows in days, rounded up; 1 without rows."""
        longest = int(self._facts["horizon_candles"][rows].max(initial=0)) * self._frame.candle_us
        return max(1, -(-longest // DAY_US))

    def rows(self, cell: Group) -> NDArray[np.int64]:
        """Return the rows of a cell sorted by entry time, then bot, run mode and trade id: independent of the order of arrival."""
        own = self.by_group.get(cell, set())
        rows = np.fromiter(own, dtype=np.int64, count=len(own))
        opened = self._facts["open_us"][rows]
        order = np.argsort(opened, kind="stable")
        if bool((np.diff(opened[order]) == 0).any()):
            return np.array(sorted(own, key=self._order), dtype=np.int64)
        ordered: NDArray[np.int64] = rows[order]
        return ordered

    def by_entry(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows sorted by entry time, then bot, run mode and trade id: independent of the order of arrival."""
        return np.array(sorted(rows.tolist(), key=self._order), dtype=np.int64)

    def observations(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the given rows that are learned from: their whole horizon was replayed."""
        observed: NDArray[np.int64] = rows[self._facts["state"][rows] == int(ReplayState.COMPLETE)]
        return observed

    def count_closes(self, rows: NDArray[np.int64]) -> CloseCounts:
        """Count the given trades, and those left out of learning or late.

        A trade that is not learned from only because another one represents its signal is not counted as left out, but may be late.
        """
        left_out, late = self._missing(rows)
        return CloseCounts(closed=len(rows), left_out=int(left_out.sum()), late=int(late.sum()))

    def closes_by_node(self) -> dict[tuple[str, str], CloseCounts]:
        """Count all trades, and those left out of learning or late, by pair and direction, without those that have no trades."""
        code = self.fact("pair_code") * len(DIRECTIONS) + self.fact("is_short")
        left_out, late = self._missing(np.arange(len(self)))
        counts = [np.bincount(code[flags], minlength=len(self._pairs) * len(DIRECTIONS)) for flags in (slice(None), left_out, late)]
        rows = zip(*(count.tolist() for count in counts), strict=True)
        nodes = [(pair, side) for pair in self._pairs for side in DIRECTIONS]
        return {
            node: CloseCounts(closed=closed, left_out=out, late=after)
            for node, (closed, out, after) in zip(nodes, rows, strict=True)
            if closed
        }

    def _missing(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which trades are left out, and which of the others closed late."""
        facts = self._facts
        left_out: NDArray[np.bool_] = facts["is_left_out"][rows] | (facts["state"][rows] == int(ReplayState.NO_CANDLES))
        if not self._knows_late:
            columns = (self.fact(name) for name in ("open_us", "close_us"))
            self.fact("is_late")[:] = is_late(*columns, source=self.fact("source"), due_after_us=self._frame.due_after_us)
            self._knows_late = True
        return left_out, facts["is_late"][rows] & ~left_out

    def longest_wait_us(self) -> int:
        """Return how long after a day's end its trades may still close, in microseconds, judged by the trades until now (`censoring`)."""
        return longest_wait_us(self.fact("open_us"), self.fact("close_us"))

    def by_pair(self, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
        """Group rows by pair; return each pair with the indices of its rows in `rows`."""
        codes = self._facts["pair_code"][rows]
        return [(self._pairs[int(code)], np.flatnonzero(codes == code)) for code in np.unique(codes)]

    def replay_due(self, candles: dict[str, CandleArrays], walked: dict[str, ReplayCandles], *, now_us: int) -> set[Group]:
        """Replay the trades due by a time, pair by pair; return the cells whose trades to learn from, or left out, changed."""
        touched = self._check_entries(candles, now_us=now_us)
        for pair in self.pairs_to_retry(now_us=now_us):
            self._without_candles[pair] = now_us
        for pair in sorted(candles.keys() & self._without_candles.keys()):
            touched |= self._reopen(pair)
        for pair, rows in self._rows_by_pair(self.pending).items():
            if pair in candles and len(candles[pair]):
                touched |= self._replay_pair(candles[pair], walked[pair], np.array(rows, dtype=np.int64), now_us=now_us)
            else:
                touched |= self._give_up(rows, reason=f"no candles of {pair}")
                self._without_candles[pair] = now_us
        return touched

    def pairs_to_retry(self, *, now_us: int) -> set[str]:
        """Return the pairs without any candle for which an hour has passed since the last attempt to load them."""
        return {pair for pair, tried_us in self._without_candles.items() if now_us - tried_us >= RETRY_US}

    def mark_saved(self, replays: pd.DataFrame, *, version: str) -> None:
        """Load the saved states and funding of the record's replays of a version, so that unchanged replays are not written again."""
        codes = {name: state for state, name in STATE_NAMES.items()}
        current = replays[replays["version"] == version]
        measured = (current[name].tolist() for name in ("state", "funding_move"))
        for bot, mode, trade_id, open_us, state, funding in zip(*key_columns(current), *measured, strict=True):
            row = self._rows.get((bot, mode, trade_id, open_us))
            if row is not None:
                self._facts["saved_state"][row], self._facts["saved_funding"][row] = codes[state], funding

    def unsaved_rows(self) -> NDArray[np.int64]:
        """Return the rows whose state is not saved in the record yet, or whose replay is saved with other funding."""
        state = self.fact("state")
        is_same = np.abs(self.fact("funding_move") - self.fact("saved_funding")) <= _SAME_FUNDING
        return np.flatnonzero((state != self.fact("saved_state")) | ((state == int(ReplayState.COMPLETE)) & ~is_same))

    def confirm_saved(self, rows: NDArray[np.int64]) -> None:
        """Mark rows as saved with their current state and funding."""
        self._facts["saved_state"][rows] = self._facts["state"][rows]
        self._facts["saved_funding"][rows] = self._facts["funding_move"][rows]

    def horizons(self, pair: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the replayed rows of a pair, with the start and the end of the span in which each pays funding, in microseconds."""
        if pair not in self._codes:
            return (np.zeros(0, dtype=np.int64),) * 3
        rows = self.observations(np.flatnonzero(self.fact("pair_code") == self._codes[pair]))
        return rows, self._facts["open_us"][rows], self.due_us(rows) - self._frame.candle_us

    def replay_again(self, rows: NDArray[np.int64]) -> None:
        """Set replayed rows to pending, because the known data of their horizons changed."""
        for row in rows.tolist():
            self._enter_state(row, ReplayState.PENDING)

    def _rows_by_pair(self, rows: Iterable[int]) -> dict[str, list[int]]:
        by_pair: dict[str, list[int]] = {}
        for row in sorted(rows):
            by_pair.setdefault(self.trades[row]["pair"], []).append(row)
        return by_pair

    def _check_entries(self, candles: dict[str, CandleArrays], *, now_us: int) -> set[Group]:
        """Compare the entries of trades without orders with their candles; leave out those of a bot if most of them lie outside.

        Return the cells whose trades to learn from changed.
        """
        for pair, own in self._rows_by_pair(self.unchecked).items():
            rows = np.array(own, dtype=np.int64)
            opened, rates = self._facts["open_us"][rows], self._facts["open_rate"][rows]
            if pair in candles:
                fit = entry_fit(candles[pair], open_us=opened, open_rate=rates, candle_us=self._frame.candle_us)
                self._facts["entry_fit"][rows] = fit
            is_final = (self._facts["entry_fit"][rows] != NO_CANDLE) | (self.due_us(rows) + GRACE_US <= now_us)
            self.unchecked.difference_update(rows[is_final].tolist())
            self._changed |= {self._bot(row) for row in own}
        touched: set[Group] = set()
        for bot in sorted(self._changed):
            touched |= self._judge_entries(bot)
        self._changed.clear()
        return touched

    def _judge_entries(self, bot: _Bot) -> set[Group]:
        own = sorted(self._without_orders.get(bot, ()))
        fit = self._facts["entry_fit"][own]
        outside, seen = int((fit == OUTSIDE).sum()), int((fit >= INSIDE).sum())
        if (outside > MOST * seen) == (bot in self._outside):
            return set()
        self._outside ^= {bot}
        self._facts["is_left_out"][own] = [self._left_out(row) is not None for row in own]
        touched: set[Group] = set()
        for signal in {self._signal(row) for row in own}:
            touched |= self._elect(signal)
        return touched

    def _bot(self, row: int) -> _Bot:
        trade = self.trades[row]
        return trade["bot"], trade["run_mode"]

    def _left_out(self, row: int) -> str | None:
        """Return the reason why the trade of a row is not learned from; None if it is learned from."""
        reason = left_out_reason(self.trades[row])
        is_outside = reason is None and self._bot(row) in self._outside and row in self._without_orders[self._bot(row)]
        return OUTSIDE_CANDLES if is_outside else reason

    def _place(self, trade: dict[str, Any], touched: set[Group], signals: set[_Signal]) -> int:
        """Store a trade in its row, group and signal; add the groups and signals of its old and its new state to the given sets."""
        key = (trade["bot"], trade["run_mode"], trade["trade_id"], trade["open_us"])
        group = group_of(trade)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = len(self.trades)
            self.trades.append(trade)
            self.reasons.append("")
        else:
            touched.add(self.group(row))
            self.by_group.get(self.group(row), set()).discard(row)
            signals.add(self._signal(row))
            self._signals[self._signal(row)].remove(row)
            if row in self._without_orders.get(self._bot(row), ()):
                self._without_orders[self._bot(row)].discard(row)
                self.unchecked.discard(row)
                self._changed.add(self._bot(row))
            self.trades[row] = trade
            self.reasons[row] = ""
        if has_unknown_orders(trade):
            self._without_orders.setdefault(self._bot(row), set()).add(row)
            self.unchecked.add(row)
        touched.add(group)
        if is_learned(group[2]):
            self.by_group.setdefault(group, set()).add(row)
        signals.add(self._signal(row))
        self._signals.setdefault(self._signal(row), []).append(row)
        return row

    def _write(self, rows: NDArray[np.int64], trades: pd.DataFrame) -> None:
        self._make_room(len(self.trades))
        facts = self._facts
        for name in ("close_profit", "open_rate", "leverage", "is_short"):
            facts[name][rows] = trades[name].to_numpy()
        facts["pair_code"][rows] = [self._code(pair) for pair in trades["pair"].tolist()]
        facts["open_us"][rows], facts["close_us"][rows] = microseconds(trades["open_date"]), microseconds(trades["close_date"])
        facts["source"][rows] = [self._sources.setdefault(self._bot(row), len(self._sources)) for row in rows.tolist()]
        self._knows_late = False
        facts["sigma"][rows], facts["candles"][rows] = np.nan, 0
        names = trades["horizon"].tolist() if "horizon" in trades.columns else [None] * len(rows)
        facts["horizon_candles"][rows] = self._frame.candles_of(names)
        facts["entry_fit"][rows] = NO_CANDLE
        facts["saved_state"][rows], facts["state"][rows] = _UNSAVED, ReplayState.PENDING
        facts["is_left_out"][rows] = [self._left_out(row) is not None for row in rows.tolist()]
        self.pending.update(rows.tolist())

    def _code(self, pair: str) -> int:
        if pair not in self._codes:
            self._codes[pair] = len(self._pairs)
            self._pairs.append(pair)
        return self._codes[pair]

    def _signal(self, row: int) -> _Signal:
        # Trades of one pair, direction and horizon that were entered in one candle share the candles after it: they are one observation.
        trade = self.trades[row]
        return trade["pair"], trade["direction"], trade["open_us"] // self._frame.candle_us, horizon_of(trade)

    def _order(self, row: int) -> tuple[Any, ...]:
        trade = self.trades[row]
        return trade["open_us"], trade["bot"], trade["run_mode"], trade["trade_id"]

    def _elect(self, signal: _Signal) -> set[Group]:
        """Choose the trade that represents a signal and leave out the others; return the cells whose trades to learn from changed."""
        rows = self._signals.get(signal, [])
        if len(rows) == 1 and rows[0] in self.pending and self._left_out(rows[0]) is None:
            return set()
        forced = {row: self._left_out(row) for row in rows}
        candidates = [row for row in rows if forced[row] is None]
        chosen = min(candidates, key=lambda row: signal_rank(self.trades[row])) if candidates else None
        touched: set[Group] = set()
        for row in rows:
            state = ReplayState(int(self._facts["state"][row]))
            if row == chosen:
                if state is ReplayState.LEFT_OUT:
                    self._enter_state(row, ReplayState.PENDING)
                continue
            reason = forced[row] or f"same signal as {self._name(chosen)}"
            if state is not ReplayState.LEFT_OUT or self.reasons[row] != reason:
                touched.add(self.group(row))
                self._enter_state(row, ReplayState.LEFT_OUT, reason=reason)
        return touched

    def _name(self, row: int | None) -> str:
        trade = {} if row is None else self.trades[row]
        return f"{trade.get('bot')} trade {trade.get('trade_id')}"

    def _enter_state(self, row: int, state: ReplayState, *, reason: str = "") -> None:
        self._facts["state"][row] = state
        self.reasons[row] = reason
        if state is ReplayState.LEFT_OUT:
            # Whether sigma was known before depends on the order of arrival; the learning result must not depend on it.
            self._facts["sigma"][row], self._facts["candles"][row] = np.nan, 0
        if state is ReplayState.PENDING:
            self.pending.add(row)
        else:
            self.pending.discard(row)

    def _reopen(self, pair: str) -> set[Group]:
        """Set the trades of a pair whose candles are now available from `no_candles` to pending; return their groups."""
        del self._without_candles[pair]
        given_up = (self.fact("pair_code") == self._codes[pair]) & (self.fact("state") == int(ReplayState.NO_CANDLES))
        rows = np.flatnonzero(given_up).tolist()
        for row in rows:
            self._enter_state(row, ReplayState.PENDING)
        return {self.group(row) for row in rows}

    def _give_up(self, rows: Iterable[int], *, reason: str) -> set[Group]:
        """Set rows to `no_candles`; return their groups, in whose evidence these closes are missing."""
        touched: set[Group] = set()
        for row in rows:
            self._enter_state(row, ReplayState.NO_CANDLES, reason=reason)
            touched.add(self.group(row))
        return touched

    def _replay_pair(self, candles: CandleArrays, walked: ReplayCandles, rows: NDArray[np.int64], *, now_us: int) -> set[Group]:
        step = self._frame.candle_us
        opened = self._facts["open_us"][rows]
        entry = np.searchsorted(candles.open_us, opened, side="right") - 1
        started = (entry >= WARM_UP_CANDLES) & (candles.open_us[np.maximum(entry, 0)] + step > opened)
        horizon = self._facts["horizon_candles"][rows]
        sigma = candles.sigma[np.maximum(entry - 1, 0)] * np.sqrt(horizon / self._frame.horizon_candles)
        started &= np.isfinite(sigma) & (sigma > 0.0)
        # An entry after the last candle: its candles are not available yet.
        early = opened >= candles.open_us[-1] + step
        last_open = opened // step * step + horizon * step
        end = np.searchsorted(candles.open_us, last_open, side="right")
        covered = candles.open_us[-1] >= last_open
        due = self.due_us(rows) <= now_us
        self._facts["sigma"][rows[started]] = sigma[started]
        late = due & (early | ~covered) & (self.due_us(rows) + GRACE_US <= now_us)
        ready = started & due & covered
        count = end - entry - (not self.has_entry_candle)
        whole = count >= COMPLETE_SHARE * horizon
        lacking = (
            (~started & ~early, "no candles before and at the entry"),
            (late, "candles end before the horizon"),
            (ready & ~whole, "too many candles of the horizon are missing"),
        )
        touched = self._store(walked, rows[ready & whole], entry[ready & whole], end[ready & whole])
        for flags, reason in lacking:
            touched |= self._give_up(rows[flags].tolist(), reason=reason)
        return touched

    def _store(self, walked: ReplayCandles, rows: NDArray[np.int64], entry: NDArray[np.int64], end: NDArray[np.int64]) -> set[Group]:
        if not len(rows):
            return set()
        facts = self._facts
        columns = {name: facts[name][rows] for name in ("open_rate", "is_short", "leverage", "sigma")}
        found = summary(walked, TradePaths(entry=entry, end=end, **columns, has_entry_candle=self.has_entry_candle))
        facts["entry"][rows], facts["end"][rows] = entry, end
        for name in ("mae_move", "mfe_move", "exit_move", "funding_move"):
            facts[name][rows] = getattr(found, name)
        facts["candles"][rows] = end - entry - (not self.has_entry_candle)
        facts["state"][rows] = ReplayState.COMPLETE
        self.pending.difference_update(rows.tolist())
        return {self.group(row) for row in rows.tolist()}

    def _make_room(self, n: int) -> None:
        have = len(self._facts["state"])
        if n <= have:
            return
        more = max(1_024, have, n - have)
        for name, values in self._facts.items():
            self._facts[name] = np.concatenate([values, np.zeros(more, dtype=values.dtype)])
