"""Trades with freqtrade's field names: run mode, exit reason, order pattern, and the trade that learning reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot3.errors import InvalidTradeError
from bot3.trading.horizons import Horizon


class RunMode(StrEnum):
    """Where a trade was made: in a backtest, on paper, or live."""

    BACKTEST = "backtest"
    PAPER = "paper"
    LIVE = "live"


class ExitReason(StrEnum):
    """Reason why a trade ended (freqtrade's values first, then BOT3's own)."""

    ROI = "roi"  # the target
    STOP_LOSS = "stop_loss"
    STOPLOSS_ON_EXCHANGE = "stoploss_on_exchange"
    LIQUIDATION = "liquidation"
    FORCE_EXIT = "force_exit"
    EMERGENCY_EXIT = "emergency_exit"
    GIVEBACK = "giveback"
    TIME_EXIT = "time_exit"


class OrderPattern(StrEnum):
    """Whether a trade has one entry and one exit (SINGLE): only then its open and close rates describe the whole trade."""

    SINGLE = "single"
    MULTIPLE = "multiple"
    UNKNOWN = "unknown"

    @classmethod
    def of_counts(cls, *, entries: int, exits: int, grew: bool = False) -> OrderPattern:
        """Classify a trade by its filled orders.

        Parameters
        ----------
        entries, exits : int
            Numbers of filled orders in the source. Without any the pattern is UNKNOWN, or MULTIPLE if the trade's amounts imply that.
        grew : bool
            Whether the trade's amounts imply several orders: its amount exceeds the first entry's request, or its stake was once larger
            than at its exit.
        """
        if entries > 1 or exits > 1:
            return cls.MULTIPLE
        if entries or exits:
            return cls.SINGLE
        return cls.MULTIPLE if grew else cls.UNKNOWN


DIRECTIONS = ("long", "short")


def direction(*, is_short: bool) -> str:
    """Return "short" or "long"."""
    return "short" if is_short else "long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A trade as stored in a bot's database; key in the record: (bot, run_mode, trade_id, open_date).

    Ratios are fractions of the stake, leverage included, after fees and funding; rates are quote per base; a loss is negative.
    `initial_stop_loss_pct` and `stop_loss_pct` are ratios of the stake: below 0, except that `stop_loss_pct` is above 0 for a stop that was
    moved beyond the entry (freqtrade writes it as a negative number then, too). The close fields are None while open.
    `min_rate` and `max_rate` are the extreme rates seen. `funding_fees` above 0 were received. `amount` is 0 while the entry of an open
    trade is not filled. `order_pattern` shows whether the trade has one entry and one exit: for other trades `open_rate` is the average
    rate of the last open amount, and `close_rate` the rate of the last exit. `horizon` was fixed at the entry; None if the source does not
    state it.
    """

    bot: str
    run_mode: RunMode
    account: str
    trade_id: int
    pair: str
    is_short: bool
    leverage: float
    open_date: datetime
    open_rate: float
    amount: float
    stake_amount: float
    fee_open: float
    fee_close: float
    enter_tag: str | None
    is_open: bool
    close_date: datetime | None = None
    close_rate: float | None = None
    close_profit: float | None = None
    close_profit_abs: float | None = None
    exit_reason: str | None = None
    funding_fees: float = 0.0
    min_rate: float | None = None
    max_rate: float | None = None
    initial_stop_loss_pct: float | None = None
    stop_loss_pct: float | None = None
    liquidation_price: float | None = None
    order_pattern: OrderPattern = OrderPattern.SINGLE
    horizon: Horizon | None = None

    def __post_init__(self) -> None:
        if self.open_rate <= 0.0 or self.stake_amount <= 0.0 or self.amount < 0.0 or (self.amount == 0.0 and not self.is_open):
            raise InvalidTradeError(
                f"{self.bot} trade {self.trade_id}: open_rate, amount and stake_amount must be above 0 (amount may be 0 before a fill)"
            )
        if self.leverage < 1.0:
            raise InvalidTradeError(f"{self.bot} trade {self.trade_id}: leverage must be at least 1, was {self.leverage}")
        if not self.is_open and None in (self.close_date, self.close_rate, self.close_profit, self.close_profit_abs):
            raise InvalidTradeError(f"{self.bot} trade {self.trade_id} is closed, but a close field is missing")
