"""Intents, orders and fills: the orders that the daemon plans and sends, and their results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from bot3.errors import InvalidTradeError

_Rate = TypeVar("_Rate", float, Decimal)


def nearest_stop(rates: Iterable[_Rate | None], *, is_short: bool) -> _Rate | None:
    """Return the stop that the market reaches first: the highest of a long, the lowest of a short; None without any rate."""
    known = [rate for rate in rates if rate is not None]
    return (min if is_short else max)(known, default=None)


class OrderSide(StrEnum):
    """Side of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Execution type of an order. Stop and target orders wait on the exchange, which closes the position at market when one is touched."""

    MARKET = "market"
    STOP_MARKET = "stop_market"
    TAKE_PROFIT_MARKET = "take_profit_market"


class IntentLeg(StrEnum):
    """Purpose of an intent in its trade."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class IntentState(StrEnum):
    """State of an intent (planned order).

    PLANNED: stored, not sent. SENT: the request was begun and its result is unknown, not failed. ACKED: open on the exchange. DONE: filled.
    CANCELED: canceled or expired on the exchange. REJECTED by the exchange. DEAD: no order exists.
    """

    PLANNED = "planned"
    SENT = "sent"
    ACKED = "acked"
    DONE = "done"
    CANCELED = "canceled"
    REJECTED = "rejected"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One order planned by the daemon; it is stored before it is sent.

    Parameters
    ----------
    account, bot, pair, candle_close_time, leg : key
        Unique together with `attempt` (and with `trade_id`, except for entries): the same decision taken twice makes one order.
    trade_id : int
        Id of the bot's trade; assigned to an entry when it is planned, so that its fills can be matched to it.
    amount : Decimal
        Amount in base currency, rounded to the step.
    trigger_rate : Decimal or None
        Trigger of a stop or target.
    context : mapping of str to str, float, int, bool or None
        Reason of the order and the values that the trade was opened with, stored as JSON. An entry has at least the keys of
        `ENTRY_CONTEXT`; an exit has `exit_reason`.
    sent_at : datetime or None
        Timestamp in the signed request, wall time; None if the order was not sent. If the exchange does not know the order once
        `recv_window_ms` has passed after it, no order exists.
    """

    account: str
    bot: str
    pair: str
    candle_close_time: datetime
    leg: IntentLeg
    side: OrderSide
    order_type: OrderType
    amount: Decimal
    leverage: float
    reduce_only: bool
    trade_id: int
    context: Mapping[str, str | float | int | bool | None]
    trigger_rate: Decimal | None = None
    attempt: int = 1
    state: IntentState = IntentState.PLANNED
    sent_at: datetime | None = None
    recv_window_ms: int = 5_000
    exchange_order_id: str | None = None
    reject_reason: str | None = None

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise InvalidTradeError(f"{self.bot} {self.pair}: the amount of an intent must be above 0, was {self.amount}")

    @property
    def client_order_id(self) -> str:
        """Return the client order id sent to the exchange: the same for the same key, trade id and attempt; at least 28 characters."""
        key = f"{self.account}|{self.bot}|{self.pair}|{self.candle_close_time.isoformat()}|{self.leg}|{self.trade_id}"
        digest = hashlib.blake2s(f"{key}|{self.attempt}".encode(), digest_size=12).hexdigest()
        return f"b3{digest}-{self.attempt}"


ENTRY_CONTEXT = (
    "feeder_id",
    "confidence",
    "model_digest",
    "sigma",  # over the horizon
    "horizon",  # a `Horizon`'s value
    "stop_loss",  # ratio of the stake, below 0
    "stop_rate",
    "take_profit_rate",  # None: no target
    "giveback_activation_move",
    "giveback_share",
    "expires_at",  # time of the time exit, ISO format, market time
    "parameters_version",
    "parameters_key",
    "recommendation_version",
    "regime",
    "tier",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution; (exchange, account, exchange_trade_id) is unique. Trades are computed from fills."""

    exchange: str
    account: str
    exchange_trade_id: str
    client_order_id: str
    pair: str
    side: OrderSide
    rate: Decimal
    amount: Decimal
    fee_abs: Decimal
    is_maker: bool
    filled_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPayment:
    """Funding payment of a position; `amount_abs` is above 0 if received, below 0 if paid. (exchange, account, payment_id) is unique."""

    exchange: str
    account: str
    payment_id: str
    pair: str
    amount_abs: Decimal
    paid_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Open position as reported by an exchange; `amount` is in base currency, above 0; `liquidation_rate` is None if there is none."""

    pair: str
    is_short: bool
    amount: Decimal
    open_rate: Decimal
    leverage: float
    liquidation_rate: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus:
    """Order as reported by an exchange; `status` is open, closed (filled), canceled, expired or rejected."""

    client_order_id: str
    exchange_order_id: str
    pair: str
    side: OrderSide
    order_type: OrderType
    status: str
    amount: Decimal
    filled: Decimal
    trigger_rate: Decimal | None = None
    average_rate: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Balance of an account in stake currency: equity (wallet with open profit), wallet, and free margin."""

    equity_abs: Decimal
    wallet_abs: Decimal
    free_abs: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Decision on a signal, with its reason: one row per bot, pair, candle and feeder.

    `outcome` is "intent" or "hold"; `reason` is a `HoldReason` for a hold and "entry" for an intent. A reader of stored decisions replaces
    both by the result of the order (`entry_outcomes`).
    """

    bot: str
    pair: str
    candle_close_time: datetime
    feeder_id: str
    is_short: bool
    confidence: float
    outcome: str
    reason: str
    detail: Mapping[str, str | float | int | bool | None] = field(default_factory=dict)
    client_order_id: str | None = None
