"""Restrict the pairs that the platform's own bots trade to one stake currency."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

import pandas as pd
import structlog

from bot3.errors import SettingsError
from bot3.ports.candles import CandleReader
from bot3.trading.currencies import stake_currency

log = structlog.get_logger()


class CurrencyCandles:
    """A `CandleReader` whose `pairs` are those of one stake currency; its other methods accept every pair of the wrapped reader.

    A paper wallet has one currency: profits of ETH/USDC:USDC and of BTC/USDT:USDT cannot be added in it. Candles of other pairs remain
    readable, since trades of other programs' bots are replayed on them.

    Parameters
    ----------
    candles : CandleReader
        The wrapped reader, with all pairs.
    currency : str
        Stake currency of the wallets.
    """

    def __init__(self, candles: CandleReader, *, currency: str) -> None:
        self._candles, self._currency = candles, currency

    def pairs(self) -> tuple[str, ...]:
        """Return the pairs of the currency, sorted. Raises SettingsError if the wrapped reader has only pairs of other currencies."""
        return self._pairs

    def timeframes(self, pair: str) -> tuple[str, ...]:
        """Return the timeframes of which the pair has candles; an empty tuple for an unknown pair."""
        return self._candles.timeframes(pair)

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        """Return the first open time and the last close time available."""
        return self._candles.span(pair, timeframe)

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the candle frame of candles that open at or after start and are closed by end."""
        return self._candles.candles(pair, timeframe, start=start, end=end)

    def rate_at(self, pair: str, timeframe: str, at: datetime) -> float:
        """Return the rate at which a market order fills."""
        return self._candles.rate_at(pair, timeframe, at)

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the funding frame with start <= time < end."""
        return self._candles.funding(pair, start=start, end=end)

    @cached_property
    def _pairs(self) -> tuple[str, ...]:
        every = self._candles.pairs()
        own = tuple(pair for pair in every if stake_currency(pair) == self._currency)
        others = sorted({stake_currency(pair) for pair in every} - {self._currency})
        if every and not own:
            raise SettingsError(
                f"no pair of the candles has the stake currency {self._currency}, only {', '.join(others)}: set BOT3_STAKE_CURRENCY to one "
                "of these, or BOT3_CANDLES to other candles"
            )
        if others:
            log.warning("pairs_not_traded", stake_currency=self._currency, other_currencies=others, pairs=len(every) - len(own))
        return own
