"""Stake currency of a pair, and the number of digits for its amounts. Pure functions without I/O."""

from __future__ import annotations

from functools import lru_cache

UNKNOWN_CURRENCY = "?"
"""Currency of a pair whose name does not contain it, such as BTCUSDT."""

_DIGITS = {"BTC": 8, "XBT": 8, "ETH": 5} | dict.fromkeys(
    (
        *("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "USDE", "USDS", "PYUSD", "RLUSD", "EURC", "EURI"),
        *("USD", "EUR", "GBP", "CHF", "AUD", "CAD", "BRL", "TRY", "ZAR", "PLN", "CZK", "SGD", "MXN"),
    ),
    2,
) | {"JPY": 0, "KRW": 0, "IDR": 0}  # fmt: skip
_OTHER_DIGITS = 6
"""Default digits of an unlisted coin, which may have a high price: too many digits are harmless, too few hide amounts."""


@lru_cache(maxsize=65_536)
def stake_currency(pair: str) -> str:
    """Parse the currency of a pair's stakes and profits from its name.

    Parameters
    ----------
    pair : str
        ccxt's symbol: "ETH/BTC" (spot), "ETH/USDT:USDT", "BTC/USDT:USDT-260327" (dated).

    Returns
    -------
    str
        The settle currency of a contract, else the quote currency; `UNKNOWN_CURRENCY` if the name contains neither.

    Notes
    -----
    Freqtrade trades only pairs whose quote is its `stake_currency`, and contracts that settle in it (`safe_quote_currency`). So the pair
    of a trade identifies the currency in databases of every version, with or without that column.
    """
    _, _, rest = pair.partition("/")
    quote, _, settle = rest.partition(":")
    return settle.partition("-")[0] or quote or UNKNOWN_CURRENCY


def currency_digits(currency: str) -> int:
    """Return the number of decimal places for displaying an amount of a currency."""
    return _DIGITS.get(currency, _OTHER_DIGITS)
