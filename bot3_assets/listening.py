"""Detect newly closed trades in the bots' databases, learn from them at once, and report the result to Dagster."""

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
"""Number of closed trades missing in the record above which they are synced in a Dagster run instead."""
DUE_EVERY_S = 1.0
"""Minimum seconds between two checks whether the horizon of a pending replay has ended, which no store reports as a change."""
_SHOWN = 100
_AWAY = "away"  # equal to bot3.usecases.fleet.foreign_sources.AWAY, whose import is slow


class BacklogError(StoreBusyError):
    """Raised if more than `BACKLOG` closed trades are missing in the record: a tick requests a run for them, a thread waits for it."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} closes are pending: wait for the run that the next tick requests")
        self.waiting = waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedCursor:
    """A sensor's cursor: the id of the record, and its revision up to which changes were reported to Dagster."""

    store_id: str
    revision: int

    @classmethod
    def of(cls, cursor: str | None, *, store_id: str) -> ReportedCursor:
        """Parse a cursor; an empty or invalid one, or one of another record, gives revision 0: nothing was reported."""
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
    """Stores, between a sensor's ticks, up to which revision of the record changes were reported to Dagster."""

    def __init__(self, store_id: str) -> None:
        self.reported = ReportedCursor(store_id=store_id, revision=0)
        self._handed: str | None = None

    def take(self, cursor: str | None, *, revision: int) -> None:
        """Compare Dagster's cursor at the begin of a tick with the last one that `hand` returned, and adopt it if they differ.

        They differ after a restart of the process, or after a person has reset the cursor.

        Parameters
        ----------
        revision : int
            The current revision of the record. If it is below the reported one, the record was restored, and revision 0 is assumed.
        """
        if cursor is None or cursor != self._handed:
            self.reported = ReportedCursor.of(cursor, store_id=self.reported.store_id)
        if self.reported.revision > revision:
            self.reported = ReportedCursor(store_id=self.reported.store_id, revision=0)

    def hand(self) -> ReportedCursor:
        """Return the state that Dagster must store as the cursor at the end of a tick."""
        self._handed = self.reported.cursor()
        return self.reported


class ChangeDetector:
    """Detects commits to the bots' databases, and replays whose horizon has ended."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sources = platform.sources()
        self._tokens: dict[str, str] = {}
        self._looked_at = 0.0
        self.refusal = ""
        """Text of the LearningError of the last attempt, as reported to Dagster; "" if that attempt did not raise one."""
        self.told_unread: frozenset[str] | None = None
        """Ids of the databases that could not be read at the last report to Dagster; None if this process has not reported yet."""

    def changed(self) -> list[TradeSource]:
        """Return the sources with commits since the last call, and those marked by `forget`; all sources at the first call.

        A database that became unavailable, or available again, counts as changed.
        """
        tokens = {source.reader.store_id: source.reader.change_token() for source in self._sources}
        found = [source for source in self._sources if self._tokens.get(source.reader.store_id) != tokens[source.reader.store_id]]
        # Updated before the sources are read, so that a commit in between is detected again, never missed; and only after all were queried.
        self._tokens.update(tokens)
        return found

    def unread(self) -> frozenset[str]:
        """Return the ids of the databases that were unavailable at the last call of `changed`."""
        return frozenset(store_id for store_id, token in self._tokens.items() if token == _AWAY)

    def forget(self, sources: Sequence[TradeSource]) -> None:
        """Let the next call of `changed` return these sources again, because their trades were not processed."""
        for source in sources:
            self._tokens.pop(source.reader.store_id, None)

    def is_replay_due(self) -> bool:
        """Return whether the horizon of a pending replay has ended by now; False, without a query, within a second of the last query."""
        now = time.monotonic()
        if now - self._looked_at < DUE_EVERY_S:
            return False
        self._looked_at = now
        due_at = self._platform.record.replays.next_due_at()
        return due_at is not None and due_at <= self._platform.clock.now()


class ClosesLoop:
    """Learns from closed trades of one platform; a lock lets only one of sensor tick and background thread work at a time."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._watch = platform, ChangeDetector(platform)
        self._teller = EventReporter(platform.record.store_id)
        self._turn = RLock()
        self._is_untold = False
        self.learned = 0
        """Number of steps after which the assets were reported to Dagster, because something was learned or a report was pending."""

    def begin(self, cursor: str | None) -> None:
        """Begin a tick with the cursor that Dagster stored.

        If the record's revision is above the cursor's, the next `look` reports to Dagster: the process was killed between writing the
        record and reporting, or another process has written to the record.
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
        """Sync and learn from trades committed since the last call and from replays that are due, and report the result to Dagster.

        Without such trades and replays, nothing happens unless a report is pending.

        Raises
        ------
        BacklogError
            If more than `BACKLOG` closed trades are missing in the record: request a run.
        StoreBusyError, StoreConflictError
            If a store is temporarily unavailable, or another process published: nothing is lost, call again.
        LearningError
            If sources and record differ, or learned parameters failed a check; this was reported to Dagster, once for each text.
        """
        with self._turn:
            if self._is_untold and not self._watch.refusal and self._is_anything_in_force():
                # Report before learning: the parameters published meanwhile get their own materialization. An error was reported already.
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
        """Raise BacklogError if many closed trades are missing in the record: a run has logs and progress in Dagster, a thread has not."""
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
        """Report the assets' current state; if that fails, the report stays pending."""
        self._teller.reported = report_step(lineage, self._platform)
        self._is_untold = False

    def _learn(self, sources: Sequence[TradeSource], *, lineage: Lineage) -> RelearnReport:
        """Sync and learn from sources; after any error they count as changed again, so that no trade is missed."""
        try:
            if sources:
                self._require_few()
            return self._platform.steps.learn_from_closes(sources)
        except Exception as error:
            # After any error, also a BacklogError or a bug: the trades are still to be processed.
            self._watch.forget(sources)
            if isinstance(error, LearningError) and self._watch.refusal != str(error):
                # Report each reason once: a tick every few seconds would fill Dagster with the same result.
                report_refusal(lineage, self._platform)
                self._watch.refusal = str(error)
            raise


def report_step(lineage: Lineage, opened: Platform) -> ReportedCursor:
    """Report every asset from the bots' databases to the parameters; return the record's revision that is completely reported."""
    # Read the revision first: a commit of another process in between may be reported twice, but is never missed.
    reported = ReportedCursor(store_id=opened.record.store_id, revision=opened.record.revision())
    report_closes(lineage, opened, bots=opened.source_names)
    return reported
