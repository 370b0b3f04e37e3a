"""Send one message when an alert begins and one when it ends; which alerts were reported is stored, so a restart repeats none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from bot3.logs import redacted
from bot3.ports.notices import Notice, NoticeStore
from bot3.ports.notifier import Message
from bot3.usecases.fleet.status import Alert

SEVERE_QUIET = timedelta(minutes=2)
"""Highest quiet time of a severe alert (`AlertWatch`), so that a notice that it has begun again is not delayed for longer."""
LOOKS = 2
"""Number of consecutive checks that must find a change before it is reported, so that the restart of a service causes no messages."""
PREFIX = "alert|"

log = structlog.get_logger()


class AlertWatch:
    """Compares the current alerts with the reported ones and queues a notice for each that has begun or ended.

    Parameters
    ----------
    look : callable
        Returns the current alerts.
    quiet : timedelta
        Minimum wall time between the last notice about an alert and the notice that it has begun again (for severe alerts at most
        `SEVERE_QUIET`); the end of an alert is reported without this delay.
    """

    def __init__(self, notices: NoticeStore, *, look: Callable[[], Sequence[Alert]], quiet: timedelta) -> None:
        self._notices, self._look, self._quiet = notices, look, quiet
        self._differs: Counter[str] = Counter()

    def step(self, *, wall_now: datetime) -> int:
        """Check the alerts once and queue notices of changes found by `LOOKS` checks in a row; return the number of current alerts.

        Raises StoreError if a store is unavailable.
        """
        wrong = {alert.key: alert for alert in self._look()}
        told = {key.removeprefix(PREFIX): text for key, text in self._notices.marks().items() if key.startswith(PREFIX)}
        hidden = {key for alert in wrong.values() for key in alert.hides}
        # An alert whose state equals what was reported has its count reset; one that cannot be checked now does not count as ended.
        changed = (wrong.keys() ^ told.keys()) - (hidden - wrong.keys())
        self._differs = Counter({key: self._differs[key] + 1 for key in changed})
        for key in sorted(key for key, looks in self._differs.items() if looks >= LOOKS):
            self._tell(key, wrong.get(key), told.get(key, ""), at=wall_now)
        return len(wrong)

    def _tell(self, key: str, alert: Alert | None, was: str, *, at: datetime) -> None:
        message = _over(was) if alert is None else _begun(alert)
        notice = Notice(key=f"{PREFIX}{key}", message=message, at=at, quiet=self._quiet_of(alert))
        self._notices.save_mark(f"{PREFIX}{key}", None if alert is None else alert.text, at=at, notice=notice)
        log.info("alert_over" if alert is None else "alert_begun", key=key, text=was if alert is None else alert.text)
        del self._differs[key]

    def _quiet_of(self, alert: Alert | None) -> timedelta:
        if alert is None:
            return timedelta(0)
        return min(self._quiet, SEVERE_QUIET) if alert.is_severe else self._quiet


def _begun(alert: Alert) -> Message:
    return Message(
        title="Alert" if alert.is_severe else "Warning", lines=(redacted(alert.text), alert.remedy), is_silent=not alert.is_severe
    )


def _over(was: str) -> Message:
    return Message(title="Resolved", lines=(redacted(f"Resolved: {was}"),))
