"""Store the simulated exchange's orders, fills, positions, funding and wallet in one SQLite file, durably at every commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot3.errors import ExchangeBusyError, StoreError
from bot3.market.instants import instant_of, instant_us
from bot3.trading.orders import Fill, FundingPayment, OrderSide, OrderStatus, OrderType

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, wallet_abs TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, client_order_id TEXT NOT NULL UNIQUE, pair TEXT NOT NULL, side TEXT NOT NULL,
    order_type TEXT NOT NULL, amount TEXT NOT NULL, filled TEXT NOT NULL, trigger_rate TEXT, average_rate TEXT, status TEXT NOT NULL,
    created_us INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS orders_open ON orders (pair) WHERE status = 'open';
CREATE TABLE IF NOT EXISTS fills (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, exchange_trade_id TEXT NOT NULL UNIQUE, client_order_id TEXT NOT NULL, pair TEXT NOT NULL,
    side TEXT NOT NULL, rate TEXT NOT NULL, amount TEXT NOT NULL, fee_abs TEXT NOT NULL, filled_us INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS fills_time ON fills (filled_us);
CREATE TABLE IF NOT EXISTS positions (
    pair TEXT PRIMARY KEY, is_short INTEGER NOT NULL, amount TEXT NOT NULL, open_rate TEXT NOT NULL, leverage REAL NOT NULL,
    opened_us INTEGER NOT NULL, matched_us INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS funding (
    payment_id TEXT PRIMARY KEY, pair TEXT NOT NULL, amount_abs TEXT NOT NULL, paid_us INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS funding_time ON funding (paid_us);
"""
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position of the paper account.

    `opened_us` is the open time of the candle of its entry, `matched_us` that of the first candle that its orders were not compared with
    yet, both in microseconds since 1970.
    """

    pair: str
    is_short: bool
    amount: Decimal
    open_rate: Decimal
    leverage: float
    opened_us: int
    matched_us: int

    @property
    def value_abs(self) -> Decimal:
        """Return the position's value at its entry, in stake currency."""
        return self.amount * self.open_rate

    @property
    def stake_abs(self) -> Decimal:
        """Return the margin in use: the value at entry over the leverage."""
        return self.value_abs / Decimal(str(self.leverage))


