"""A bot's own database: its trades, its orders and its journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import pandas as pd

from bot3.ports.latches import LatchStore
from bot3.trading.orders import Decision, Fill, FundingPayment, Intent, IntentState
from bot3.trading.trades import Trade


class TradeReader(Protocol):
    """Reads the trades of one bot and one run mode.

    `store_id` names the database (stable over restarts); `change_token` changes whenever another connection committed to it
    (inexpensive: microseconds to a millisecond), so that a waiting reader does not have to query.
    """

    @property
    def bot(self) -> str:
        """Return the bot's name."""
        ...

    @property
    def store_id(self) -> str:
        """Return the identity of the database."""
        ...

    def change_token(self) -> str:
        """Return a token that differs after every commit of another connection."""
        ...

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        """Return trades with is_open false and close_date >= the given time (all for None), by close_date."""
        ...

    def open_trades(self) -> list[Trade]:
        """Return the open trades, by open_date."""
        ...

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades that `closed_trades` would return."""
        ...

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, newest open first; columns are `Trade`'s fields."""
        ...


class BotStore(TradeReader, LatchStore, Protocol):
    """The daemon's interface to a bot's database: journal first, then the exchange, then the projection.

    Contract: every method is one transaction, durable when it returns. Planning the same intent (key and attempt) twice makes one row and
    returns False the second time. Booking the same fill or payment twice changes nothing. `trades` and `orders` are a projection of
    intents, fills and funding, rewritten in the same transaction.
    """

    def next_trade_id(self) -> int:
        """Return an id that no trade or intent has."""
        ...

    def plan_intent(self, intent: Intent) -> bool:
        """Journal an intent as PLANNED; return False if its key already exists."""
        ...

    def move_intent(
        self,
        client_order_id: str,
        *,
        state: IntentState,
        sent_at: datetime | None = None,
        exchange_order_id: str | None = None,
        reject_reason: str | None = None,
    ) -> None:
        """Change the state of an intent; given fields are set, others are not changed."""
        ...

    def unsettled_intents(self) -> list[Intent]:
        """Return intents in PLANNED, SENT or ACKED, oldest first."""
        ...

    def intents_of_trade(self, trade_id: int) -> list[Intent]:
        """Return a trade's intents, oldest first."""
        ...

    def entries_of_close(self, pair: str, candle_close_time: datetime) -> list[Intent]:
        """Return the entry intents that were decided on a pair at a candle's close, oldest first: one per attempt."""
        ...

    def book(self, fills: Sequence[Fill], funding: Sequence[FundingPayment]) -> list[Trade]:
        """Insert new fills and payments, project trades and orders again, and return the trades that changed (open and closed).

        Raises StoreError for a fill whose client order id no intent has: the fill is stored in the table `foreign_fills`, and the error
        names it.
        """
        ...

    def mark_rates(self, trade_id: int, *, min_rate: float, max_rate: float) -> None:
        """Extend an open trade's extreme rates."""
        ...

    def record_decisions(self, decisions: Sequence[Decision]) -> None:
        """Store decisions; the same (pair, candle, feeder) twice makes one row."""
        ...

    def decisions_frame(self, *, limit: int) -> pd.DataFrame:
        """Return the newest decisions; columns are `Decision`'s fields.

        The outcome of a decision to enter is derived from its orders (`entry_outcomes`): outcome "intent" and reason "entry" were traded;
        "not_traded" and "pending" have a reason why not. `client_order_id` is that of the attempt that determines the outcome.
        """
        ...

    def import_trades(self, trades: Sequence[Trade]) -> int:
        """Insert finished trades unchanged (history stores, imports); existing ones are not changed. Return how many were new.

        Raises StoreError if another trade is stored under the id of a given one: nothing is written then.
        """
        ...

    def bookmark(self, name: str) -> datetime | None:
        """Return a named market time of the daemon (last candle processed, ...); None if never set."""
        ...

    def set_bookmark(self, name: str, at: datetime) -> None:
        """Store a named market time."""
        ...
