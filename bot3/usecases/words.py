"""Numbers in words: units, intervals, ages; the unknown is an en dash, never a zero."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from bot3.ports.control import ClockSource
from bot3.trading.parameters import ANY, ExitParameters
from bot3.trading.recommendations import Recommendation

DASH = "\N{EN DASH}"

_SOURCES = {
    ClockSource.SIMULATED: "simulated market: not real money, not a real market",
    ClockSource.REPLAYED: "real candles, replayed: not real money, not the market of today",
    ClockSource.WALL: "live market data: paper orders, not real money",
}
_AGES = ((120.0, "s", 1.0), (7_200.0, "min", 60.0), (172_800.0, "h", 3_600.0), (math.inf, "d", 86_400.0))


def is_unknown(value: object) -> bool:
    """Say whether a value is None, NaN or NaT."""
    return value is None or value != value  # noqa: PLR0124  # NaN and NaT differ from themselves


def ratio(value: float | None, digits: int = 2) -> str:
    """Return 0.0123 as "+1.23 %"."""
    return DASH if value is None or is_unknown(value) else f"{_signed(value * 100.0, digits)} %"


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits)
    # What rounds to nothing has no sign: "-0.00" would read as a loss.
    return f"{rounded:+,.{digits}f}" if rounded else f"{0.0:.{digits}f}"


def share(value: float | None, digits: int = 0) -> str:
    """Return 0.57 as "57 %", for what cannot be below 0."""
    return DASH if value is None or is_unknown(value) else f"{value * 100.0:,.{digits}f} %"


def leverage(recommendation: Recommendation) -> str:
    """Return which leverage may be chosen: the recommended range, and the open bins."""
    low, high = recommendation.suggested_leverage_range
    return f"leverage {low:g} to {high:g}, open bins {', '.join(recommendation.open_bins)}"


def money(value: float | None) -> str:
    """Return 12.5 as "+12.50 USDT"."""
    return DASH if value is None or is_unknown(value) else f"{_signed(value, 2)} USDT"


def signed(value: float | None) -> str:
    """Return 12.5 as "+12.50", where the unit stands beside it."""
    return DASH if value is None or is_unknown(value) else _signed(value, 2)


def count(value: float | None) -> str:
    """Return 1234 as "1,234"."""
    return DASH if value is None or is_unknown(value) else f"{value:,.0f}"


def number(value: float | None, digits: int = 2) -> str:
    """Return 1.5 as "1.50"."""
    return DASH if value is None or is_unknown(value) else f"{value:,.{digits}f}"


def rate(value: float | None) -> str:
    """Return a price with six significant digits, never in powers of ten."""
    if value is None or is_unknown(value):
        return DASH
    digits = 2 if value == 0.0 else max(2, 5 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return a 90 % interval of ratios, "-0.10 % to +0.30 %"; a dash if an end is unknown."""
    if is_unknown(low) or is_unknown(high):
        return DASH
    return f"{ratio(low, digits)} to {ratio(high, digits)}"


def share_interval(low: float | None, high: float | None) -> str:
    """Return a 90 % interval of shares, "52 % to 61 %"; a dash if an end is unknown."""
    if is_unknown(low) or is_unknown(high):
        return DASH
    return f"{share(low)} to {share(high)}"


def evidence(n: int, n_eff: float | None = None) -> str:
    """Return how much a number rests on, "n 12, effective 8.5"."""
    return f"n {n:,}" if n_eff is None or is_unknown(n_eff) else f"n {n:,}, effective {n_eff:,.1f}"


def stamp(at: datetime | None) -> str:
    """Return a time in UTC, "2026-01-05 12:00:00"."""
    return DASH if at is None or is_unknown(at) else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def span(duration: timedelta) -> str:
    """Return a length of time, "42 s", "3.1 h"."""
    seconds = duration.total_seconds()
    unit, size = next((unit, size) for limit, unit, size in _AGES if abs(seconds) < limit)
    return f"{seconds / size:.0f} {unit}" if size < 3_600.0 else f"{seconds / size:.1f} {unit}"


def age(then: datetime | None, *, now: datetime) -> str:
    """Return how old something is, "42 s ago"; what lies ahead is said so."""
    if then is None or is_unknown(then):
        return DASH
    passed = now - then
    return f"{span(passed)} ago" if passed >= timedelta(0) else f"in {span(-passed)}"


def expiry(expires_at: datetime, *, now: datetime) -> str:
    """Return "in force, expires in 3.1 h" or "EXPIRED 5 min ago"."""
    return f"EXPIRED {age(expires_at, now=now)}" if now >= expires_at else f"in force, expires {age(expires_at, now=now)}"


def version(text: str | None) -> str:
    """Return the first twelve characters of a digest."""
    return text[:12] if text else DASH


def market_source(source: ClockSource | None) -> str:
    """Return plainly what market this is."""
    return "market unknown: no home was seeded" if source is None else _SOURCES[source]


def sentence(text: str) -> str:
    """Return a text with a capital first letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def group(pair: str, direction: str, leverage_bin: str) -> str:
    """Return a group of trades in words, "BTC/USDT:USDT, long, 2.0-3.5x"."""
    parts = (
        "all pairs" if pair == ANY else pair,
        "long and short" if direction == ANY else direction,
        "all leverage" if leverage_bin == ANY else f"{leverage_bin}x",
    )
    return ", ".join(parts)


def key(text: str) -> str:
    """Return "pair|direction|bin" in words; "static" is the safe set of the settings."""
    parts = text.rsplit("|", 2)
    return group(parts[0], parts[1], parts[2]) if len(parts) == 3 else f"{text} set"


def standing(row: ExitParameters, *, minimum: int) -> str:
    """Return what a row rests on: its own trades, or its parent's values and how many trades are missing."""
    if row.trades_count < minimum:
        return f"Using its parent's values: {row.trades_count} of {minimum} trades"
    if row.own_share <= 0.0:
        return "Using its parent's values: no trade is replayed yet"
    return f"{share(row.own_share)} own data, the rest from {key(row.parent)}"
