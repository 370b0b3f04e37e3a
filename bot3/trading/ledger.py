"""Compute a trade from its intents (planned orders), fills and funding payments; the order of fills and payments does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bot3.errors import InvalidTradeError
from bot3.trading.horizons import Horizon
from bot3.trading.orders import Fill, FundingPayment, Intent, IntentLeg, IntentState, OrderSide, nearest_stop
from bot3.trading.trades import ExitReason, RunMode, Trade
from bot3.trading.units import stop_ratio

_NONE = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOrder:
    """One intent of a trade that is no longer only planned, with its order's status and fills.

    `status` is one of freqtrade's: open, closed, canceled, expired or rejected. `average_rate` and `last_fill_at` are None before the first
    fill. `tag` is the feeder of an entry, or the exit reason of another order.
    """

    intent: Intent
    status: str
    filled: Decimal
    average_rate: Decimal | None
    last_fill_at: datetime | None
    tag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTrade:
    """A trade and the values of freqtrade's further columns; values and fields with `_abs` are in stake currency.

    Parameters
    ----------
    realized_profit_abs : float
        Profit of the amount exited so far, after the fees of both sides; funding is added when the trade closes.
    entry_value, max_stake_amount : float
        Value of all entries, and their margin.
    stop_rate, initial_stop_rate : float or None
        Rate of the current stop, and of the stop that the trade was opened with.
    exit_fees_abs, close_rate_requested : float or None
        Fees of all exits, None before the first one; trigger rate of the last exit that was filled, None unless it was a stop or target.
    """

    trade: Trade
    realized_profit_abs: float
    entry_value: float
    entry_fees_abs: float
    exit_fees_abs: float | None
    max_stake_amount: float
    amount_requested: float
    stop_rate: float | None
    initial_stop_rate: float | None
    close_rate_requested: float | None
    orders: tuple[LedgerOrder, ...]


@dataclass(frozen=True, slots=True)
class _Sum:
    """Sums over fills in exact decimals, so that the order of the fills does not matter."""

    amount: Decimal
    value: Decimal
    fees: Decimal
    first_at: datetime
    last_at: datetime

    @property
    def rate(self) -> Decimal:
        return self.value / self.amount


@dataclass(frozen=True, slots=True)
class _Position:
    """Filled entries and exits of one trade; `exits` oldest first."""

    opening: Intent
    entry: _Sum
    exits: tuple[tuple[Intent, _Sum], ...]
    funding: tuple[FundingPayment, ...]

    @property
    def is_short(self) -> bool:
        return self.opening.side is OrderSide.SELL

    @property
    def sold(self) -> Decimal:
        return sum((exit_.amount for _, exit_ in self.exits), _NONE)

    @property
    def is_open(self) -> bool:
        return self.sold < self.entry.amount

    @property
    def held(self) -> Decimal:
        return self.entry.amount - self.sold if self.is_open else self.exits[-1][1].amount

    @property
    def closed_at(self) -> datetime | None:
        return None if self.is_open else max(exit_.last_at for _, exit_ in self.exits)

    @property
    def exit_value(self) -> Decimal:
        return sum((exit_.value for _, exit_ in self.exits), _NONE)

    @property
    def exit_fees(self) -> Decimal:
        return sum((exit_.fees for _, exit_ in self.exits), _NONE)

    @property
    def paid(self) -> Decimal:
        closed_at = self.closed_at
        own = (p for p in self.funding if self.entry.first_at < p.paid_at and (closed_at is None or p.paid_at <= closed_at))
        return sum((payment.amount_abs for payment in own), _NONE)

    @property
    def profit_abs(self) -> Decimal:
        """Return the realized profit after the fees of both sides; includes funding once closed."""
        # Share of the entry that was exited. A full exit gives exactly 1, without the rounding of the division.
        share = self.sold / self.entry.amount if self.is_open else Decimal(1)
        moved = self.exit_value - self.entry.value * share
        earned = (-moved if self.is_short else moved) - self.exit_fees - self.entry.fees * share
        return earned if self.is_open else earned + self.paid

    @property
    def open_value(self) -> Decimal:
        """Return the value of all entries with their fees, the base of freqtrade's profit ratio."""
        return self.entry.value - self.entry.fees if self.is_short else self.entry.value + self.entry.fees


