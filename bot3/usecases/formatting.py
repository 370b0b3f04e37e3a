"""Format numbers, times and names as text. A number or time that is unknown (None, NaN, NaT) becomes an en dash, never a zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bot3.ports.control import ClockAnchor, ClockSource
from bot3.trading.currencies import UNKNOWN_CURRENCY, currency_digits
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ANY, ExitParameters
from bot3.trading.recommendations import Recommendation
from bot3.trading.trade_classes import class_parts

DASH = "\N{EN DASH}"
NO_TARGET = "no target, time exit"
"""Text in place of a target of trades that have none: they end at the horizon if nothing else ends them before."""

_SOURCES = {
    ClockSource.SIMULATED: "simulated market: not real money, not a real market",
    ClockSource.REPLAYED: "real candles, replayed: not real money, not the market of today",
    ClockSource.WALL: "live market data: paper orders, not real money",
}
_AGES = ((120.0, "s", 1.0), (7_200.0, "min", 60.0), (172_800.0, "h", 3_600.0), (math.inf, "d", 86_400.0))


def is_unknown(value: object) -> bool:
    """Return whether a value is None, NaN or NaT."""
    return value is None or value != value  # noqa: PLR0124  # NaN and NaT differ from themselves


def ratio(value: float | None, digits: int = 2) -> str:
    """Return 0.0123 as "+1.23 %"."""
    return DASH if value is None or is_unknown(value) else f"{_signed(value * 100.0, digits)} %"


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits)
    # A value that rounds to zero has no sign: "-0.00" would read as a loss.
    return f"{rounded:+,.{digits}f}" if rounded else f"{0.0:.{digits}f}"


def share(value: float | None, digits: int = 0) -> str:
    """Return 0.57 as "57 %", for values that cannot be below 0."""
    return DASH if value is None or is_unknown(value) else f"{value * 100.0:,.{digits}f} %"


def leverage(recommendation: Recommendation) -> str:
    """Return the suggested range of leverage and the bins that may be traded, "leverage 1 to 3.5, open bins 1.0-2.0, 2.0-3.5"."""
    low, high = recommendation.suggested_leverage_range
    return f"leverage {low:g} to {high:g}, open bins {', '.join(recommendation.open_bins)}"


def money(value: float | None, currency: str) -> str:
    """Return a profit with its sign, its currency and the currency's digits: "+12.50 USDT", "-0.00012000 BTC"."""
    return DASH if value is None or is_unknown(value) else f"{signed(value, currency)} {currency_name(currency)}"


def moneys(sums: Mapping[str, float]) -> str:
    """Return the profit of each currency, "+12.50 USDT, -0.00012000 BTC"; a dash for an empty mapping."""
    return ", ".join(money(value, currency) for currency, value in sums.items()) or DASH


def amount(value: float | None, currency: str) -> str:
    """Return an amount with its currency and without a plus sign, "10,012.50 USDT"."""
    if value is None or is_unknown(value):
        return DASH
    return f"{value:,.{currency_digits(currency)}f} {currency_name(currency)}"


def amounts(sums: Mapping[str, float]) -> str:
    """Return the amount of each currency, "300.00 USDT, 0.02000000 BTC"; a dash for an empty mapping."""
    return ", ".join(amount(value, currency) for currency, value in sums.items()) or DASH


def signed(value: float | None, currency: str) -> str:
    """Return 12.5 as "+12.50", with the currency's number of decimals and without its name."""
    return DASH if value is None or is_unknown(value) else _signed(value, currency_digits(currency))


def currency_name(currency: str) -> str:
    """Return the currency; "(currency unknown)" for `UNKNOWN_CURRENCY`, of trades whose pair does not contain a currency."""
    return "(currency unknown)" if currency == UNKNOWN_CURRENCY else currency


def count(value: float | None) -> str:
    """Return 1234 as "1,234", rounded to a whole number."""
    return DASH if value is None or is_unknown(value) else f"{value:,.0f}"


def number(value: float | None, digits: int = 2) -> str:
    """Return 1.5 as "1.50", with `digits` decimals."""
    return DASH if value is None or is_unknown(value) else f"{value:,.{digits}f}"


