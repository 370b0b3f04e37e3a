"""Store a bot's data in SQL: planned orders (intents), fills, funding and decisions, and the trades and orders computed from them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.bot.decisions import read_decisions
from bot3.adapters.sql.bot.journal_rows import decision_row, fill_row, intent_of_row, intent_row, payment_row
from bot3.adapters.sql.bot.projection import StoreIdentity, project_trades, trades_of_orders, trades_of_pairs
from bot3.adapters.sql.bot.reader import SqlTradeReader
from bot3.adapters.sql.bot.tables import (
    bookmarks,
    decisions,
    fills,
    foreign_fills,
    funding_payments,
    intents,
    rate_extremes,
    risk_latch,
    store_identity,
    trades,
)
from bot3.adapters.sql.bot.trade_rows import trade_row
from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.rows import from_us, insert_ignore, maybe_us, to_us, upsert
from bot3.errors import StoreError
from bot3.ports.latch_fields import fields_of, latch_of
from bot3.trading.ledger import require_exit_reason
from bot3.trading.orders import Decision, Fill, FundingPayment, Intent, IntentLeg, IntentState
from bot3.trading.risk import RiskLatch
from bot3.trading.trades import RunMode, Trade

_UNSETTLED = (IntentState.PLANNED.value, IntentState.SENT.value, IntentState.ACKED.value)


class SqlBotStore(SqlTradeReader):
    """A `BotStore` on SQLite or PostgreSQL."""

    @classmethod
    def open(
        cls,
        url: str,
        *,
        bot: str,
        run_mode: RunMode,
        account: str,
        exchange: str = "paper",
        read_only: bool = False,
        busy_timeout_s: float = 5.0,
    ) -> Self:
        """Open a bot's store, create it if it is missing, and migrate its schema to this release.

        Parameters
        ----------
        bot, run_mode, account : key
            Identity of the store: written at its creation, and required to be equal afterwards.
        exchange : str
            Exchange of imported trades, as freqtrade's lower-case id (other trades have the exchange of their fills); set at creation.
        read_only : bool
            Neither create nor migrate the store: it must exist and have this release's schema.

        Raises
        ------
        StoreError
            If the store belongs to another bot, mode or account, or cannot be read or written; with `read_only` also if it is missing or
            has an older schema.
        """
        database = Database.open(url, kind="bot", read_only=read_only, busy_timeout_s=busy_timeout_s)
        try:
            wanted = StoreIdentity(store_id=str(uuid.uuid4()), bot=bot, run_mode=run_mode, account=account, exchange=exchange)
            return cls(database, _identity(database, wanted, read_only=read_only))
        except BaseException:
            database.close()
            raise

    def next_trade_id(self) -> int:
        """Return a trade id that no stored trade or intent has."""
        with self._database.read() as connection:
            newest = [connection.execute(sa.select(sa.func.max(column))).scalar() for column in (trades.c.id, intents.c.trade_id)]
        return max((int(one) for one in newest if one is not None), default=0) + 1

    def plan_intent(self, intent: Intent) -> bool:
        """Insert an intent in state PLANNED; return False, and change nothing, if the same intent is stored already.

        Two entries are the same if pair, candle and attempt are equal, whatever their trade ids: a restart may assign another id, and a
        decision must create one order. Other intents are the same if their client order ids are. Raises StoreError for an intent of another
        bot or account, InvalidTradeError for an exit without an exit reason in its context.
        """
        self._require_own(intent.bot, account=intent.account, what=intent.client_order_id)
        if intent.leg is IntentLeg.EXIT:
            require_exit_reason(intent)
        with self._write() as connection:
            return insert_ignore(connection, intents, [intent_row(intent) | {"state": IntentState.PLANNED.value}]) == 1

    def move_intent(
        self,
        client_order_id: str,
        *,
        state: IntentState,
        sent_at: datetime | None = None,
        exchange_order_id: str | None = None,
        reject_reason: str | None = None,
    ) -> None:
        """Update an intent's state and the fields that are not None. Raises StoreError if there is no such intent."""
        given = {"sent_at_us": maybe_us(sent_at), "exchange_order_id": exchange_order_id, "reject_reason": reject_reason}
        values = {"state": state.value} | {name: value for name, value in given.items() if value is not None}
        change = sa.update(intents).where(intents.c.client_order_id == client_order_id).values(**values).returning(intents.c.trade_id)
        with self._write() as connection:
            trade_id = connection.execute(change).scalar_one_or_none()
            if trade_id is None:
                raise StoreError(f"{self._database.shown} contains no intent {client_order_id}: plan it first")
            project_trades(connection, [trade_id], identity=self._identity)

    def unsettled_intents(self) -> list[Intent]:
        """Return the intents in state PLANNED, SENT or ACKED, oldest first."""
        return self._intents(intents.c.state.in_(_UNSETTLED))

    def intents_of_trade(self, trade_id: int) -> list[Intent]:
        """Return a trade's intents, oldest first."""
        return self._intents(intents.c.trade_id == trade_id)

    def entries_of_close(self, pair: str, candle_close_time: datetime) -> list[Intent]:
        """Return the entry intents of a pair that were decided at a candle's close, oldest first."""
        of_close = sa.and_(intents.c.pair == pair, intents.c.candle_close_time_us == to_us(candle_close_time))
        return self._intents(sa.and_(of_close, intents.c.leg == IntentLeg.ENTRY.value))

    def book(self, fills: Sequence[Fill], funding: Sequence[FundingPayment]) -> list[Trade]:
        """Insert new fills and payments, update the trades and orders computed from them, and return the changed trades (open and closed).

        Raises
        ------
        StoreError
            For fills whose client order id no intent has: they are stored in `foreign_fills`, all others are booked, the error names them.
            If a fill or payment is of another account: nothing is written.
        """
        for account, pair in {(entry.account, entry.pair) for entry in fills} | {(entry.account, entry.pair) for entry in funding}:
            self._require_own(self.bot, account=account, what=f"a booking of {pair}")
        with self._write() as connection:
            foreign = self._insert(connection, fills, funding)
            touched = self._touched(connection, fills, funding)
            changed = project_trades(connection, touched, identity=self._identity)
        if foreign:
            names = ", ".join(f"{fill.exchange_trade_id} of order {fill.client_order_id}" for fill in foreign)
            raise StoreError(
                f"{self._database.shown}: no intent has the order of fill {names}: it is stored in the table foreign_fills; the bot must "
                "not enter trades until the cause is known"
            )
        return changed

    def mark_rates(self, trade_id: int, *, min_rate: float, max_rate: float) -> None:
        """Lower a trade's lowest rate and raise its highest rate to the given ones; rates inside its range do not change them."""
        query = sa.select(rate_extremes).where(rate_extremes.c.trade_id == trade_id)
        with self._write() as connection:
            seen = connection.execute(query).one_or_none()
            low = min_rate if seen is None else min(min_rate, seen.min_rate)
            high = max_rate if seen is None else max(max_rate, seen.max_rate)
            row = {"trade_id": trade_id, "account": self.account, "min_rate": low, "max_rate": high}
            upsert(connection, rate_extremes, row)
            project_trades(connection, [trade_id], identity=self._identity)

    def record_decisions(self, decisions: Sequence[Decision]) -> None:
        """Insert decisions; one whose pair, candle and feeder are stored already is skipped."""
        with self._write() as connection:
            insert_ignore(connection, _DECISIONS, [decision_row(decision, account=self.account) for decision in decisions])

    def decisions_frame(self, *, limit: int) -> pd.DataFrame:
        """Return the newest decisions, newest first, with the results of their orders; columns are `Decision`'s fields, `detail` a dict."""
        with self._database.read() as connection:
            return read_decisions(connection, limit=limit)

    def import_trades(self, trades: Sequence[Trade]) -> int:
        """Insert closed trades unchanged and skip those that are stored already; return the number of new trades.

        Raises
        ------
        StoreError
            If another trade is stored under the id of a given one, or a given one is open, or of another mode, bot or account. Then nothing
            is inserted.
        """
        for trade in trades:
            self._require_own(trade.bot, account=trade.account, what=f"trade {trade.trade_id}")
            if trade.run_mode is not self.run_mode or trade.is_open:
                raise StoreError(f"{self._database.shown} accepts only finished {self.run_mode} trades, not trade {trade.trade_id}")
        if not trades:
            return 0
        with self._write() as connection:
            there = {row.id: row for row in connection.execute(sa.select(_TRADES.c.id, *_IDENTITY))}
            self._require_same_trades(there, trades)
            new = {trade.trade_id: trade for trade in trades if trade.trade_id not in there}
            if new:
                rows = [trade_row(trade, exchange=self._identity.exchange, strategy=self.bot) for trade in new.values()]
                connection.execute(sa.insert(_TRADES), rows)
        return len(new)

    def bookmark(self, name: str) -> datetime | None:
        """Return the market time that the daemon stored under a name; None if there is none."""
        with self._database.read() as connection:
            at_us = connection.execute(sa.select(bookmarks.c.at_us).where(bookmarks.c.name == name)).scalar_one_or_none()
        return None if at_us is None else from_us(at_us)

    def latch(self) -> RiskLatch | None:
        """Return the bot's latch (trading state and the equity values that losses are measured from); None if nothing is stored.

        Raises StoreError if it is invalid.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(risk_latch)).mappings().one_or_none()
        return (
            None
            if row is None
            else latch_of({str(name): value for name, value in row.items()}, shown=f"{self._database.shown}, table risk_latch")
        )

    def save_latch(self, latch: RiskLatch) -> None:
        """Write the bot's latch; it replaces the one before."""
        with self._write() as connection:
            upsert(connection, risk_latch, {"id": 1, "account": self.account, **fields_of(latch)})

    def set_bookmark(self, name: str, at: datetime) -> None:
        """Store a market time under a name; it replaces the one before."""
        with self._write() as connection:
            upsert(connection, bookmarks, {"name": name, "account": self.account, "at_us": to_us(at)})

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                # On a server the counter is the change token, and its row lock serializes writers.
                connection.execute(sa.update(store_identity).values(writes=store_identity.c.writes + 1))
            yield connection

    def _intents(self, condition: sa.ColumnElement[bool]) -> list[Intent]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(intents).where(condition).order_by(intents.c.seq)).all()
        return [intent_of_row(row) for row in rows]

    def _insert(self, connection: Connection, booked: Sequence[Fill], funding: Sequence[FundingPayment]) -> list[Fill]:
        known = trades_of_orders(connection, (fill.client_order_id for fill in booked))
        foreign = [fill for fill in booked if fill.client_order_id not in known]
        insert_ignore(connection, fills, [fill_row(fill) for fill in booked if fill.client_order_id in known])
        insert_ignore(connection, foreign_fills, [fill_row(fill) for fill in foreign])
        insert_ignore(connection, funding_payments, [payment_row(payment) for payment in funding])
        return foreign

    def _touched(self, connection: Connection, booked: Sequence[Fill], funding: Sequence[FundingPayment]) -> set[int]:
        touched = set(trades_of_orders(connection, (fill.client_order_id for fill in booked)).values())
        return touched | trades_of_pairs(connection, funding)

    def _require_same_trades(self, there: Mapping[int, sa.Row[Any]], given: Sequence[Trade]) -> None:
        for trade in given:
            if (row := there.get(trade.trade_id)) is None:
                continue
            mine = trade_row(trade, exchange=self._identity.exchange, strategy=self.bot)
            other = [column.name for column in _IDENTITY if getattr(row, column.name) != mine[column.name]]
            if other:
                raise StoreError(
                    f"{self._database.shown} contains another trade {trade.trade_id} than the imported one: {', '.join(other)} differ; "
                    "two histories must not be mixed: name another file or database, or another home"
                )

    def _require_own(self, bot: str, *, account: str, what: str) -> None:
        if bot != self.bot or account != self.account:
            raise StoreError(f"{self._database.shown} belongs to {self.bot} on {self.account}: {what} belongs to {bot} on {account}")


