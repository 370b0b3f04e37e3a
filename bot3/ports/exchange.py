"""An exchange account of one bot."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from bot3.trading.orders import Balance, Fill, FundingPayment, Intent, OrderStatus, Position


class Exchange(Protocol):
    """Law: the same `client_order_id` twice makes one order. Every method may raise ExchangeBusyError (nothing happened).

    A stop or target closes what is held of its pair at most (reduce only). The account holds one position a pair.
    """

    @property
    def name(self) -> str:
        """Return the exchange's name ("paper")."""
        ...

    @property
    def account(self) -> str:
        """Return the account that every journal row carries."""
        ...

    def create_order(self, intent: Intent) -> OrderStatus:
        """Send an order. Raises OrderRejectedError (definite) or OrderAmbiguousError (unknown)."""
        ...

    def cancel_order(self, *, pair: str, client_order_id: str) -> OrderStatus:
        """Cancel; an order that is closed already is returned as it is. Raises OrderRejectedError if unknown."""
        ...

    def fetch_order(self, *, pair: str, client_order_id: str) -> OrderStatus | None:
        """Return an order; None if the exchange does not know it."""
        ...

    def fetch_open_orders(self) -> list[OrderStatus]:
        """Return all resting orders."""
        ...

    def fetch_positions(self) -> list[Position]:
        """Return what is held."""
        ...

    def fetch_fills(self, *, since: datetime) -> list[Fill]:
        """Return executions at or after a market time, oldest first."""
        ...

    def fetch_funding(self, *, since: datetime) -> list[FundingPayment]:
        """Return funding payments at or after a market time, oldest first."""
        ...

    def fetch_balance(self) -> Balance:
        """Return the wallet."""
        ...

    def fetch_rate(self, pair: str) -> Decimal:
        """Return the rate that a market order would meet now."""
        ...
