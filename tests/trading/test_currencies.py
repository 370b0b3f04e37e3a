"""Which currency a pair's money is in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.currencies import UNKNOWN_CURRENCY, currency_digits, stake_currency

coins = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("pair", "currency"),
    [
        ("BTC/USDT:USDT", "USDT"),
        ("ETH/BTC", "BTC"),
        ("XYZ-TSLA/USDC:USDC", "USDC"),
        ("币安人生/USDT:USDT", "USDT"),
        ("_PAAL/USDT", "USDT"),
        ("BTC/USDT:USDT-260327", "USDT"),
        ("BTC/USD:BTC", "BTC"),
        ("BTC/USD:BTC-260327-60000-C", "BTC"),
        ("BTCUSDT", UNKNOWN_CURRENCY),
        ("BTC/", UNKNOWN_CURRENCY),
        ("", UNKNOWN_CURRENCY),
    ],
)
def test_stake_currency_given_a_pair_then_is_its_settle_or_its_quote(pair: str, currency: str) -> None:
    assert stake_currency(pair) == currency


@given(coins, coins, coins, st.sampled_from(["", "-260327", "-260327-100-P"]))
def test_stake_currency_given_any_contract_then_is_what_it_settles_in(base: str, quote: str, settle: str, expiry: str) -> None:
    assert stake_currency(f"{base}/{quote}:{settle}{expiry}") == settle
    assert stake_currency(f"{base}/{quote}") == quote


def test_currency_digits_given_a_currency_then_are_its_own() -> None:
    assert [currency_digits(name) for name in ("BTC", "ETH", "USDT", "USDC", "EUR", "JPY", "SOL")] == [8, 5, 2, 2, 2, 0, 6]
