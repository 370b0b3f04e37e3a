"""An exchange account of one bot."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from bot3.trading.orders import Balance, Fill, FundingPayment, Intent, OrderStatus, Position


class Exchange(Protocol):
    """An exchange account. Contract: two requests with the same `client_order_id` create one order.

    Every method may raise ExchangeBusyError: the request had no effect. A stop or target order closes at most the position of its pair
    (reduce only). The account has at most one position per pair.
    """

    @property
    def name(self) -> str:
        """Return the exchange's name ("paper")."""
        ...

    @property
    def account(self) -> str:
        """Return the name of the account; intents, fills and payments are stored with it."""
        ...

    def create_order(self, intent: Intent) -> OrderStatus:
        """Send an order and return its status.

        Raises OrderRejectedError if the exchange rejected it, OrderAmbiguousError if it is unknown whether the exchange accepted it.
        """
        ...

    def cancel_order(self, *, pair: str, client_order_id: str) -> OrderStatus:
        """Cancel an order; one that is filled, canceled or expired is returned unchanged. Raises OrderRejectedError if it is unknown."""
        ...

    def fetch_order(self, *, pair: str, client_order_id: str) -> OrderStatus | None:
        """Return an order's status; None if the exchange does not know the order."""
        ...

    def fetch_open_orders(self) -> list[OrderStatus]:
        """Return all orders that are open on the exchange."""
        ...

    def fetch_positions(self) -> list[Position]:
        """Return the open positions."""
        ...

    def fetch_fills(self, *, since: datetime) -> list[Fill]:
        """Return executions at or after a market time, oldest first."""
        ...

    def fetch_funding(self, *, since: datetime) -> list[FundingPayment]:
        """Return funding payments at or after a market time, oldest first."""
        ...

    def fetch_balance(self) -> Balance:
        """Return the balance of the wallet."""
        ...

    def fetch_rate(self, pair: str) -> Decimal:
        """Return the price at which a market order would fill now, without slippage. Raises ExchangeBusyError if there is none now."""
        ...
