"""SQL conditions on freqtrade's table `trades`, to count valid trades without reading every row."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

IS_OPEN, CLOSE_DATE = sa.column("is_open", sa.Boolean()), sa.column("close_date", sa.DateTime())

LARGEST = 1e300
ABOVE_ZERO = ("open_rate", "close_rate", "amount", "stake_amount")
BOUNDS = {"leverage": (1.0, LARGEST), "fee_open": (-0.09, 0.09), "fee_close": (-0.09, 0.09), "close_profit": (-1.9, LARGEST)}
"""Bounds slightly narrower than those of a valid trade, so that every value within them is valid."""


_PLAIN = "A-Za-z0-9/:._-"
"""Characters of nearly all pairs; a row whose pair has others is read and checked."""
_LONGEST = 60


def is_doubtful(*, is_sqlite: bool, texts: Collection[str] = ()) -> sa.ColumnElement[bool]:
    """Return a condition that is true for every closed row that `rows.trade_or_refusal` refuses, and for a few valid ones.

    The caller must read the rows for which it is true and check them.

    The condition is true if a value is missing or not a number: SQLite stores text in any column and sorts it above every number,
    PostgreSQL sorts NaN above every number.

    Parameters
    ----------
    texts : collection of str
        Names of text columns, besides `pair`, that must not contain the character NUL.
    """
    sound: list[sa.ColumnElement[bool]] = [sa.column(name).between(1.0 / LARGEST, LARGEST) for name in ABOVE_ZERO]
    sound += [sa.column(name).between(*bounds) for name, bounds in BOUNDS.items()]
    sound.append(sa.column("close_profit_abs").between(-LARGEST, LARGEST))
    sound.append(sa.column("open_date") <= sa.column("close_date"))
    sound += _have_plain_pair(is_sqlite=is_sqlite)
    if is_sqlite:
        # PostgreSQL cannot store NUL.
        sound += [sa.func.coalesce(sa.func.instr(sa.cast(sa.column(name), sa.LargeBinary), b"\0"), 0) == 0 for name in ("pair", *texts)]
        sound += [sa.column(name).in_((0, 1)) for name in ("is_open", "is_short")]
        sound += [_is_stamp(name) for name in ("open_date", "close_date")]
    return sa.case((sa.and_(*sound), 0), else_=1) == 1


def _have_plain_pair(*, is_sqlite: bool) -> tuple[sa.ColumnElement[bool], ...]:
    pair: sa.ColumnClause[str] = sa.column("pair", sa.String())
    plain = pair.bool_op("NOT GLOB")(f"*[^{_PLAIN}]*") if is_sqlite else pair.bool_op("~")(f"^[{_PLAIN}]+$")
    return plain, sa.func.length(pair).between(1, _LONGEST)


def _is_stamp(name: str) -> sa.ColumnElement[bool]:
    """Return the condition that a text is a valid time as freqtrade writes it: to the second, with no fraction or one of six digits."""
    stamp: sa.ColumnClause[str] = sa.column(name, sa.String())
    # The modifier makes SQLite compute the day: without it 30 February is returned unchanged.
    computed = sa.func.strftime("%Y-%m-%d %H:%M:%S", sa.func.substr(stamp, 1, 19), "+0 days")
    seconds = computed == sa.func.substr(stamp, 1, 19)
    digits = sa.func.substr(stamp, 20).op("GLOB")("." + "[0-9]" * 6)
    return sa.and_(sa.func.typeof(stamp) == "text", seconds, sa.or_(sa.func.length(stamp) == 19, digits))
