"""How the paper exchange pays funding: what was held when it became due, once, however late its rate becomes known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from bot3.adapters.paper_exchange_state import PaperState
from bot3.errors import CandleError, ExchangeBusyError
from bot3.market.candle_times import EPOCH, instant_us
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.trading.orders import FundingPayment

LATEST = timedelta(days=7)
"""A funding rate that becomes known later than this after it was due is not paid."""

_MONEY = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFunding:
    """A funding rate that was due and has not been looked at; `due_us` are microseconds since 1970."""

    pair: str
    due_us: int
    rate: float

    @property
    def payment_id(self) -> str:
        """Return the name of its payment, the same whenever it is paid."""
        return f"{self.pair}-{self.due_us}"


class PaperFunding:
    """Pays funding on the state; the caller's transaction holds the payments together with the executions before them."""

    def __init__(self, state: PaperState, *, exchange: str, account: str, candles: CandleReader, timeframe: str) -> None:
        self._state, self._exchange, self._account, self._candles, self._timeframe = state, exchange, account, candles, timeframe
        self._candle_us = timeframe_duration(timeframe) // timedelta(microseconds=1)
        # Paid, or due on nothing; what is older than LATEST is forgotten.
        self._settled: set[tuple[str, int]] = set()

    def due(self, *, opened_at: datetime) -> list[DueFunding]:
        """Return the funding that became due by the open of the candle in progress and was not settled, of pairs traded lately.

        Raises
        ------
        ExchangeBusyError
            If the funding rates of a pair that is held cannot be read.
        """
        since, held = opened_at - LATEST, {position.pair for position in self._state.positions()}
        self._settled = {known for known in self._settled if known[1] >= instant_us(since)}
        found = []
        for pair in self._state.pairs_filled(since_us=instant_us(since)):
            try:
                frame = self._candles.funding(pair, start=since, end=opened_at + timedelta(microseconds=1))
            except CandleError as error:
                if pair not in held:
                    # It stays due: a pair that is not traded any more must not stop the others.
                    continue
                raise ExchangeBusyError(f"{pair}: funding rates cannot be read: {error}") from error
            times = frame["time"].to_numpy(dtype="datetime64[us]").astype(np.int64).tolist()
            rates = frame["funding_rate"].to_numpy(dtype=np.float64).tolist()
            found += [DueFunding(pair=pair, due_us=at, rate=rate) for at, rate in zip(times, rates, strict=True)]
        return [due for due in found if (due.pair, due.due_us) not in self._settled]

    def pay(self, due: DueFunding, *, opened_at: datetime) -> bool:
        """Pay one funding rate on what was held: at the first open at or after it was due, on the value there, dated at that open.

        Returns
        -------
        bool
            False if it stays due: the candles of a pair that is not held cannot be read, which must not stop the others.

        Raises
        ------
        ExchangeBusyError
            If the candles of a pair that is held cannot be read.
        """
        if self._state.has_payment(due.payment_id):
            return True
        try:
            paid_us, mark_rate = self._first_open(due, opened_at=opened_at)
        except CandleError as error:
            if self._state.position(due.pair) is None:
                return False
            raise ExchangeBusyError(f"{due.pair} has no rate at {opened_at.isoformat()}: {error}") from error
        amount = self._held(due, until_us=paid_us)
        if amount:
            self._credit(due, Decimal(str(-due.rate * float(amount) * mark_rate)).quantize(_MONEY), paid_us=paid_us)
        return True

    def settled(self, paid: Sequence[DueFunding]) -> None:
        """Look at these no more; called once their payments are durable."""
        self._settled |= {(due.pair, due.due_us) for due in paid}

    def _credit(self, due: DueFunding, amount_abs: Decimal, *, paid_us: int) -> None:
        payment = FundingPayment(
            exchange=self._exchange,
            account=self._account,
            payment_id=due.payment_id,
            pair=due.pair,
            amount_abs=amount_abs,
            paid_at=EPOCH + timedelta(microseconds=paid_us),
        )
        self._state.add_payment(payment)
        self._state.credit(payment.amount_abs)

    def _held(self, due: DueFunding, *, until_us: int) -> Decimal:
        """Return the amount held, below 0 for a short: entered in a candle that opened before it was due, and not left by `until_us`."""
        held = Decimal(0)
        for filled_us, amount in self._state.moves(due.pair, until_us=until_us):
            is_entry = held == 0 or (held > 0) is (amount > 0)
            if is_entry and filled_us // self._candle_us * self._candle_us >= due.due_us:
                break
            held += amount
        return held

    def _first_open(self, due: DueFunding, *, opened_at: datetime) -> tuple[int, float]:
        """Return the first open at or after it was due, and the rate there; the candle in progress has an open too. Raises CandleError."""
        first_us = -(-due.due_us // self._candle_us) * self._candle_us
        frame = self._candles.candles(due.pair, self._timeframe, start=EPOCH + timedelta(microseconds=first_us), end=opened_at)
        if frame.empty:
            return instant_us(opened_at), self._candles.rate_at(due.pair, self._timeframe, opened_at)
        return instant_us(frame["open_time"].iloc[0].to_pydatetime()), float(frame["open"].iloc[0])
