"""Detect closed trades, learn from each one as soon as it is committed, and report the result to Dagster."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING

import structlog

from bot3.errors import LearningError, StoreBusyError
from bot3_assets.lineage import Lineage, report_closes, report_refusal

if TYPE_CHECKING:
    from bot3.usecases.learning.relearn import RelearnReport, TradeSource
    from bot3.wiring import Platform

log = structlog.get_logger()

BACKLOG = 2_000
"""Number of new trades above which learning is moved to a separate run."""
DUE_EVERY_S = 1.0
"""Seconds between two checks for replays whose horizon has ended: no store reports that as a change."""
_SHOWN = 100
_AWAY = "away"  # equal to bot3.usecases.fleet.foreign_sources.AWAY, whose import is slow


class BacklogError(StoreBusyError):
    """Raised if so many closes are pending that they need a separate run; callers that cannot request a run wait for it."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} closes are pending: wait for the run that the next tick requests")
        self.waiting = waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCursor:
    """The state last reported to Dagster: the id of the record, and its revision at that time (a sensor's cursor)."""

    store_id: str
    revision: int

    @classmethod
    def of(cls, cursor: str | None, *, store_id: str) -> ReportedCursor:
        """Parse a cursor; an empty or invalid cursor, or one of another record, means that nothing was reported."""
        if not cursor:
            return cls(store_id=store_id, revision=0)
        try:
            kept = json.loads(cursor)
            return cls(store_id=store_id, revision=max(0, int(kept["revision"])) if kept["store"] == store_id else 0)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            # A failing tick does not change its cursor: it would fail again, and learn nothing, until a person corrected the cursor.
            log.warning("cursor_unreadable", cursor=cursor[:_SHOWN], error=repr(error), remedy="everything in the record is reported again")
            return cls(store_id=store_id, revision=0)

    def cursor(self) -> str:
        """Return the text that `of` parses."""
        return json.dumps({"store": self.store_id, "revision": self.revision})


class EventReporter:
    """Stores between ticks what was reported to Dagster: a tick starts with the cursor from Dagster and ends with the newest one."""

    def __init__(self, store_id: str) -> None:
        self.reported = ReportedCursor(store_id=store_id, revision=0)
        self._handed: str | None = None

    def take(self, cursor: str | None, *, revision: int) -> None:
        """Restore the state from Dagster's cursor if that is not the last one returned: the process was killed, or a person reset it.

        Parameters
        ----------
        revision : int
            The current revision of the record. If it is below the reported one the record was restored: everything is reported again.
        """
        if cursor is None or cursor != self._handed:
            self.reported = ReportedCursor.of(cursor, store_id=self.reported.store_id)
        if self.reported.revision > revision:
            self.reported = ReportedCursor(store_id=self.reported.store_id, revision=0)

    def hand(self) -> ReportedCursor:
        """Return the state to store as the cursor."""
        self._handed = self.reported.cursor()
        return self.reported


class ChangeDetector:
    """Detects commits to the bots' databases, and replays that have become due."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sources = platform.sources()
        self._tokens: dict[str, str] = {}
        self._looked_at = 0.0
        self.refusal = ""
        """Why nothing was learned at the last attempt, as reported to Dagster; empty if something was learned."""
        self.told_unread: frozenset[str] | None = None
        """The unreadable sources last reported to Dagster; None if this process has not reported yet."""

    def changed(self) -> list[TradeSource]:
        """Return the sources with commits since the last call; all sources at the first call."""
        tokens = {source.reader.store_id: source.reader.change_token() for source in self._sources}
        found = [source for source in self._sources if self._tokens.get(source.reader.store_id) != tokens[source.reader.store_id]]
        # Updated before the sources are read, so that a commit in between is seen again, never missed; and only after all were queried.
        self._tokens.update(tokens)
        return found

    def unread(self) -> frozenset[str]:
        """Return the sources that were unavailable at the last check."""
        return frozenset(store_id for store_id, token in self._tokens.items() if token == _AWAY)

    def forget(self, sources: Sequence[TradeSource]) -> None:
        """Mark sources as changed again, because what was read from them was not processed."""
        for source in sources:
            self._tokens.pop(source.reader.store_id, None)

    def is_replay_due(self) -> bool:
        """Return whether a trade's horizon has ended since the last check; queried once a second at most."""
        now = time.monotonic()
        if now - self._looked_at < DUE_EVERY_S:
            return False
        self._looked_at = now
        due_at = self._platform.record.replays.next_due_at()
        return due_at is not None and due_at <= self._platform.clock.now()