def project_trade(
    *,
    bot: str,
    run_mode: RunMode,
    intents: Sequence[Intent],
    fills: Sequence[Fill],
    funding: Sequence[FundingPayment],
    seen_rates: tuple[float, float] | None = None,
) -> LedgerTrade | None:
    """Compute a trade from its intents, fills and funding; return None before the first fill of an entry.

    Parameters
    ----------
    intents : sequence of Intent
        All intents of one trade.
    fills : sequence of Fill
        Fills of these intents, in any order, each once.
    funding : sequence of FundingPayment
        Payments of the pair; those after the first entry fill and up to the close belong to the trade.
    seen_rates : (lowest, highest), optional
        Extreme rates seen while the trade was open.

    Raises
    ------
    InvalidTradeError
        If a fill belongs to none of the intents, or a value stored with an intent is missing or of the wrong type.

    Notes
    -----
    Names and formulas are freqtrade's (`Trade.calc_profit_ratio`): `open_rate` is the mean rate of the entries, `close_rate` the mean rate
    of the last exit order, `amount` and `stake_amount` the open position (at the close: the part that the last exit order closed).
    """
    by_order = _fills_by_order(intents, fills)
    entries = [intent for intent in intents if intent.leg is IntentLeg.ENTRY]
    entry_fills = [fill for intent in entries for fill in by_order[intent.client_order_id]]
    if not entry_fills:
        return None
    opening = min(entries, key=lambda intent: (intent.candle_close_time, intent.attempt))
    position = _Position(opening, _sum(entry_fills), _exits(intents, by_order), tuple(funding))
    orders = tuple(_order(intent, by_order[intent.client_order_id]) for intent in intents if intent.state is not IntentState.PLANNED)
    stop = _last_stop(intents, is_short=position.is_short)
    return LedgerTrade(
        trade=_trade(position, bot=bot, run_mode=run_mode, stop=stop, seen_rates=seen_rates),
        realized_profit_abs=float(position.profit_abs) if position.exits else 0.0,
        entry_value=float(position.entry.value),
        entry_fees_abs=float(position.entry.fees),
        exit_fees_abs=float(position.exit_fees) if position.exits else None,
        max_stake_amount=float(position.entry.value) / opening.leverage,
        amount_requested=float(opening.amount),
        stop_rate=_number(opening, "stop_rate") if stop is None else stop,
        initial_stop_rate=_number(opening, "stop_rate"),
        close_rate_requested=_requested(position),
        orders=orders,
    )


def close_profit_so_far(ledger: LedgerTrade) -> float | None:
    """Return the value of freqtrade's column `close_profit`, which open trades have after a partial exit; None before the first exit."""
    trade = ledger.trade
    if not trade.is_open or ledger.exit_fees_abs is None:
        return trade.close_profit
    fees = -ledger.entry_fees_abs if trade.is_short else ledger.entry_fees_abs
    return ledger.realized_profit_abs / (ledger.entry_value + fees) * trade.leverage


def _trade(position: _Position, *, bot: str, run_mode: RunMode, stop: float | None, seen_rates: tuple[float, float] | None) -> Trade:
    opening, entry, exits = position.opening, position.entry, position.exits
    closed, profit_abs = not position.is_open, position.profit_abs
    rates = [float(entry.rate), *(float(exit_.rate) for _, exit_ in exits), *(seen_rates or ())]
    fee_open = float(entry.fees / entry.value)
    return Trade(
        bot=bot,
        run_mode=run_mode,
        account=opening.account,
        trade_id=opening.trade_id,
        pair=opening.pair,
        is_short=position.is_short,
        leverage=opening.leverage,
        open_date=entry.first_at,
        open_rate=float(entry.rate),
        amount=float(position.held),
        stake_amount=float(position.held * entry.rate) / opening.leverage,
        fee_open=fee_open,
        # As in freqtrade: before the first exit, the exit fee is assumed to equal the entry fee.
        fee_close=float(position.exit_fees / position.exit_value) if exits else fee_open,
        enter_tag=_text(opening, "feeder_id"),
        is_open=position.is_open,
        close_date=position.closed_at,
        close_rate=float(exits[-1][1].rate) if closed else None,
        close_profit=float(profit_abs / position.open_value) * opening.leverage if closed else None,
        close_profit_abs=float(profit_abs) if closed else None,
        exit_reason=_exit_reason(exits[-1][0]) if closed else None,
        funding_fees=float(position.paid),
        min_rate=min(rates),
        max_rate=max(rates),
        initial_stop_loss_pct=_number(opening, "stop_loss"),
        stop_loss_pct=_stop_ratio(position, stop=stop),
        liquidation_price=_number(opening, "liquidation_price"),
        horizon=Horizon.of_context(opening.context),
    )


