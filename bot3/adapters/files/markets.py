"""An exchange's rules for orders of each pair: from a file in ccxt's form, or without one assumed ("declared") from observed prices."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bot3.errors import CandleError
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.trading.markets import LeverageBracket, Market

DECLARED_MIN_NOTIONAL = Decimal(5)
DECLARED_BRACKETS = (
    LeverageBracket(notional_cap_abs=50_000.0, max_leverage=20.0, maintenance_margin_ratio=0.01),
    LeverageBracket(notional_cap_abs=500_000.0, max_leverage=10.0, maintenance_margin_ratio=0.025),
    LeverageBracket(notional_cap_abs=2_000_000.0, max_leverage=5.0, maintenance_margin_ratio=0.05),
    LeverageBracket(notional_cap_abs=10_000_000.0, max_leverage=2.0, maintenance_margin_ratio=0.125),
)
"""Leverage brackets of pairs whose real ones are unknown: stricter than those of large exchanges for large coins, to allow no more."""

_DECIMALS = 12
_CANDLES_SEEN = 2_000


class _Bounds(BaseModel):
    min: float | None = None


class _Limits(BaseModel):
    amount: _Bounds = _Bounds()
    cost: _Bounds = _Bounds()


class _Precision(BaseModel):
    amount: float
    price: float


class _Tier(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    maxNotional: float | None = None  # noqa: N815 - ccxt's key
    maxLeverage: float  # noqa: N815
    maintenanceMarginRate: float  # noqa: N815


class _Row(BaseModel):
    symbol: str
    precision: _Precision
    limits: _Limits = _Limits()
    contractSize: float | None = None  # noqa: N815
    taker: float | None = None
    maker: float | None = None


class FileMarkets:
    """Reads the rules for orders from a file written with `json.dumps(exchange.load_markets())` (`MarketReader`).

    Parameters
    ----------
    path : Path
        Markets in ccxt's form: symbol to market, or a list of markets; precisions are steps (ccxt's TICK_SIZE mode).
    taker_fee, maker_fee : float
        Defaults for markets whose file contains none, ratios of a side's value.
    tiers : Path, optional
        Leverage tiers in ccxt's form: symbol to list of tiers. Pairs without tiers get `DECLARED_BRACKETS`.

    Raises
    ------
    CandleError
        If a file cannot be read or has another form; the message names the path and the remedy.

    Notes
    -----
    `is_declared` is true as soon as one value of a pair (brackets, a fee, the minimum notional) is a default.
    """

    def __init__(self, path: Path, *, taker_fee: float, maker_fee: float, tiers: Path | None = None) -> None:
        self._path = path
        self._rows = _rows(path)
        self._tiers = _tiers(tiers) if tiers else {}
        self._taker_fee, self._maker_fee = taker_fee, maker_fee

    def market(self, pair: str) -> Market:
        """Return the rules of a pair. Raises CandleError if the file lacks the pair, or contains a step of it that is not above 0."""
        row = self._rows.get(pair)
        if row is None:
            raise CandleError(f"{self._path} has no market {pair}: write the file again from the exchange")
        return self._market(row)

    def _market(self, row: _Row) -> Market:
        brackets = self._tiers.get(row.symbol)
        is_declared = not brackets or row.taker is None or row.maker is None or row.limits.cost.min is None
        step = _plain(self._above_zero(row.precision.amount, row) * self._above_zero(row.contractSize or 1.0, row))
        least = Decimal(str(row.limits.amount.min or 0.0)) * Decimal(str(row.contractSize or 1.0))
        notional = row.limits.cost.min
        return Market(
            pair=row.symbol,
            rate_tick=self._above_zero(row.precision.price, row),
            amount_step=step,
            min_amount=max(least, step),
            min_notional_abs=DECLARED_MIN_NOTIONAL if notional is None else Decimal(str(notional)),
            taker_fee=self._taker_fee if row.taker is None else row.taker,
            maker_fee=self._maker_fee if row.maker is None else row.maker,
            brackets=brackets or DECLARED_BRACKETS,
            is_declared=is_declared,
        )

    def _above_zero(self, value: float, row: _Row) -> Decimal:
        if not (math.isfinite(value) and value > 0.0):
            raise CandleError(
                f"{self._path}: {row.symbol} has a step of {value}: steps are above 0; write the file again from the exchange"
            )
        return _plain(Decimal(str(value)))


class DeclaredMarkets:
    """Rules for orders assumed from observed prices and defaults, for a home without a markets file; their `is_declared` is true.

    Parameters
    ----------
    rates : mapping
        Observed prices of each pair: the price tick is the last decimal place that they use, at most the twelfth.
    taker_fee, maker_fee : float
        Ratios of a side's value.

    Raises
    ------
    CandleError
        If a pair has no price, or one that is not above 0.
    """

    def __init__(self, rates: Mapping[str, Iterable[float]], *, taker_fee: float, maker_fee: float) -> None:
        self._markets = {pair: _declared(pair, list(seen), taker_fee=taker_fee, maker_fee=maker_fee) for pair, seen in rates.items()}

    def market(self, pair: str) -> Market:
        """Return the rules of a pair. Raises CandleError if no prices of the pair were given."""
        market = self._markets.get(pair)
        if market is None:
            raise CandleError(f"no filters are declared for {pair}: there are filters for {', '.join(sorted(self._markets)) or 'no pair'}")
        return market


def seen_rates(candles: CandleReader, timeframe: str, *, until: datetime) -> dict[str, list[float]]:
    """Return each pair's closes in the last 2,000 candle durations before a market time (or before its last candle), for `DeclaredMarkets`.

    Pairs without a candle in that span are left out.
    """
    rates = {}
    for pair in candles.pairs():
        end = min(until, candles.span(pair, timeframe)[1])
        span: timedelta = _CANDLES_SEEN * timeframe_duration(timeframe)
        closes = candles.candles(pair, timeframe, start=end - span, end=end)["close"]
        if len(closes):
            rates[pair] = [float(close) for close in closes]
    return rates


def _declared(pair: str, seen: list[float], *, taker_fee: float, maker_fee: float) -> Market:
    if not seen or not all(math.isfinite(rate) and rate > 0.0 for rate in seen):
        raise CandleError(f"no filters can be declared for {pair}: pass observed prices above 0")
    values = np.asarray(seen)
    places = next((places for places in range(_DECIMALS) if np.allclose(np.round(values, places), values, rtol=1e-12, atol=0.0)), _DECIMALS)
    # At the highest price the step is worth at most the smallest order, so that rounding to it never doubles an order.
    step = _plain(Decimal(1).scaleb(math.floor(math.log10(float(DECLARED_MIN_NOTIONAL) / float(values.max())))))
    return Market(
        pair=pair,
        rate_tick=Decimal(1).scaleb(-places),
        amount_step=step,
        min_amount=step,
        min_notional_abs=DECLARED_MIN_NOTIONAL,
        taker_fee=taker_fee,
        maker_fee=maker_fee,
        brackets=DECLARED_BRACKETS,
        is_declared=True,
    )


def _plain(step: Decimal) -> Decimal:
    """Return a step without trailing zeros (0.0010) and without an exponent (1E+1): amounts and their texts inherit both."""
    return Decimal(format(step.normalize(), "f"))


def _json(path: Path) -> object:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CandleError(f"{path} cannot be read ({error.strerror}): write it with the exchange's markets in ccxt's form") from error
    except ValueError as error:
        raise CandleError(f"{path} is not valid JSON ({error}): write it with the exchange's markets in ccxt's form") from error
    return content


def _rows(path: Path) -> dict[str, _Row]:
    content = _json(path)
    raw = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(raw, list):
        raise CandleError(f"{path} contains neither an object nor a list: write it with the exchange's markets in ccxt's form")
    try:
        rows = [_Row.model_validate(row) for row in raw]
    except (ValidationError, InvalidOperation) as error:
        raise CandleError(f"{path} is not in ccxt's form ({_first_error(error)}): write it again from the exchange") from error
    return {row.symbol: row for row in rows}


def _tiers(path: Path) -> dict[str, tuple[LeverageBracket, ...]]:
    content = _json(path)
    if not isinstance(content, dict):
        raise CandleError(f"{path} is not in ccxt's form: it must be an object of pair to list of tiers")
    try:
        tiers = {str(pair): [_Tier.model_validate(tier) for tier in found] for pair, found in content.items()}
    except (ValidationError, TypeError) as error:
        raise CandleError(f"{path} is not in ccxt's form ({_first_error(error)}): write it again from the exchange") from error
    return {pair: tuple(sorted(map(_bracket, found), key=lambda bracket: bracket.notional_cap_abs)) for pair, found in tiers.items()}


def _bracket(tier: _Tier) -> LeverageBracket:
    return LeverageBracket(
        notional_cap_abs=math.inf if tier.maxNotional is None else tier.maxNotional,
        max_leverage=tier.maxLeverage,
        maintenance_margin_ratio=tier.maintenanceMarginRate,
    )


def _first_error(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
