"""Pay funding of the simulated exchange: once, on the position that was open when it was due, up to 7 days after the due time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from bot3.adapters.paper.state import PaperState
from bot3.errors import CandleError, ExchangeBusyError
from bot3.market.instants import instant_of, instant_us
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.trading.orders import FundingPayment

LATEST = timedelta(days=7)
"""A funding rate that becomes known more than this market time after its due time is not paid."""

_MONEY = Decimal("1e-12")


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFunding:
    """A funding rate of a pair that is due and not marked as settled; `due_us` are microseconds since 1970."""

    pair: str
    due_us: int
    rate: float

    @property
    def payment_id(self) -> str:
        """Return the id of its payment, the same on every attempt."""
        return f"{self.pair}-{self.due_us}"


class PaperFunding:
    """Pays funding: stores payments and changes the wallet, in the caller's transaction."""

    def __init__(self, state: PaperState, *, exchange: str, account: str, candles: CandleReader, timeframe: str) -> None:
        self._state, self._exchange, self._account, self._candles, self._timeframe = state, exchange, account, candles, timeframe
        self._candle_us = timeframe_duration(timeframe) // timedelta(microseconds=1)
        # Pair and due time of funding that was paid, or was due without a position; entries older than LATEST are deleted.
        self._settled: set[tuple[str, int]] = set()

    def due(self, *, opened_at: datetime) -> list[DueFunding]:
        """Return the funding due in the 7 days before the open of the candle in progress (included) that is not marked as settled.

        Pairs are those with a position or with a fill in these 7 days; one without a position is left out while its rates cannot be read.

        Raises
        ------
        ExchangeBusyError
            If the funding rates of a pair with a position cannot be read.
        """
        since, held = opened_at - LATEST, {position.pair for position in self._state.positions()}
        self._settled = {known for known in self._settled if known[1] >= instant_us(since)}
        found = []
        for pair in self._state.pairs_filled(since_us=instant_us(since)):
            try:
                frame = self._candles.funding(pair, start=since, end=opened_at + timedelta(microseconds=1))
            except CandleError as error:
                if pair not in held:
                    # The funding stays due: a pair without a position must not block the other pairs.
                    continue
                raise ExchangeBusyError(f"{pair}: funding rates cannot be read: {error}") from error
            times = frame["time"].to_numpy(dtype="datetime64[us]").astype(np.int64).tolist()
            rates = frame["funding_rate"].to_numpy(dtype=np.float64).tolist()
            found += [DueFunding(pair=pair, due_us=at, rate=rate) for at, rate in zip(times, rates, strict=True)]
        return [due for due in found if (due.pair, due.due_us) not in self._settled]

    def pay(self, due: DueFunding, *, opened_at: datetime) -> bool:
        """Pay one funding rate on the position that was open when it was due, if it is not paid yet.

        It is dated at, and computed with the price of, the first candle's open at or after the due time; if no closed candle opened since
        then, the open of the candle in progress at `opened_at`.

        Returns
        -------
        bool
            True if nothing remains to be paid: it was paid now or before, or there was no position when it was due. False if it remains
            due, because the candles of the pair cannot be read and it has no position now: that must not block other pairs.

        Raises
        ------
        ExchangeBusyError
            If the candles of the pair cannot be read and it has a position now.
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
        """Mark funding as settled, so that `due` no longer returns it; call this after the payments were committed."""
        self._settled |= {(due.pair, due.due_us) for due in paid}

    def _credit(self, due: DueFunding, amount_abs: Decimal, *, paid_us: int) -> None:
        payment = FundingPayment(
            exchange=self._exchange,
            account=self._account,
            payment_id=due.payment_id,
            pair=due.pair,
            amount_abs=amount_abs,
            paid_at=instant_of(paid_us),
        )
        self._state.add_payment(payment)
        self._state.credit(payment.amount_abs)

    def _held(self, due: DueFunding, *, until_us: int) -> Decimal:
        """Return the amount in base currency on which funding is due, below 0 for a short, 0 without a position.

        Counted is what was entered in candles that opened before the due time, less what was closed up to `until_us` (included).
        """
        held = Decimal(0)
        for filled_us, amount in self._state.moves(due.pair, until_us=until_us):
            is_entry = held == 0 or (held > 0) is (amount > 0)
            if is_entry and filled_us // self._candle_us * self._candle_us >= due.due_us:
                break
            held += amount
        return held

    def _first_open(self, due: DueFunding, *, opened_at: datetime) -> tuple[int, float]:
        """Return the time and rate of the first candle's open at or after the due time, at the latest of the candle in progress.

        Raises CandleError if the candles cannot be read, or there is no rate at `opened_at`.
        """
        first_us = -(-due.due_us // self._candle_us) * self._candle_us
        frame = self._candles.candles(due.pair, self._timeframe, start=instant_of(first_us), end=opened_at)
        if frame.empty:
            return instant_us(opened_at), self._candles.rate_at(due.pair, self._timeframe, opened_at)
        return instant_us(frame["open_time"].iloc[0].to_pydatetime()), float(frame["open"].iloc[0])
