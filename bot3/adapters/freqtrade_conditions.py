"""Conditions on freqtrade's `trades` in SQL, for counting without reading every row."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

IS_OPEN, CLOSE_DATE = sa.column("is_open", sa.Boolean()), sa.column("close_date", sa.DateTime())

LARGEST = 1e300
ABOVE_ZERO = ("open_rate", "close_rate", "amount", "stake_amount")
BOUNDS = {"leverage": (1.0, LARGEST), "fee_open": (-0.09, 0.09), "fee_close": (-0.09, 0.09), "close_profit": (-1.9, LARGEST)}
"""A little inside what a row may be: within them it surely is a trade."""


_PLAIN = "A-Za-z0-9/:._-"
"""Characters of nearly all pairs; a pair with others is looked at."""
_LONGEST = 60


def is_doubtful(*, is_sqlite: bool, texts: Collection[str] = ()) -> sa.ColumnElement[bool]:
    """Return a condition that holds for every row `freqtrade_rows` refuses, and for few others: those are read and looked at.

    What is missing is doubtful, and so is what is no number: SQLite keeps text in any column and sorts it above every number, PostgreSQL
    sorts NaN there.

    Parameters
    ----------
    texts : collection of str
        The columns of free text that the table has.
    """
    sound: list[sa.ColumnElement[bool]] = [sa.column(name).between(1.0 / LARGEST, LARGEST) for name in ABOVE_ZERO]
    sound += [sa.column(name).between(*bounds) for name, bounds in BOUNDS.items()]
    sound.append(sa.column("close_profit_abs").between(-LARGEST, LARGEST))
    sound.append(sa.column("open_date") <= sa.column("close_date"))
    sound += _have_plain_pair(is_sqlite=is_sqlite)
    if is_sqlite:
        # PostgreSQL holds no NUL.
        sound += [sa.func.coalesce(sa.func.instr(sa.cast(sa.column(name), sa.LargeBinary), b"\0"), 0) == 0 for name in ("pair", *texts)]
        sound += [sa.column(name).in_((0, 1)) for name in ("is_open", "is_short")]
        sound += [_is_stamp(name) for name in ("open_date", "close_date")]
    return sa.case((sa.and_(*sound), 0), else_=1) == 1


def _have_plain_pair(*, is_sqlite: bool) -> tuple[sa.ColumnElement[bool], ...]:
    pair: sa.ColumnClause[str] = sa.column("pair", sa.String())
    plain = pair.bool_op("NOT GLOB")(f"*[^{_PLAIN}]*") if is_sqlite else pair.bool_op("~")(f"^[{_PLAIN}]+$")
    return plain, sa.func.length(pair).between(1, _LONGEST)


def _is_stamp(name: str) -> sa.ColumnElement[bool]:
    """Return the condition that a text is a time as freqtrade writes it: the calendar's day, seconds, and six digits of a fraction."""
    stamp: sa.ColumnClause[str] = sa.column(name, sa.String())
    # The modifier makes SQLite compute the day: without it a 30 February stays one.
    computed = sa.func.strftime("%Y-%m-%d %H:%M:%S", sa.func.substr(stamp, 1, 19), "+0 days")
    seconds = computed == sa.func.substr(stamp, 1, 19)
    digits = sa.func.substr(stamp, 20).op("GLOB")("." + "[0-9]" * 6)
    return sa.and_(sa.func.typeof(stamp) == "text", seconds, sa.or_(sa.func.length(stamp) == 19, digits))