# The port's parameters have these names too.
_DECISIONS = decisions
_TRADES = trades

_IDENTITY = tuple(trades.c[name] for name in ("pair", "is_short", "enter_tag", "leverage", "open_date", "close_date"))
"""Columns that distinguish one finished trade from another with the same id; profits are not compared."""


def _identity(database: Database, wanted: StoreIdentity, *, read_only: bool) -> StoreIdentity:
    if not read_only:
        row: dict[str, Any] = {
            "id": 1,
            "store_id": wanted.store_id,
            "bot": wanted.bot,
            "run_mode": wanted.run_mode.value,
            "account": wanted.account,
            "exchange": wanted.exchange,
            "writes": 0,
        }
        with database.read() as connection:
            missing = connection.execute(sa.select(store_identity.c.id)).first() is None
        if missing:
            with database.write() as connection:
                insert_ignore(connection, store_identity, [row])
    with database.read() as connection:
        found = connection.execute(sa.select(store_identity)).one_or_none()
    if found is None:
        raise StoreError(f"{database.shown} contains no identity: run `bot3 init`")
    _require_same(
        database.shown, wanted=(wanted.bot, wanted.run_mode.value, wanted.account), found=(found.bot, found.run_mode, found.account)
    )
    return StoreIdentity(
        store_id=found.store_id, bot=found.bot, run_mode=RunMode(found.run_mode), account=found.account, exchange=found.exchange
    )


def _require_same(shown: str, *, wanted: tuple[str, ...], found: tuple[str, ...]) -> None:
    if wanted != found:
        raise StoreError(f"{shown} belongs to {' '.join(found)}, not to {' '.join(wanted)}: name another file or database")
