from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.adapters.files.markets import DECLARED_BRACKETS, DeclaredMarkets, FileMarkets, seen_rates
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.errors import CandleError

BTC: dict[str, Any] = {
    "symbol": "BTC/USDT:USDT",
    "precision": {"amount": 0.001, "price": 0.1},
    "limits": {"amount": {"min": 0.001, "max": 1000}, "cost": {"min": 100}},
    "contractSize": 1.0,
    "taker": 0.0004,
    "maker": 0.0002,
}
TIERS = {"BTC/USDT:USDT": [{"maxNotional": 50_000, "maxLeverage": 125, "maintenanceMarginRate": 0.004}]}


def some_markets(tmp_path: Path, content: object, *, tiers: object = None) -> FileMarkets:
    path, tiers_path = tmp_path / "markets.json", tmp_path / "tiers.json"
    path.write_text(json.dumps(content))
    if tiers is not None:
        tiers_path.write_text(json.dumps(tiers))
    return FileMarkets(path, taker_fee=0.0005, maker_fee=0.0003, tiers=tiers_path if tiers is not None else None)


@pytest.mark.parametrize("content", [{"BTC/USDT:USDT": BTC}, [BTC]])
def test_markets_given_ccxt_s_form_then_the_exchange_s_filters(tmp_path: Path, content: object) -> None:
    market = some_markets(tmp_path, content, tiers=TIERS).market("BTC/USDT:USDT")

    assert (market.rate_tick, market.amount_step, market.min_amount) == (Decimal("0.1"), Decimal("0.001"), Decimal("0.001"))
    assert (market.min_notional_abs, market.taker_fee, market.maker_fee) == (100, 0.0004, 0.0002)
    assert market.bracket(1_000.0).max_leverage == 125
    assert not market.is_declared


def test_markets_given_no_tiers_then_declared_brackets_and_says_so(tmp_path: Path) -> None:
    market = some_markets(tmp_path, [BTC]).market("BTC/USDT:USDT")

    assert market.brackets == DECLARED_BRACKETS
    assert market.is_declared


def test_markets_given_no_fees_then_those_of_the_settings(tmp_path: Path) -> None:
    market = some_markets(tmp_path, [BTC | {"taker": None, "maker": None}]).market("BTC/USDT:USDT")

    assert (market.taker_fee, market.maker_fee) == (0.0005, 0.0003)


def test_markets_given_contracts_then_the_step_is_in_base(tmp_path: Path) -> None:
    market = some_markets(tmp_path, [BTC | {"precision": {"amount": 1, "price": 0.1}, "contractSize": 10}]).market("BTC/USDT:USDT")

    assert str(market.amount_step) == "10"


def test_markets_given_a_pair_that_is_not_in_the_file_then_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CandleError, match="has no market ETH/USDT:USDT"):
        some_markets(tmp_path, [BTC]).market("ETH/USDT:USDT")


@pytest.mark.parametrize(
    "content", [3, ["BTC"], [{"symbol": "A/B"}], {"A/B": {"symbol": "A/B", "precision": {"amount": None, "price": 1}}}]
)
def test_markets_given_another_form_then_a_clear_error(tmp_path: Path, content: object) -> None:
    with pytest.raises(CandleError, match=r"markets\.json .*ccxt's form"):
        some_markets(tmp_path, content)


def test_markets_given_a_step_of_zero_then_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CandleError, match="steps are above 0"):
        some_markets(tmp_path, [BTC | {"precision": {"amount": 0.0, "price": 0.1}}]).market("BTC/USDT:USDT")


@pytest.mark.parametrize("tiers", [[], {"A/B": 3}, {"A/B": [{"maxLeverage": 3}]}])
def test_tiers_given_another_form_then_a_clear_error(tmp_path: Path, tiers: object) -> None:
    with pytest.raises(CandleError, match=r"tiers\.json is not in ccxt's form"):
        some_markets(tmp_path, [BTC], tiers=tiers)


def test_markets_given_no_file_or_no_json_then_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text("{")

    with pytest.raises(CandleError, match="cannot be read"):
        FileMarkets(tmp_path / "absent.json", taker_fee=0.0, maker_fee=0.0)
    with pytest.raises(CandleError, match="is not valid JSON"):
        FileMarkets(tmp_path / "cut.json", taker_fee=0.0, maker_fee=0.0)


@given(cents=st.lists(st.integers(1, 10**9), min_size=1, max_size=20), places=st.integers(0, 7))
def test_declared_given_rates_then_every_rate_stands_on_the_tick_and_a_step_costs_little(cents: list[int], places: int) -> None:
    rates = [cent / 10**places for cent in cents]

    market = DeclaredMarkets({"A/B:B": rates}, taker_fee=0.0005, maker_fee=0.0002).market("A/B:B")

    assert all(market.round_rate(rate, up=False) == Decimal(str(rate)) for rate in rates if market.rate_tick >= Decimal("1e-10"))
    assert max(rates) * float(market.amount_step) <= 5.0 * (1 + 1e-9)
    assert market.is_declared


def test_declared_given_candles_then_their_tick_is_found() -> None:
    start = datetime(2025, 1, 6, tzinfo=UTC)
    simulated = SimulatedMarket(1, starts_at=start, ends_at=start + timedelta(days=6))

    markets = DeclaredMarkets(seen_rates(simulated, "5m", until=start + timedelta(days=5)), taker_fee=0.0005, maker_fee=0.0002)

    assert {pair: markets.market(pair).rate_tick for pair in simulated.pairs()} == {
        pair: simulated.market(pair).rate_tick for pair in simulated.pairs()
    }


@pytest.mark.parametrize("rates", [[], [0.0], [float("nan")]])
def test_declared_given_no_prices_then_a_clear_error(rates: list[float]) -> None:
    with pytest.raises(CandleError, match="prices above 0"):
        DeclaredMarkets({"A/B:B": rates}, taker_fee=0.0, maker_fee=0.0)


def test_declared_given_an_unknown_pair_then_a_clear_error() -> None:
    with pytest.raises(CandleError, match="no filters are declared for X/Y"):
        DeclaredMarkets({"A/B:B": [1.0]}, taker_fee=0.0, maker_fee=0.0).market("X/Y")
