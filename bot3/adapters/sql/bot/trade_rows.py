"""Convert trades and orders to and from freqtrade's columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot3.adapters.sql.bot.tables import trades
from bot3.adapters.sql.rows import from_naive, to_naive
from bot3.trading.horizons import Horizon
from bot3.trading.ledger import LedgerOrder, LedgerTrade, close_profit_so_far
from bot3.trading.orders import IntentLeg
from bot3.trading.trades import OrderPattern, RunMode, Trade

_SAME = (
    "pair",
    "is_short",
    "leverage",
    "open_rate",
    "amount",
    "stake_amount",
    "fee_open",
    "fee_close",
    "enter_tag",
    "is_open",
    "close_rate",
    "close_profit",
    "close_profit_abs",
    "exit_reason",
    "funding_fees",
    "min_rate",
    "max_rate",
    "initial_stop_loss_pct",
    "stop_loss_pct",
    "liquidation_price",
    "horizon",
)
"""Fields of `Trade` that have the same name and meaning as columns of the table `trades`."""

TRADE_COLUMNS = (trades.c.id, trades.c.open_date, trades.c.close_date, *(trades.c[name] for name in _SAME))

_TIMEFRAME_MINUTES = 5
_RECORD_VERSION = 2


def trade_row(trade: Trade, *, exchange: str, strategy: str) -> dict[str, Any]:
    """Return freqtrade's row of a trade with one entry and at most one exit: a `Trade` does not contain its individual orders."""
    base, _, rest = trade.pair.partition("/")
    stake = rest.partition(":")[0]
    side = -1.0 if trade.is_short else 1.0
    value = trade.amount * trade.open_rate
    stop_rate = _stop_rate(trade, trade.stop_loss_pct)
    row = {name: getattr(trade, name) for name in _SAME}
    return row | {
        "id": trade.trade_id,
        "horizon": None if trade.horizon is None else trade.horizon.value,
        "exchange": exchange,
        "base_currency": base,
        "stake_currency": stake,
        "fee_open_cost": value * trade.fee_open,
        "fee_open_currency": stake,
        "fee_close_cost": None if trade.close_rate is None else trade.amount * trade.close_rate * trade.fee_close,
        "fee_close_currency": None if trade.is_open else stake,
        "open_trade_value": value * (1.0 + side * trade.fee_open),
        "realized_profit": 0.0 if trade.is_open else trade.close_profit_abs,
        "max_stake_amount": trade.stake_amount,
        "amount_requested": trade.amount,
        "open_date": to_naive(trade.open_date),
        "close_date": to_naive(trade.close_date),
        "stop_loss": stop_rate,
        "initial_stop_loss": _stop_rate(trade, trade.initial_stop_loss_pct),
        "is_stop_loss_trailing": False,
        "exit_order_status": None if trade.is_open else "closed",
        "strategy": strategy,
        "timeframe": _TIMEFRAME_MINUTES,
        "trading_mode": "FUTURES",
        "contract_size": 1.0,
        "interest_rate": 0.0,
        "record_version": _RECORD_VERSION,
        "open_rate_requested": None,
        "close_rate_requested": None,
        "funding_fee_running": None,
    }


def ledger_row(ledger: LedgerTrade, *, exchange: str, strategy: str) -> dict[str, Any]:
    """Return freqtrade's row of a trade that was computed from its fills, with any number of entries and exits."""
    trade = ledger.trade
    side = -1.0 if trade.is_short else 1.0
    return trade_row(trade, exchange=exchange, strategy=strategy) | {
        "fee_open_cost": ledger.entry_fees_abs,
        "fee_close_cost": ledger.exit_fees_abs,
        "open_trade_value": trade.amount * trade.open_rate * (1.0 + side * trade.fee_open),
        "realized_profit": ledger.realized_profit_abs,
        "close_profit": close_profit_so_far(ledger),
        "max_stake_amount": ledger.max_stake_amount,
        "amount_requested": ledger.amount_requested,
        "stop_loss": ledger.stop_rate,
        "initial_stop_loss": ledger.initial_stop_rate,
        "close_rate_requested": ledger.close_rate_requested,
    }


def order_row(order: LedgerOrder, *, order_pk: int) -> dict[str, Any]:
    """Return freqtrade's row of an order; its dates are market time, `order_date` is the close time of the candle that decided it."""
    intent = order.intent
    trigger = None if intent.trigger_rate is None else float(intent.trigger_rate)
    average = None if order.average_rate is None else float(order.average_rate)
    filled_at = to_naive(order.last_fill_at)
    placed_at = to_naive(intent.candle_close_time)
    return {
        "id": order_pk,
        "ft_trade_id": intent.trade_id,
        "ft_order_side": "stoploss" if intent.leg is IntentLeg.STOP else intent.side.value,
        "ft_pair": intent.pair,
        "ft_is_open": order.status == "open",
        "ft_amount": float(intent.amount),
        "ft_price": _first(trigger, average),
        "ft_cancel_reason": intent.reject_reason,
        "order_id": intent.client_order_id if intent.exchange_order_id is None else intent.exchange_order_id,
        "status": order.status,
        "symbol": intent.pair,
        "order_type": intent.order_type.value,
        "side": intent.side.value,
        "price": trigger if average is None else average,
        "average": average,
        "amount": float(intent.amount),
        "filled": float(order.filled),
        "remaining": float(max(intent.amount - order.filled, intent.amount * 0)),
        "cost": None if order.average_rate is None else float(order.average_rate * order.filled),
        "stop_price": trigger,
        "order_date": placed_at,
        "order_filled_date": filled_at,
        "order_update_date": placed_at if filled_at is None else filled_at,
        "funding_fee": None,
        "ft_fee_base": None,
        "ft_order_tag": order.tag,
    }


def trade_of_row(row: Any, *, bot: str, run_mode: RunMode, account: str, order_pattern: OrderPattern = OrderPattern.SINGLE) -> Trade:
    """Return the trade of a row with `TRADE_COLUMNS`; close rate, profits and exit reason are None while it is open."""
    values = {name: getattr(row, name) for name in _SAME}
    values["horizon"] = None if row.horizon is None else Horizon(row.horizon)
    if row.is_open:
        # freqtrade fills these on open trades after a partial exit.
        values |= {"close_rate": None, "close_profit": None, "close_profit_abs": None, "exit_reason": None}
    return Trade(
        bot=bot,
        run_mode=run_mode,
        account=account,
        trade_id=row.id,
        open_date=_aware(row.open_date),
        close_date=from_naive(row.close_date),
        order_pattern=order_pattern,
        **values,
    )


def _aware(at: datetime) -> datetime:
    aware = from_naive(at)
    assert aware is not None  # noqa: S101  # the column is NOT NULL
    return aware


def _first(trigger: float | None, average: float | None) -> float:
    """Return freqtrade's `ft_price`, which must not be null: the trigger rate, else the average rate, else 0 (unfilled market order)."""
    for rate in (trigger, average):
        if rate is not None:
            return rate
    return 0.0


def _stop_rate(trade: Trade, ratio: float | None) -> float | None:
    if ratio is None:
        return None
    return trade.open_rate * (1.0 + (-ratio if trade.is_short else ratio) / trade.leverage)