def rate(value: float | None) -> str:
    """Return a price with at least two decimals and at least six significant digits, "65,000.00" or "0.000123457"; no powers of ten."""
    if value is None or is_unknown(value):
        return DASH
    digits = 2 if value == 0.0 else max(2, 5 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return an interval of ratios, "-0.10 % to +0.30 %"; a dash if an end is unknown."""
    if is_unknown(low) or is_unknown(high):
        return DASH
    return f"{ratio(low, digits)} to {ratio(high, digits)}"


def share_interval(low: float | None, high: float | None) -> str:
    """Return an interval of shares, "52 % to 61 %"; a dash if an end is unknown."""
    if is_unknown(low) or is_unknown(high):
        return DASH
    return f"{share(low)} to {share(high)}"


def evidence(n: int, n_eff: float | None = None) -> str:
    """Return how many observations a number is based on, "n 12, effective 8.5"; "n 12" if the effective number is unknown."""
    return f"n {n:,}" if n_eff is None or is_unknown(n_eff) else f"n {n:,}, effective {n_eff:,.1f}"


def stamp(at: datetime | None) -> str:
    """Return a time in UTC, "2026-01-05 12:00:00"."""
    return DASH if at is None or is_unknown(at) else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(duration: timedelta) -> str:
    """Return a duration: "42 s" below two minutes, "5 min" below two hours, "3.1 h" below two days, else "2.5 d"."""
    seconds = duration.total_seconds()
    unit, size = next((unit, size) for limit, unit, size in _AGES if abs(seconds) < limit)
    return f"{seconds / size:.0f} {unit}" if size < 3_600.0 else f"{seconds / size:.1f} {unit}"


def age(then: datetime | None, *, now: datetime) -> str:
    """Return the age of something, "42 s ago"; a time in the future is "in 42 s"."""
    if then is None or is_unknown(then):
        return DASH
    return ago(now - then)


def ago(passed: timedelta) -> str:
    """Return a duration as "42 s ago", a negative one as "in 42 s"."""
    return f"{span(passed)} ago" if passed >= timedelta(0) else f"in {span(-passed)}"


def expiry(expires_at: datetime, *, now: datetime, anchor: ClockAnchor | None) -> str:
    """Return how long a publication stays in force, or how long ago it expired (also at the exact time of expiry).

    Parameters
    ----------
    expires_at, now : datetime
        Market time.
    anchor : ClockAnchor or None
        The market clock. If it is paused or its speed is not 1, the market time is added in brackets.

    Returns
    -------
    str
        "in force, expires in 3.1 h" (wall time), "in force, expires in 7.0 d (market time: in 420.0 d)", "EXPIRED 5 min ago", or
        "in force, expires: the market clock is paused (market time: in 3.1 h)".
    """
    state = "EXPIRED" if now >= expires_at else "in force, expires"
    if anchor is None or anchor.source is ClockSource.WALL or (anchor.speed == 1.0 and anchor.is_running):
        return f"{state} {age(expires_at, now=now)}"
    market = f"market time: {age(expires_at, now=now)}"
    if not anchor.is_running:
        return f"{state}: the market clock is paused ({market})"
    return f"{state} {age(now + (expires_at - now) / anchor.speed, now=now)} ({market})"


def version(text: str | None) -> str:
    """Return the first twelve characters of a digest; a dash for None or ""."""
    return text[:12] if text else DASH


def market_source(source: ClockSource | None) -> str:
    """Return what kind of market the prices are from; None (no market clock was set yet) gives "market unknown: no home was seeded"."""
    return "market unknown: no home was seeded" if source is None else _SOURCES[source]


def sentence(text: str) -> str:
    """Return a text, which must not be empty, with a capital first letter and a full stop appended."""
    return f"{text[0].upper()}{text[1:]}."


def group(pair: str, direction: str, leverage_bin: str) -> str:
    """Return a group of trades as text, "BTC/USDT:USDT, long, 2.0-3.5x"; "*" becomes "all pairs", "long and short" or "all leverage".

    A horizon other than 24 h is appended, ", 7d".
    """
    name, horizon = class_parts(leverage_bin)
    parts = (
        "all pairs" if pair == ANY else pair,
        "long and short" if direction == ANY else direction,
        "all leverage" if name == ANY else f"{name}x",
        *(() if horizon is Horizon.DAY else (horizon.value,)),
    )
    return ", ".join(parts)


def key(text: str) -> str:
    """Return a group's key "pair|direction|bin" as text (`group`); "static", the stop and target of the settings, as "static set"."""
    parts = text.rsplit("|", 2)
    return group(parts[0], parts[1], parts[2]) if len(parts) == 3 else f"{text} set"


def missing_closes(row: ExitParameters) -> str:
    """Return how many of a group's closed trades learning did not use, "14 of 80 (17.5 %): 10 left out, 4 late".

    Late ones closed after the day of their entry could be reviewed. A dash for rows of earlier releases, which lack the counts.
    """
    if row.left_out_count is None or row.late_count is None:
        return DASH
    lost = row.left_out_count + row.late_count
    lacking = share(lost / row.trades_count, 1) if row.trades_count else DASH
    return f"{lost:,} of {row.trades_count:,} ({lacking}): {row.left_out_count:,} left out, {row.late_count:,} late"


def why_censored(limit: float) -> str:
    """Return why a pair and direction may not trade if too many of its closes are missing from the evidence, and when it may again.

    Parameters
    ----------
    limit : float
        Largest permitted share of missing closes, 0 to 1.
    """
    return (
        f"More than {share(limit, 1)} of their closed trades (BOT3_MAX_CENSORED_SHARE) are missing from the evidence: left out (forced or "
        "manual exits, liquidations, several entries or exits, no candles), or closed after the day of their entry could be reviewed. "
        "Losing trades stay open longer and are closed manually more often than winning ones, so the remaining evidence is too good. They "
        "may trade again at a review once the share is lower."
    )


def standing(row: ExitParameters, *, minimum: int) -> str:
    """Return which data a row of learned parameters is based on, "35 % own data, the rest from ...".

    The text of a group with fewer trades than `minimum` also contains their number; without a replayed trade it has no own data.
    """
    if row.own_share <= 0.0:
        return f"No trade is replayed yet: all from {key(row.parent)}"
    few = f" (few trades: {row.trades_count} of {minimum})" if row.trades_count < minimum else ""
    return f"{share(row.own_share)} own data, the rest from {key(row.parent)}{few}"
