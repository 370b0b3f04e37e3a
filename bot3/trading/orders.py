"""Intents, orders and fills: the orders the daemon plans and sends, and their results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from bot3.errors import InvalidTradeError


class OrderSide(StrEnum):
    """Side of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Execution type of an order. Stop and target rest on the exchange and close the position at market when touched."""

    MARKET = "market"
    STOP_MARKET = "stop_market"
    TAKE_PROFIT_MARKET = "take_profit_market"


class IntentLeg(StrEnum):
    """Step of a trade that an intent belongs to."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class IntentState(StrEnum):
    """Lifecycle state of an intent. SENT without a response means unknown, never failed."""

    PLANNED = "planned"
    SENT = "sent"
    ACKED = "acked"
    DONE = "done"
    CANCELED = "canceled"
    REJECTED = "rejected"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One order planned by the daemon, journalled before it is sent.

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
        Reason of the order and the values that the trade was opened with, stored as JSON. An entry has the keys of `ENTRY_CONTEXT`; an
        exit has `exit_reason`.
    sent_at : datetime or None
        Signed timestamp of the request, wall time. Once `recv_window_ms` has passed after it, a "not found" proves that no order exists.
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
        """Return the client order id sent to the exchange: 28 characters, the same for the same decision and attempt."""
        key = f"{self.account}|{self.bot}|{self.pair}|{self.candle_close_time.isoformat()}|{self.leg}|{self.trade_id}"
        digest = hashlib.blake2s(f"{key}|{self.attempt}".encode(), digest_size=12).hexdigest()
        return f"b3{digest}-{self.attempt}"


ENTRY_CONTEXT = (
    "feeder_id",
    "confidence",
    "model_digest",
    "sigma",
    "stop_loss",  # ratio of the stake, below 0
    "stop_rate",
    "take_profit_rate",
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
    """One execution; (exchange, account, exchange_trade_id) is unique. The ledger is projected from fills."""

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
    """Funding payment of a position; `amount_abs` above 0 was received. (exchange, account, payment_id) is unique."""

    exchange: str
    account: str
    payment_id: str
    pair: str
    amount_abs: Decimal
    paid_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Open position as reported by an exchange; `amount` in base, above 0."""

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

    `outcome` is "intent" or "hold"; `reason` is a `HoldReason` for a hold and "entry" for an intent.
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