class PaperState:
    """Stores the state in one file, for one writer and one thread.

    What a `writing` block stores is durable at its end, or rolled back if the block raises. Methods raise ExchangeBusyError if another
    process has locked the file, StoreError if it cannot be used.
    """

    def __init__(self, path: Path, *, exchange: str, account: str, wallet_abs: float, busy_timeout_s: float) -> None:
        self._path, self._exchange, self._account = path, exchange, account
        with self._translated():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout_s)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            if any(column["name"] == "funded_us" for column in self._db.execute("PRAGMA table_info(positions)")):
                # A column of an earlier release: the table `funding` contains the payments that were made.
                self._db.execute("ALTER TABLE positions DROP COLUMN funded_us")
            self._db.execute("INSERT OR IGNORE INTO account VALUES (1, ?, ?)", (account, str(Decimal(str(wallet_abs)))))
        owner = self._one("SELECT name FROM account")["name"]
        if owner != account:
            self.close()
            raise StoreError(f"{path} contains the paper account {owner}, not {account}: give each account a file of its own")

    def close(self) -> None:
        """Close the database connection."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Run the block in one durable transaction; roll it back if the block raises."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # Wallet

    def wallet(self) -> Decimal:
        """Return the wallet's amount in stake currency, without open profit."""
        return Decimal(self._one("SELECT wallet_abs FROM account")["wallet_abs"])

    def credit(self, amount_abs: Decimal) -> None:
        """Add an amount to the wallet (below 0: deduct it)."""
        self._run("UPDATE account SET wallet_abs = ?", (str(self.wallet() + amount_abs),))

    # Orders

    def order(self, client_order_id: str) -> OrderStatus | None:
        """Return an order; None if the id is unknown."""
        rows = self._all("SELECT * FROM orders WHERE client_order_id = ?", (client_order_id,))
        return _order(rows[0]) if rows else None

    def open_orders(self, pair: str | None = None) -> list[OrderStatus]:
        """Return the open orders of a pair (of all pairs for None), oldest first."""
        rows = self._all("SELECT * FROM orders WHERE status = 'open' AND (? IS NULL OR pair = ?) ORDER BY seq", (pair, pair))
        return [_order(row) for row in rows]

    def add_order(self, order: OrderStatus, *, created_us: int) -> None:
        """Insert a new order."""
        self._run(
            "INSERT INTO orders (client_order_id, pair, side, order_type, amount, filled, trigger_rate, average_rate, status, created_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                order.client_order_id,
                order.pair,
                order.side.value,
                order.order_type.value,
                str(order.amount),
                str(order.filled),
                _text(order.trigger_rate),
                _text(order.average_rate),
                order.status,
                created_us,
            ),
        )

    def settle_order(self, client_order_id: str, *, status: str, filled: Decimal, average_rate: Decimal | None) -> None:
        """Update the status, filled amount and average rate of an order."""
        values = (status, str(filled), _text(average_rate), client_order_id)
        self._run("UPDATE orders SET status = ?, filled = ?, average_rate = ? WHERE client_order_id = ?", values)

    def expire_orders(self, pair: str) -> None:
        """Set the status of all open orders of a pair to expired."""
        self._run("UPDATE orders SET status = 'expired' WHERE status = 'open' AND pair = ?", (pair,))

    # Fills and funding

    def add_fill(self, fill: Fill) -> None:
        """Insert an execution."""
        values = (fill.exchange_trade_id, fill.client_order_id, fill.pair, fill.side.value, str(fill.rate), str(fill.amount))
        self._run(
            "INSERT INTO fills (exchange_trade_id, client_order_id, pair, side, rate, amount, fee_abs, filled_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, str(fill.fee_abs), instant_us(fill.filled_at)),
        )

    def fills(self, *, since: datetime) -> list[Fill]:
        """Return executions at or after a time, oldest first."""
        return [
            self._fill(row) for row in self._all("SELECT * FROM fills WHERE filled_us >= ? ORDER BY filled_us, seq", (instant_us(since),))
        ]

    def pairs_filled(self, *, since_us: int) -> list[str]:
        """Return the pairs that have a position, or an execution at or after an instant."""
        rows = self._all("SELECT pair FROM positions UNION SELECT pair FROM fills WHERE filled_us >= ? ORDER BY pair", (since_us,))
        return [row["pair"] for row in rows]

    def moves(self, pair: str, *, until_us: int) -> list[tuple[int, Decimal]]:
        """Return the times and amounts of a pair's executions up to an instant (included), below 0 if sold, oldest first."""
        rows = self._all(
            "SELECT filled_us, side, amount FROM fills WHERE pair = ? AND filled_us <= ? ORDER BY filled_us, seq", (pair, until_us)
        )
        return [(row["filled_us"], Decimal(row["amount"]) * (1 if row["side"] == OrderSide.BUY.value else -1)) for row in rows]

    def has_payment(self, payment_id: str) -> bool:
        """Return whether a funding payment was made."""
        return bool(self._all("SELECT 1 FROM funding WHERE payment_id = ?", (payment_id,)))

    def add_payment(self, payment: FundingPayment) -> None:
        """Insert a funding payment."""
        values = (payment.payment_id, payment.pair, str(payment.amount_abs), instant_us(payment.paid_at))
        self._run("INSERT INTO funding VALUES (?, ?, ?, ?)", values)

    def payments(self, *, since: datetime) -> list[FundingPayment]:
        """Return funding payments at or after a time, oldest first."""
        rows = self._all("SELECT * FROM funding WHERE paid_us >= ? ORDER BY paid_us, payment_id", (instant_us(since),))
        return [self._payment(row) for row in rows]

    # Positions

    def positions(self) -> list[Held]:
        """Return the open positions, by pair."""
        return [_held(row) for row in self._all("SELECT * FROM positions ORDER BY pair")]

    def position(self, pair: str) -> Held | None:
        """Return a pair's position; None if there is none."""
        rows = self._all("SELECT * FROM positions WHERE pair = ?", (pair,))
        return _held(rows[0]) if rows else None

    def put_position(self, held: Held) -> None:
        """Insert or update a position; a position without amount is deleted."""
        if held.amount == 0:
            self._run("DELETE FROM positions WHERE pair = ?", (held.pair,))
            return
        values = (held.pair, int(held.is_short), str(held.amount), str(held.open_rate), held.leverage)
        instants = (held.opened_us, held.matched_us)
        self._run("INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?, ?, ?)", (*values, *instants))

    def _fill(self, row: sqlite3.Row) -> Fill:
        return Fill(
            exchange=self._exchange,
            account=self._account,
            exchange_trade_id=row["exchange_trade_id"],
            client_order_id=row["client_order_id"],
            pair=row["pair"],
            side=OrderSide(row["side"]),
            rate=Decimal(row["rate"]),
            amount=Decimal(row["amount"]),
            fee_abs=Decimal(row["fee_abs"]),
            is_maker=False,
            filled_at=instant_of(row["filled_us"]),
        )

    def _payment(self, row: sqlite3.Row) -> FundingPayment:
        return FundingPayment(
            exchange=self._exchange,
            account=self._account,
            payment_id=row["payment_id"],
            pair=row["pair"],
            amount_abs=Decimal(row["amount_abs"]),
            paid_at=instant_of(row["paid_us"]),
        )

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        with self._translated():
            self._db.execute(statement, values)

    def _all(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._translated():
            return self._db.execute(statement, values).fetchall()

    def _one(self, statement: str) -> sqlite3.Row:
        rows = self._all(statement)
        if len(rows) != 1:
            raise StoreError(
                f"{self._path} contains {len(rows)} accounts instead of one: it is not a file of the paper exchange, "
                "move it to another directory"
            )
        return rows[0]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in _BUSY:
                raise ExchangeBusyError(f"{self._path} is locked by another process: wait and retry, nothing was changed") from error
            raise StoreError(
                f"{self._path}: the paper exchange cannot use its file ({error}): check free space, permissions and the file"
            ) from error


def _order(row: sqlite3.Row) -> OrderStatus:
    return OrderStatus(
        client_order_id=row["client_order_id"],
        exchange_order_id=f"paper-{row['seq']}",
        pair=row["pair"],
        side=OrderSide(row["side"]),
        order_type=OrderType(row["order_type"]),
        status=row["status"],
        amount=Decimal(row["amount"]),
        filled=Decimal(row["filled"]),
        trigger_rate=_number(row["trigger_rate"]),
        average_rate=_number(row["average_rate"]),
    )


def _held(row: sqlite3.Row) -> Held:
    return Held(
        pair=row["pair"],
        is_short=bool(row["is_short"]),
        amount=Decimal(row["amount"]),
        open_rate=Decimal(row["open_rate"]),
        leverage=row["leverage"],
        opened_us=row["opened_us"],
        matched_us=row["matched_us"],
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
