"""Is the published copy equal to the record: asked now and then, it is a second's work for fifty thousand trades."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from bot3.errors import StoreError
from bot3.ports.publisher import OutboxSpan
from bot3.usecases.check_published import PublishedCheck
from bot3.usecases.fleet_status import Alert

EVERY = timedelta(minutes=5)
DIFFERS = "copy|differs"


class Publishing(Protocol):
    """The part of publishing that compares."""

    @property
    def is_configured(self) -> bool:
        """Say whether there is a copy."""
        ...

    def check(self, *, now: datetime) -> PublishedCheck:
        """Compare the copy with the record. Raises StoreError if either cannot be asked."""
        ...


class Outbox(Protocol):
    """What waits to be published."""

    def span(self) -> OutboxSpan | None:
        """Return the writes that were not published yet."""
        ...


class CopyWatch:
    """Remembers what was found last between two comparisons.

    Parameters
    ----------
    differed : str
        What was told last of a difference that still stood; empty if there was none. It stands until a comparison finds no writes that
        wait, and the copy equal.
    """

    def __init__(self, publishing: Publishing, outbox: Outbox, *, letters: Path, differed: str = "") -> None:
        self._publishing, self._outbox, self._letters = publishing, outbox, letters
        self._asked_at: datetime | None = None
        self._waited_since: int | None = None
        self._differences = [_difference(differed)] if differed else []
        self._found: list[Alert] = []

    def look(self, *, now: datetime, wall_now: datetime) -> list[Alert]:
        """Return what is wrong with the copy; nothing where there is none."""
        if not self._publishing.is_configured:
            return []
        if self._asked_at is None or not timedelta(0) <= wall_now - self._asked_at < EVERY:
            self._found, self._asked_at = self._hindrances(now), wall_now
            self._found += [*self._differences, *self._refused()]
        return self._found

    def _hindrances(self, now: datetime) -> list[Alert]:
        """Compare; return why that cannot be done, and leave what was found last then."""
        span, before = self._outbox.span(), self._waited_since
        self._waited_since = None if span is None else span.since
        if span is not None and span.since == before:
            text = f"InfluxDB is behind: {span.writes:,} writes of the record wait for more than {EVERY.total_seconds() / 60:.0f} min."
            return [Alert(key="copy|behind", text=text, remedy="Does the sensor record_to_copy run? `bot3 publish run` publishes by hand.")]
        try:
            found = self._publishing.check(now=now)
        except StoreError as error:
            text = f"InfluxDB cannot be compared with the record: {error}."
            return [Alert(key="copy|away", text=text, remedy="`bot3 doctor` says more.", is_severe=False)]
        if not found.waiting:
            self._differences = [] if found.is_equal else [_difference(_differing(found))]
        return []

    def _refused(self) -> list[Alert]:
        if not self._letters.exists():
            return []
        text = "InfluxDB refused points: they wait as dead letters."
        return [Alert(key="copy|refused", text=text, remedy="Mend their cause, then `bot3 publish replay-dead-letters`.")]


def _differing(found: PublishedCheck) -> str:
    trades = ", ".join(f"{bot} {check.published:,} of {check.record:,}" for bot, check in found.trades.items() if not check.is_equal)
    what = "; ".join(part for part in (f"trades of {trades}" if trades else "", ", ".join(found.differing)) if part) or "publications"
    return f"InfluxDB is not equal to the record: {what}."


def _difference(text: str) -> Alert:
    return Alert(key=DIFFERS, text=text, remedy="`bot3 publish check` lists it, `bot3 publish run --all` mends it.")
