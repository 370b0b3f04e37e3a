"""Numbers in fmt."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.ports.control import ClockAnchor, ClockSource
from bot3.usecases import formatting as fmt
from tests.learned import a_row

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("unknown", [None, math.nan, pd.NaT])
def test_words_given_the_unknown_then_is_a_dash_never_zero(unknown: float) -> None:
    told = [
        fmt.ratio(unknown),
        fmt.share(unknown),
        fmt.money(unknown, "USDT"),
        fmt.amount(unknown, "USDT"),
        fmt.signed(unknown, "USDT"),
        fmt.count(unknown),
        fmt.number(unknown),
        fmt.rate(unknown),
    ]

    assert set(told) == {fmt.DASH}
    assert fmt.interval(unknown, 0.1) == fmt.interval(0.1, unknown) == fmt.share_interval(unknown, unknown) == fmt.DASH
    assert fmt.stamp(None) == fmt.age(None, now=NOON) == fmt.version(None) == fmt.DASH


def test_ratio_given_fractions_then_tells_percent_with_a_sign() -> None:
    assert (fmt.ratio(0.0123), fmt.ratio(-0.0345, 1), fmt.ratio(12.0)) == ("+1.23 %", "-3.5 %", "+1,200.00 %")
    assert fmt.interval(-0.001, 0.003) == "-0.10 % to +0.30 %"


def test_money_given_a_currency_then_shows_its_own_digits() -> None:
    assert fmt.money(-1234.5, "USDT") == "-1,234.50 USDT"
    assert fmt.money(0.00012, "BTC") == "+0.00012000 BTC"
    assert fmt.amount(10_012.5, "USDC") == "10,012.50 USDC"
    assert fmt.moneys({"BTC": -0.001, "USDT": 2.0}) == "-0.00100000 BTC, +2.00 USDT"
    assert fmt.money(1.0, "?") == "+1.000000 (currency unknown)"
    assert fmt.moneys({}) == fmt.DASH


@given(st.floats(min_value=-5e-6, max_value=5e-6))
def test_ratio_given_what_rounds_to_nothing_then_has_no_sign(value: float) -> None:
    assert fmt.ratio(value, 2) == "0.00 %"


@given(st.floats(min_value=1e-9, max_value=1e7))
def test_rate_given_any_price_then_is_no_power_of_ten_and_near(value: float) -> None:
    told = fmt.rate(value)

    assert "e" not in told
    assert math.isclose(float(told.replace(",", "")), value, rel_tol=1e-4)


def test_evidence_given_n_then_tells_the_effective_one_beside_it() -> None:
    assert fmt.evidence(1234) == "n 1,234"
    assert fmt.evidence(12, 8.54) == "n 12, effective 8.5"


@pytest.mark.parametrize(
    ("passed", "told"),
    [(1.0, "1 s ago"), (119.0, "119 s ago"), (600.0, "10 min ago"), (10_800.0, "3.0 h ago"), (864_000.0, "10.0 d ago"), (-60.0, "in 60 s")],
)
def test_age_given_seconds_then_tells_a_fitting_unit(passed: float, told: str) -> None:
    assert fmt.age(NOON - timedelta(seconds=passed), now=NOON) == told


def test_expiry_given_its_very_instant_then_is_expired() -> None:
    assert fmt.expiry(NOON, now=NOON, anchor=an_anchor()) == "EXPIRED 0 s ago"
    assert fmt.expiry(NOON, now=NOON - timedelta(hours=5), anchor=an_anchor()) == "in force, expires in 5.0 h"


def an_anchor(**changes: Any) -> ClockAnchor:
    live = ClockAnchor(source=ClockSource.WALL, wall_at=NOON, market_at=NOON, speed=1.0, is_running=True)
    return replace(live, **changes)


def test_expiry_given_a_market_at_sixty_times_the_walls_speed_then_names_the_walls_time_first() -> None:
    fast = an_anchor(source=ClockSource.REPLAYED, speed=60.0)

    life = fmt.expiry(NOON + timedelta(days=420), now=NOON, anchor=fast)
    over = fmt.expiry(NOON, now=NOON + timedelta(hours=10), anchor=fast)

    assert life == "in force, expires in 7.0 d (market time: in 420.0 d)"
    assert over == "EXPIRED 10 min ago (market time: 10.0 h ago)"


def test_expiry_given_a_clock_that_stands_still_then_promises_no_wall_time() -> None:
    still = an_anchor(source=ClockSource.SIMULATED, speed=60.0, is_running=False)

    assert fmt.expiry(NOON, now=NOON - timedelta(hours=5), anchor=still) == (
        "in force, expires: the market clock is paused (market time: in 5.0 h)"
    )


def test_stamp_given_another_time_zone_then_tells_utc() -> None:
    assert fmt.stamp(NOON.astimezone(tz=None)) == "2026-01-05 12:00:00"


def test_standing_given_few_trades_or_none_replayed_then_marks_them() -> None:
    assert fmt.standing(a_row(trades_count=3), minimum=5) == "40 % own data, the rest from static set (few trades: 3 of 5)"
    assert fmt.standing(a_row(trades_count=9, own_share=0.0), minimum=5) == "No trade is replayed yet: all from static set"
    assert fmt.standing(a_row(trades_count=9), minimum=5) == "40 % own data, the rest from static set"


def test_group_given_stars_then_tells_all() -> None:
    assert fmt.key("*|long|2.0-3.5") == "all pairs, long, 2.0-3.5x"
    assert fmt.key("BTC/USDT:USDT|short|*") == "BTC/USDT:USDT, short, all leverage"


def test_market_source_given_any_then_never_promises_real_money() -> None:
    assert all("not real money" in fmt.market_source(source) for source in ClockSource)
    assert fmt.market_source(ClockSource.SIMULATED) == "simulated market: not real money, not a real market"
