"""Trading rules of an exchange for a pair: steps, minimums, leverage brackets, fees."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from bot3.trading.costs import Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageBracket:
    """Maximum leverage and maintenance margin ratio of positions up to a notional in stake currency."""

    notional_cap_abs: float
    max_leverage: float
    maintenance_margin_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Order filters and fees of one pair.

    `amount_step` and `min_amount` are in base currency, `rate_tick` in quote per base, `min_notional_abs` in stake currency.

    `taker_fee` and `maker_fee` are ratios of the value of a side. `brackets` are sorted by cap.
    `is_declared` is true if at least one value is an assumed default instead of a value reported by the exchange.
    """

    pair: str
    rate_tick: Decimal
    amount_step: Decimal
    min_amount: Decimal
    min_notional_abs: Decimal
    taker_fee: float
    maker_fee: float
    brackets: tuple[LeverageBracket, ...]
    is_declared: bool

    def round_amount(self, amount: float | Decimal) -> Decimal:
        """Round an amount down to the step."""
        # Convert by str(): Decimal(0.1) would contain the float's binary representation error.
        return (Decimal(str(amount)) / self.amount_step).to_integral_value(ROUND_DOWN) * self.amount_step

    def round_rate(self, rate: float | Decimal, *, up: bool) -> Decimal:
        """Round a rate to the tick, up or down; the caller chooses the safe direction."""
        rounding = ROUND_UP if up else ROUND_DOWN
        return (Decimal(str(rate)) / self.rate_tick).to_integral_value(rounding) * self.rate_tick

    def break_even_rate(self, open_rate: float, *, is_short: bool, costs: Costs) -> Decimal:
        """Return the rate of a break-even stop, rounded to the tick away from the entry."""
        return self.round_rate(costs.break_even_rate(open_rate, is_short=is_short), up=not is_short)

    def bracket(self, notional_abs: float) -> LeverageBracket:
        """Return the bracket of a notional (the last bracket if it exceeds the highest cap)."""
        for bracket in self.brackets:
            if notional_abs <= bracket.notional_cap_abs:
                return bracket
        return self.brackets[-1]
