"""A bot's own database: trades, orders, planned orders (intents), fills, funding and decisions."""

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

    `store_id` identifies the database and does not change at a restart. `change_token` is inexpensive to read: a reader that waits for new
    trades compares it instead of querying the trades.
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
        """Return a token that differs after every commit that changed trades, by any process; it may also differ without such a change."""
        ...

    def closed_trades(self, *, closed_since: datetime | None) -> list[Trade]:
        """Return the closed trades with close_date >= the given time (all for None), sorted by close_date."""
        ...

    def open_trades(self) -> list[Trade]:
        """Return the open trades, sorted by open_date."""
        ...

    def count_closed(self, *, closed_since: datetime | None) -> int:
        """Count the trades that `closed_trades` would return."""
        ...

    def trades_frame(self, *, limit: int, offset: int) -> pd.DataFrame:
        """Return a page of all trades, open and closed, newest open_date first; columns are `Trade`'s fields."""
        ...


class BotStore(TradeReader, LatchStore, Protocol):
    """The daemon's interface to a bot's database. The daemon stores an intent (a planned order) before it sends the order.

    Contract: every method is one transaction, durable when it returns. Planning the same intent twice makes one row and returns False the
    second time. Booking the same fill or payment twice changes nothing. The tables `trades` and `orders` are computed from intents, fills
    and funding, and are updated in the transaction that changes those; imported trades are stored as they are.
    """

    def next_trade_id(self) -> int:
        """Return a trade id that no stored trade or intent has."""
        ...

    def plan_intent(self, intent: Intent) -> bool:
        """Store an intent in state PLANNED and return True; return False and change nothing if the same intent is stored already.

        Two entries are the same if pair, candle and attempt are equal, whatever their trade ids; other intents if the client order id is.
        Raises StoreError for an intent of another bot or account, InvalidTradeError for an exit without an exit reason in its context.
        """
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
        """Change the state of an intent and set the given fields; a field that is None is not changed.

        Raises StoreError if no intent has the client order id.
        """
        ...

    def unsettled_intents(self) -> list[Intent]:
        """Return the intents in state PLANNED, SENT or ACKED, oldest first."""
        ...

    def intents_of_trade(self, trade_id: int) -> list[Intent]:
        """Return a trade's intents, oldest first."""
        ...

    def entries_of_close(self, pair: str, candle_close_time: datetime) -> list[Intent]:
        """Return the entry intents of a pair that were decided at a candle's close, oldest first: one per attempt to send the order."""
        ...

    def book(self, fills: Sequence[Fill], funding: Sequence[FundingPayment]) -> list[Trade]:
        """Insert new fills and payments, update the trades and orders computed from them, and return the changed trades (open and closed).

        Raises StoreError for a fill whose client order id no intent has: the fill is stored in the table `foreign_fills`, all others are
        booked, and the error names it. Also raises StoreError, and writes nothing, for a fill or payment of another account.
        """
        ...

    def mark_rates(self, trade_id: int, *, min_rate: float, max_rate: float) -> None:
        """Lower a trade's lowest rate and raise its highest rate to the given ones; rates inside its range change nothing."""
        ...

    def record_decisions(self, decisions: Sequence[Decision]) -> None:
        """Store decisions; one whose pair, candle and feeder are stored already is skipped."""
        ...

    def decisions_frame(self, *, limit: int) -> pd.DataFrame:
        """Return the newest decisions, newest first; columns are `Decision`'s fields.

        The outcome of a decision to enter is computed from its orders (`entry_outcomes`): with outcome "intent" and reason "entry" it was
        traded; with "not_traded" or "pending" the reason states why not. `client_order_id` is that of the attempt that decides the outcome,
        None if no order was planned.
        """
        ...

    def import_trades(self, trades: Sequence[Trade]) -> int:
        """Insert closed trades unchanged (of backtests or imports) and skip those that are stored already; return how many were new.

        Raises StoreError, and writes nothing, if another trade is stored under the id of a given one, or a trade is open.
        """
        ...

    def bookmark(self, name: str) -> datetime | None:
        """Return a market time that the daemon stored under a name, such as the last processed candle; None if there is none."""
        ...

    def set_bookmark(self, name: str, at: datetime) -> None:
        """Store a market time under a name; it replaces the one before."""
        ...
