"""The pairs of the simulated market: invented names, each with its own price, volatility, turnover and rules for orders."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bot3.errors import SettingsError
from bot3.trading.markets import LeverageBracket, Market


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTraits:
    """Price behaviour of one pair.

    Parameters
    ----------
    start_rate : float
        Price at the market's start, to which it reverts over months.
    daily_sigma : float
        Typical standard deviation of a day's log price; 0.03 is 3 %.
    beta : float
        Factor by which the regime's daily drift, and its effect on funding rates, are multiplied for the pair.
    correlation : float
        Correlation of its returns with the market's, 0 to 1.
    daily_value_abs : float
        Typical daily turnover, quote currency.
    rate_decimals, amount_decimals : int
        Decimal places of prices and amounts.
    """

    pair: str
    start_rate: float
    daily_sigma: float
    beta: float
    correlation: float
    daily_value_abs: float
    rate_decimals: int
    amount_decimals: int


def _traits(name: str, *numbers: float, rate_decimals: int, amount_decimals: int) -> PairTraits:
    start_rate, daily_sigma, beta, correlation, daily_value_abs = numbers
    return PairTraits(
        pair=f"{name}/USDT:USDT",
        start_rate=start_rate,
        daily_sigma=daily_sigma,
        beta=beta,
        correlation=correlation,
        daily_value_abs=daily_value_abs,
        rate_decimals=rate_decimals,
        amount_decimals=amount_decimals,
    )


# No real coin has these names, so that a simulated price is never mistaken for a real one.
PAIRS = (
    _traits("ALFA", 60_000.0, 0.015, 0.7, 0.85, 9e9, rate_decimals=1, amount_decimals=3),
    _traits("BRAVO", 3_000.0, 0.020, 0.9, 0.85, 5e9, rate_decimals=2, amount_decimals=3),
    _traits("CHARLIE", 620.0, 0.024, 0.8, 0.70, 6e8, rate_decimals=2, amount_decimals=2),
    _traits("DELTA", 150.0, 0.029, 1.1, 0.75, 1e9, rate_decimals=3, amount_decimals=2),
    _traits("ECHO", 2.2, 0.034, 1.0, 0.65, 8e8, rate_decimals=4, amount_decimals=1),
    _traits("FOXTROT", 0.75, 0.040, 1.2, 0.70, 3e8, rate_decimals=5, amount_decimals=0),
    _traits("GOLF", 0.19, 0.048, 1.3, 0.65, 6e8, rate_decimals=6, amount_decimals=0),
    _traits("HOTEL", 1.6, 0.062, 1.4, 0.50, 5e7, rate_decimals=5, amount_decimals=1),
    _traits("INDIA", 38.0, 0.027, 0.9, 0.60, 2e8, rate_decimals=3, amount_decimals=1),
    _traits("JULIETT", 7.4, 0.037, 1.1, 0.70, 2e8, rate_decimals=4, amount_decimals=1),
    _traits("KILO", 0.052, 0.053, 1.2, 0.60, 1e8, rate_decimals=7, amount_decimals=0),
    _traits("LIMA", 430.0, 0.018, 0.8, 0.75, 4e8, rate_decimals=2, amount_decimals=2),
)

TAKER_FEE, MAKER_FEE = 0.0005, 0.0002
_BRACKETS = ((50_000.0, 20.0, 0.01), (500_000.0, 10.0, 0.025), (2_000_000.0, 5.0, 0.05), (10_000_000.0, 2.0, 0.125))


def simulated_pairs(count: int) -> tuple[PairTraits, ...]:
    """Return the first `count` pairs of `PAIRS`.

    Raises
    ------
    SettingsError
        If the count is outside the table's range.
    """
    if not 1 <= count <= len(PAIRS):
        raise SettingsError(f"the simulated market has 1 to {len(PAIRS)} pairs, {count} were requested")
    return PAIRS[:count]


def simulated_filters(traits: PairTraits) -> Market:
    """Return the rules for orders of a pair."""
    step = Decimal(1).scaleb(-traits.amount_decimals)
    return Market(
        pair=traits.pair,
        rate_tick=Decimal(1).scaleb(-traits.rate_decimals),
        amount_step=step,
        min_amount=step,
        min_notional_abs=Decimal(5),
        taker_fee=TAKER_FEE,
        maker_fee=MAKER_FEE,
        brackets=tuple(
            LeverageBracket(notional_cap_abs=cap, max_leverage=leverage, maintenance_margin_ratio=ratio)
            for cap, leverage, ratio in _BRACKETS
        ),
        is_declared=False,
    )