class ClosesLoop:
    """Learns from the closes of one platform; sensor ticks and the background thread between them take turns."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._watch = platform, ChangeDetector(platform)
        self._teller = EventReporter(platform.record.store_id)
        self._turn = RLock()
        self._is_untold = False
        self.learned = 0
        """Number of steps that learned something and reported it."""

    def begin(self, cursor: str | None) -> None:
        """Begin a tick with the cursor that Dagster stored.

        If the record is ahead of the cursor, the difference is reported at the next look: the process was killed between writing the record
        and reporting the event, or another process wrote to it.
        """
        with self._turn:
            revision = self._platform.record.revision()
            self._teller.take(cursor, revision=revision)
            self._is_untold = self._is_untold or revision > self._teller.reported.revision

    def end(self) -> ReportedCursor:
        """End a tick; return the state that Dagster stores as the cursor."""
        with self._turn:
            return self._teller.hand()

    def look(self, lineage: Lineage) -> None:
        """Learn from the commits since the last call, and report the result.

        Raises
        ------
        BacklogError
            If more than `BACKLOG` closes are pending: request a run.
        StoreBusyError, StoreConflictError
            If a store is temporarily unavailable: nothing is lost, call again.
        """
        with self._turn:
            if self._is_untold and not self._watch.refusal and self._is_anything_in_force():
                # Report before learning: the parameters in force meanwhile need their own materialization. A refusal was reported already.
                self._tell(lineage)
            sources = self._watch.changed()
            if not (sources or self._is_untold or self._watch.is_replay_due()):
                return
            report = self._learn(sources, lineage=lineage)
            unread = self._watch.unread()
            # When a source becomes readable again, the last report about it is wrong although its data did not change.
            if report.changed or self._is_untold or self._watch.refusal or unread != self._watch.told_unread:
                self._is_untold = True
                self._tell(lineage)
                self.learned, self._watch.refusal, self._watch.told_unread = self.learned + 1, "", unread

    def _require_few(self) -> None:
        """Raise BacklogError if many closes are pending: a run has a page and logs, a thread would process them without any."""
        waiting = self._platform.steps.unsynced_closes()
        if waiting > BACKLOG:
            raise BacklogError(waiting)

    def _is_anything_in_force(self) -> bool:

        try:
            self._platform.record.parameters.as_of(self._platform.clock.now())
        except LearningError:
            return False
        return True

    def _tell(self, lineage: Lineage) -> None:
        """Report the state of the record; if reporting an event fails, the report stays pending."""
        self._teller.reported = report_step(lineage, self._platform)
        self._is_untold = False

    def _learn(self, sources: Sequence[TradeSource], *, lineage: Lineage) -> RelearnReport:
        """Learn from sources; a failed step loses no close, because the next step reads these sources again."""
        try:
            if sources:
                self._require_few()
            return self._platform.steps.learn_from_closes(sources)
        except Exception as error:
            # After any error, whether a due run or a bug: the closes are still pending.
            self._watch.forget(sources)
            if isinstance(error, LearningError) and self._watch.refusal != str(error):
                # Report each reason once: a tick every few seconds would fill Dagster with the same result.
                report_refusal(lineage, self._platform)
                self._watch.refusal = str(error)
            raise


def report_step(lineage: Lineage, opened: Platform) -> ReportedCursor:
    """Report the chain from the record; return the revision that was reported for certain."""
    # Read the revision first: a commit of another process in between may be reported twice, but is never missed.
    reported = ReportedCursor(store_id=opened.record.store_id, revision=opened.record.revision())
    report_closes(lineage, opened, bots=opened.source_names)
    return reported
