"""Convert a bot's latch (trading state and the equity values that losses are measured from) to plain fields for a row or file, and back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime

from bot3.errors import StoreError
from bot3.trading.risk import EquityMarks, RiskLatch, TradingState

FIELDS = ("state", "reason", "day", "day_start_abs", "peak_abs", "reducing_until")

Field = str | float | None
_FINITE = sys.float_info.max


def fields_of(latch: RiskLatch) -> dict[str, Field]:
    """Return a latch as plain fields by name; the day and the time are ISO texts, a missing value is None."""
    marks = latch.marks
    return {
        "state": latch.state.value,
        "reason": latch.reason,
        "day": None if marks is None else marks.day.isoformat(),
        "day_start_abs": None if marks is None else marks.day_start_abs,
        "peak_abs": None if marks is None else marks.peak_abs,
        "reducing_until": None if latch.reducing_until is None else latch.reducing_until.astimezone(UTC).isoformat(),
    }


def latch_of(fields: Mapping[str, object], *, shown: str) -> RiskLatch:
    """Validate plain fields and return the latch; `shown` names their source in messages.

    Raises
    ------
    StoreError
        If a field is missing or invalid; the message names it.
    """
    for name in FIELDS:
        if name not in fields:
            raise StoreError(f"{shown}: the latch has no field {name}")
    try:
        return RiskLatch(
            state=_state(fields["state"]),
            reason=_text("reason", fields["reason"]),
            marks=_marks(fields),
            reducing_until=None if fields["reducing_until"] is None else _time("reducing_until", fields["reducing_until"]),
        )
    except ValueError as error:
        raise StoreError(f"{shown}: the latch is invalid: {error}") from error


def _state(value: object) -> TradingState:
    if not isinstance(value, str) or value not in set(TradingState):
        raise ValueError(f"state is {value!r}")
    return TradingState(value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}")  # noqa: TRY004  # the caller translates only ValueError
    return value


def _time(name: str, value: object) -> datetime:
    try:
        at = datetime.fromisoformat(_text(name, value))
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}") from error
    if at.tzinfo is None:
        raise ValueError(f"{name} is {value!r}, without a zone")
    return at


def _marks(fields: Mapping[str, object]) -> EquityMarks | None:
    if fields["day"] is None:
        return None
    amounts = {name: fields[name] for name in ("day_start_abs", "peak_abs")}
    for name, value in amounts.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FINITE:
            raise ValueError(f"{name} is {value!r:.60}")  # as above
    start, peak = (float(str(value)) for value in amounts.values())
    try:
        day = date.fromisoformat(_text("day", fields["day"]))
    except ValueError as error:
        raise ValueError(f"day is {fields['day']!r}") from error
    return EquityMarks(day=day, day_start_abs=start, peak_abs=peak)
