"""Compute the tables `trades` and `orders` of a bot's database from planned orders (intents), fills and funding, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.bot.journal_rows import fill_of_row, intent_of_row, payment_of_row
from bot3.adapters.sql.bot.tables import fills, funding_payments, intents, orders, rate_extremes, trades
from bot3.adapters.sql.bot.trade_rows import TRADE_COLUMNS, ledger_row, order_row, trade_of_row
from bot3.adapters.sql.rows import to_naive, to_us, upsert
from bot3.trading.ledger import LedgerTrade, project_trade
from bot3.trading.orders import FundingPayment
from bot3.trading.trades import RunMode, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIdentity:
    """Identity of a store: id, bot, run mode, account and exchange; written once, at its creation."""

    store_id: str
    bot: str
    run_mode: RunMode
    account: str
    exchange: str


def project_trades(connection: Connection, trade_ids: Iterable[int], *, identity: StoreIdentity) -> list[Trade]:
    """Compute the rows of some trades and their orders again, and return the trades whose row changed; a trade without fills has no row."""
    changed = []
    for trade_id in sorted(set(trade_ids)):
        before = _stored(connection, trade_id, identity=identity)
        after = _project(connection, trade_id, identity=identity)
        if after is not None and after != before:
            changed.append(after)
    return changed


def trades_of_orders(connection: Connection, client_order_ids: Iterable[str]) -> Mapping[str, int]:
    """Return the trade id by client order id, for those of the given ids that belong to a planned order (intent)."""
    query = sa.select(intents.c.client_order_id, intents.c.trade_id).where(intents.c.client_order_id.in_(set(client_order_ids)))
    return {row.client_order_id: row.trade_id for row in connection.execute(query)}


def trades_of_pairs(connection: Connection, funding: Sequence[FundingPayment]) -> set[int]:
    """Return the ids of the trades to which funding payments may belong: of the same pair, open at the payment, and not imported."""
    touched: set[int] = set()
    for payment in funding:
        at = to_naive(payment.paid_at)
        was_open = sa.and_(trades.c.open_date < at, sa.or_(trades.c.is_open, trades.c.close_date >= at))
        # Imported trades have no intents: their rows already contain the funding paid.
        journalled = trades.c.id.in_(sa.select(intents.c.trade_id).where(intents.c.pair == payment.pair))
        touched |= set(connection.execute(sa.select(trades.c.id).where(trades.c.pair == payment.pair, was_open, journalled)).scalars())
    return touched


def _stored(connection: Connection, trade_id: int, *, identity: StoreIdentity) -> Trade | None:
    row = connection.execute(sa.select(*TRADE_COLUMNS).where(trades.c.id == trade_id)).one_or_none()
    if row is None:
        return None
    return trade_of_row(row, bot=identity.bot, run_mode=identity.run_mode, account=identity.account)


def _project(connection: Connection, trade_id: int, *, identity: StoreIdentity) -> Trade | None:
    rows = connection.execute(sa.select(intents).where(intents.c.trade_id == trade_id).order_by(intents.c.seq)).all()
    if not rows:
        return None
    seqs = {row.client_order_id: row.seq for row in rows}
    query = sa.select(fills).where(fills.c.client_order_id.in_(list(seqs)))
    extremes = connection.execute(sa.select(rate_extremes).where(rate_extremes.c.trade_id == trade_id)).one_or_none()
    found = [fill_of_row(row) for row in connection.execute(query)]
    if not found:
        return None
    since_us = to_us(min(fill.filled_at for fill in found))
    paid = sa.select(funding_payments).where(funding_payments.c.pair == rows[0].pair, funding_payments.c.paid_at_us > since_us)
    ledger = project_trade(
        bot=identity.bot,
        run_mode=identity.run_mode,
        intents=[intent_of_row(row) for row in rows],
        fills=found,
        funding=[payment_of_row(row) for row in connection.execute(paid)],
        seen_rates=None if extremes is None else (extremes.min_rate, extremes.max_rate),
    )
    if ledger is None:
        return None
    _write(connection, ledger, seqs=seqs, exchange=found[0].exchange, strategy=identity.bot)
    return ledger.trade


def _write(connection: Connection, ledger: LedgerTrade, *, seqs: Mapping[str, int], exchange: str, strategy: str) -> None:
    upsert(connection, trades, ledger_row(ledger, exchange=exchange, strategy=strategy))
    for order in ledger.orders:
        upsert(connection, orders, order_row(order, order_pk=seqs[order.intent.client_order_id]))
