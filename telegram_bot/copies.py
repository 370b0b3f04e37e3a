"""Alerts about the record's copy in InfluxDB, from a comparison every five minutes; for 50,000 trades one takes about a second."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from bot3.errors import StoreError
from bot3.ports.publisher import OutboxSpan
from bot3.usecases.fleet.status import Alert
from bot3.usecases.publishing.check import PublishedCheck

EVERY = timedelta(minutes=5)
DIFFERS = "copy|differs"


class PublishedCopies(Protocol):
    """The part of the publishing service that compares the copy with the record."""

    @property
    def is_configured(self) -> bool:
        """Return whether the settings name an InfluxDB server."""
        ...

    def check(self, *, now: datetime) -> PublishedCheck:
        """Compare the copy with the record. Raises StoreError if either is unavailable."""
        ...


class PendingPublications(Protocol):
    """The writes that are pending publication."""

    def span(self) -> OutboxSpan | None:
        """Return the range of writes to the record that are not published yet; None if there are none."""
        ...


class CopyWatch:
    """Compares the copy in InfluxDB with the record every `EVERY`, and returns the same alerts in between.

    Parameters
    ----------
    letters : Path
        File of the dead letters (points that could not be written).
    differed : str
        Text of a difference that was reported before a restart and has not ended; "" if there was none. Its alert ends once a comparison
        without pending writes finds copy and record equal.
    """

    def __init__(self, publishing: PublishedCopies, outbox: PendingPublications, *, letters: Path, differed: str = "") -> None:
        self._publishing, self._outbox, self._letters = publishing, outbox, letters
        self._asked_at: datetime | None = None
        self._waited_since: int | None = None
        self._differences = [_difference(differed)] if differed else []
        self._found: list[Alert] = []

    def look(self, *, now: datetime, wall_now: datetime) -> list[Alert]:
        """Return the alerts about the copy; empty if there is no problem, or no copy is configured.

        Parameters
        ----------
        now, wall_now : datetime
            Market time, and wall time.
        """
        if not self._publishing.is_configured:
            return []
        if self._asked_at is None or not timedelta(0) <= wall_now - self._asked_at < EVERY:
            self._found, self._asked_at = self._hindrances(now), wall_now
            self._found += [*self._differences, *self._refused()]
        return self._found

    def _hindrances(self, now: datetime) -> list[Alert]:
        """Compare copy and record, and store the difference; return an alert if that is not possible, and leave the difference unchanged.

        It is not possible while the same writes are pending as at the last comparison, or a server is unavailable.
        """
        span, before = self._outbox.span(), self._waited_since
        self._waited_since = None if span is None else span.since
        if span is not None and span.since == before:
            text = (
                f"InfluxDB is behind: {span.writes:,} writes of the record are pending for more than {EVERY.total_seconds() / 60:.0f} min."
            )
            return [
                Alert(
                    key="copy|behind", text=text, remedy="Check that the sensor record_to_copy runs; `bot3 publish run` publishes manually."
                )
            ]
        try:
            found = self._publishing.check(now=now)
        except StoreError as error:
            text = f"InfluxDB cannot be compared with the record: {error}."
            return [Alert(key="copy|away", text=text, remedy="Run `bot3 doctor` for details.", is_severe=False)]
        if not found.waiting:
            self._differences = [] if found.is_equal else [_difference(_differing(found))]
        return []

    def _refused(self) -> list[Alert]:
        if not self._letters.exists():
            return []
        text = "InfluxDB rejected points: they are stored as dead letters."
        return [Alert(key="copy|refused", text=text, remedy="Fix their cause, then run `bot3 publish replay-dead-letters`.")]


def _differing(found: PublishedCheck) -> str:
    trades = ", ".join(f"{bot} {check.published:,} of {check.record:,}" for bot, check in found.trades.items() if not check.is_equal)
    what = "; ".join(part for part in (f"trades of {trades}" if trades else "", ", ".join(found.differing)) if part) or "publications"
    return f"InfluxDB is not equal to the record: {what}."


def _difference(text: str) -> Alert:
    return Alert(key=DIFFERS, text=text, remedy="`bot3 publish check` lists the differences, `bot3 publish run --all` fixes them.")