def _fills_by_order(intents: Sequence[Intent], fills: Sequence[Fill]) -> Mapping[str, list[Fill]]:
    by_order: dict[str, list[Fill]] = {intent.client_order_id: [] for intent in intents}
    for fill in fills:
        if fill.client_order_id not in by_order:
            raise InvalidTradeError(
                f"fill {fill.exchange_trade_id} belongs to order {fill.client_order_id}, which is not an order of this trade"
            )
        by_order[fill.client_order_id].append(fill)
    return by_order


def _sum(fills: Sequence[Fill]) -> _Sum:
    return _Sum(
        amount=sum((fill.amount for fill in fills), _NONE),
        value=sum((fill.amount * fill.rate for fill in fills), _NONE),
        fees=sum((fill.fee_abs for fill in fills), _NONE),
        first_at=min(fill.filled_at for fill in fills),
        last_at=max(fill.filled_at for fill in fills),
    )


def _exits(intents: Sequence[Intent], by_order: Mapping[str, list[Fill]]) -> tuple[tuple[Intent, _Sum], ...]:
    filled = [
        (intent, _sum(by_order[intent.client_order_id]))
        for intent in intents
        if intent.leg is not IntentLeg.ENTRY and by_order[intent.client_order_id]
    ]
    return tuple(sorted(filled, key=lambda pair: (pair[1].last_at, pair[0].client_order_id)))


def _order(intent: Intent, fills: Sequence[Fill]) -> LedgerOrder:
    filled = _sum(fills) if fills else None
    return LedgerOrder(
        intent=intent,
        status=_status(intent, _NONE if filled is None else filled.amount),
        filled=_NONE if filled is None else filled.amount,
        average_rate=None if filled is None else filled.rate,
        last_fill_at=None if filled is None else filled.last_at,
        tag=_text(intent, "feeder_id") if intent.leg is IntentLeg.ENTRY else _exit_reason(intent),
    )


_STATUS = {
    IntentState.PLANNED: "open",
    IntentState.SENT: "open",
    IntentState.ACKED: "open",
    IntentState.DONE: "closed",
    IntentState.CANCELED: "canceled",
    IntentState.REJECTED: "rejected",
    IntentState.DEAD: "expired",
}


def _status(intent: Intent, filled: Decimal) -> str:
    return "closed" if filled >= intent.amount else _STATUS[intent.state]


def _exit_reason(intent: Intent) -> str:
    if intent.leg is IntentLeg.STOP:
        return ExitReason.STOP_LOSS.value
    if intent.leg is IntentLeg.TARGET:
        return ExitReason.ROI.value
    return require_exit_reason(intent)


def require_exit_reason(intent: Intent) -> str:
    """Return the exit reason that is stored with an exit intent. Raises InvalidTradeError if it is missing."""
    reason = _text(intent, "exit_reason")
    if reason is None:
        raise InvalidTradeError(f"{intent.bot} {intent.pair}: exit intent {intent.client_order_id} has no exit_reason in its context")
    return reason


def _last_stop(intents: Sequence[Intent], *, is_short: bool) -> float | None:
    """Return the trigger rate of the nearest stop that was ever open, filled and canceled ones included; None if there was none.

    A stop is only moved towards the market, so this is the one in force until the trade closed, also after its order was canceled.
    """
    opened = {IntentState.ACKED, IntentState.DONE, IntentState.CANCELED}
    stops = (intent.trigger_rate for intent in intents if intent.leg is IntentLeg.STOP and intent.state in opened)
    nearest = nearest_stop(stops, is_short=is_short)
    return None if nearest is None else float(nearest)


def _stop_ratio(position: _Position, *, stop: float | None) -> float | None:
    opening = position.opening
    planned = _number(opening, "stop_rate"), _number(opening, "stop_loss")
    if stop is None:
        return planned[1]
    return stop_ratio(stop, planned=planned, open_rate=float(position.entry.rate), is_short=position.is_short, leverage=opening.leverage)


def _requested(position: _Position) -> float | None:
    trigger = position.exits[-1][0].trigger_rate if position.exits else None
    return None if trigger is None else float(trigger)


def _number(intent: Intent, name: str) -> float | None:
    value = intent.context.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        raise InvalidTradeError(f"{intent.bot} {intent.pair}: {name} in the context of {intent.client_order_id} is text: {value!r}")
    return float(value)


def _text(intent: Intent, name: str) -> str | None:
    value = intent.context.get(name)
    return None if value is None else str(value)
