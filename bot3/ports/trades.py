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
    (cheap: microseconds to a millisecond), so that a waiting reader need not query.
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
        """Return the trades that are open, by open_date."""
        ...

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count what `closed_trades` would return."""
        ...

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, newest open first; columns are `Trade`'s fields."""
        ...


class BotStore(TradeReader, LatchStore, Protocol):
    """The daemon's side of a bot's database: journal first, then the exchange, then the projection.

    Law: every method is one transaction, durable when it returns. The same intent (key and attempt) planned twice is one row and returns
    False the second time. The same fill or payment booked twice changes nothing. `trades` and `orders` are a projection of intents, fills
    and funding, rewritten in the same transaction.
    """

    def next_trade_id(self) -> int:
        """Return an id that no trade or intent has."""
        ...

    def plan_intent(self, intent: Intent) -> bool:
        """Journal an intent as PLANNED; False if its key is there already."""
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
        """Move an intent to a state; given fields are set, others kept."""
        ...

    def unsettled_intents(self) -> list[Intent]:
        """Return intents in PLANNED, SENT or ACKED, oldest first."""
        ...

    def intents_of_trade(self, trade_id: int) -> list[Intent]:
        """Return a trade's intents, oldest first."""
        ...

    def entries_of_close(self, pair: str, candle_close_time: datetime) -> list[Intent]:
        """Return the entry intents that were decided on a pair at a candle's close, oldest first: one an attempt."""
        ...

    def book(self, fills: Sequence[Fill], funding: Sequence[FundingPayment]) -> list[Trade]:
        """Insert what is new, project trades and orders again, and return the trades that changed (open and closed).

        Raises StoreError for a fill whose client order id no intent has: it is kept in the table `foreign_fills`, and the error names it.
        """
        ...

    def mark_rates(self, trade_id: int, *, min_rate: float, max_rate: float) -> None:
        """Widen an open trade's extreme rates."""
        ...

    def record_decisions(self, decisions: Sequence[Decision]) -> None:
        """Keep decisions; the same (pair, candle, feeder) twice is one row."""
        ...

    def decisions_frame(self, *, limit: int) -> pd.DataFrame:
        """Return the newest decisions; columns are `Decision`'s fields.

        What was to be entered is told as it came out (`entry_outcomes`): outcome "intent" and reason "entry" were traded, "not_traded" and
        "pending" say why not; `client_order_id` is that of the attempt that tells.
        """
        ...

    def import_trades(self, trades: Sequence[Trade]) -> int:
        """Insert finished trades as they are (history stores, imports); what is there is left as it is. Return how many were new.

        Raises StoreError if another trade than the one given stands under its id: nothing is written then.
        """
        ...

    def bookmark(self, name: str) -> datetime | None:
        """Return a named market time the daemon keeps (last candle processed, ...); None if never set."""
        ...

    def set_bookmark(self, name: str, at: datetime) -> None:
        """Keep a named market time."""
        ...
