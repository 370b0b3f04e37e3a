"""Listens for closed trades: learns from each as it is committed, and tells Dagster."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING

import structlog

from bot3.errors import StoreBusyError
from bot3_assets.lineage import Lineage, report_closes, report_refusal

if TYPE_CHECKING:
    from bot3.usecases.relearn import RelearnReport, TradeSource
    from bot3.wiring import Platform

log = structlog.get_logger()

BACKLOG = 2_000
"""So many new trades are a run of their own."""
DUE_EVERY_S = 1.0
"""How often it is looked whether a replay's horizon has ended: that is no change in any store."""
_SHOWN = 100
_AWAY = "away"  # as bot3.usecases.fleet.AWAY, which is heavy


class BacklogError(StoreBusyError):
    """So many closes wait that learning from them is a run of its own; whoever cannot ask for one waits for it."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} closes are waiting: wait for the run that the next tick asks for")
        self.waiting = waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What Dagster was told last: the record it is about, and its revision then (a sensor's cursor)."""

    store_id: str
    revision: int

    @classmethod
    def of(cls, cursor: str | None, *, store_id: str) -> Reported:
        """Read a cursor; of another record, of none, or where a person wrote what is no cursor, nothing was reported."""
        if not cursor:
            return cls(store_id=store_id, revision=0)
        try:
            kept = json.loads(cursor)
            return cls(store_id=store_id, revision=max(0, int(kept["revision"])) if kept["store"] == store_id else 0)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            # A tick that fails keeps its cursor: it would fail until a person mends that, and learn nothing meanwhile.
            log.warning(
                "cursor_unreadable", cursor=cursor[:_SHOWN], error=repr(error), remedy="all that the record holds is reported again"
            )
            return cls(store_id=store_id, revision=0)

    def cursor(self) -> str:
        """Return the text that `of` reads."""
        return json.dumps({"store": self.store_id, "revision": self.revision})


class Teller:
    """Remembers between ticks what Dagster was told: a tick brings the cursor that Dagster kept, and takes the newest along."""

    def __init__(self, store_id: str) -> None:
        self.reported = Reported(store_id=store_id, revision=0)
        self._handed: str | None = None

    def take(self, cursor: str | None, *, revision: int) -> None:
        """Go back to what Dagster kept, unless that is what it was handed last: it was killed, or a person set its cursor back.

        Parameters
        ----------
        revision : int
            Where the record is now. One that is behind what was told was restored: all of it is told anew.
        """
        if cursor is None or cursor != self._handed:
            self.reported = Reported.of(cursor, store_id=self.reported.store_id)
        if self.reported.revision > revision:
            self.reported = Reported(store_id=self.reported.store_id, revision=0)

    def hand(self) -> Reported:
        """Return what to keep."""
        self._handed = self.reported.cursor()
        return self.reported


class Watch:
    """Notices commits to the bots' databases and replays that have come due."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._sources = platform.sources()
        self._tokens: dict[str, str] = {}
        self._looked_at = 0.0
        self.refusal = ""
        """Why nothing was learned at the last attempt, as Dagster was told; empty where it was."""
        self.told_unread: frozenset[str] | None = None
        """Which sources could not be read, as Dagster was told last; None where this process has told it nothing yet."""

    def changed(self) -> list[TradeSource]:
        """Return the sources that committed since the last call; all of them at the first."""
        tokens = {source.reader.store_id: source.reader.change_token() for source in self._sources}
        found = [source for source in self._sources if self._tokens.get(source.reader.store_id) != tokens[source.reader.store_id]]
        # Kept before the sources are read: a commit in between is seen again, never missed. And kept once all could be asked.
        self._tokens.update(tokens)
        return found

    def unread(self) -> frozenset[str]:
        """Return the sources that could not be asked when they were looked at last."""
        return frozenset(store_id for store_id, token in self._tokens.items() if token == _AWAY)

    def forget(self, sources: Sequence[TradeSource]) -> None:
        """See sources as changed again: what was read of them did not get through."""
        for source in sources:
            self._tokens.pop(source.reader.store_id, None)

    def is_replay_due(self) -> bool:
        """Say whether a trade's horizon has ended since; asked once a second."""
        now = time.monotonic()
        if now - self._looked_at < DUE_EVERY_S:
            return False
        self._looked_at = now
        due_at = self._platform.record.next_due_at()
        return due_at is not None and due_at <= self._platform.clock.now()


class Listener:
    """One platform's listening; ticks and the vigil between them take turns."""

    def __init__(self, platform: Platform) -> None:
        self._platform, self._watch = platform, Watch(platform)
        self._teller = Teller(platform.record.store_id)
        self._turn = RLock()
        self._is_untold = False
        self.learned = 0
        """How often something was learned and told."""

    def begin(self, cursor: str | None) -> None:
        """Begin a tick with the cursor that Dagster kept.

        What the record holds beyond it is told at the next look: after a kill between the record and its event, or another process' step.
        """
        with self._turn:
            revision = self._platform.record.revision()
            self._teller.take(cursor, revision=revision)
            self._is_untold = self._is_untold or revision > self._teller.reported.revision

    def end(self) -> Reported:
        """End a tick; return what Dagster keeps as the cursor."""
        with self._turn:
            return self._teller.hand()

    def look(self, lineage: Lineage) -> None:
        """Learn from what was committed since, and tell it.

        Raises
        ------
        BacklogError
            If more than `BACKLOG` closes wait: ask for a run.
        StoreBusyError, StoreConflictError
            If a store has to be waited for: nothing is lost, look again.
        """
        with self._turn:
            if self._is_untold and not self._watch.refusal and self._is_anything_in_force():
                # Before it is learned on: what was in force meanwhile has a materialization of its own. What is refused was told as that.
                self._tell(lineage)
            sources = self._watch.changed()
            if not (sources or self._is_untold or self._watch.is_replay_due()):
                return
            report = self._learn(sources, lineage=lineage)
            unread = self._watch.unread()
            # A source that is read again makes what was told of it wrong, though nothing in it changed.
            if report.changed or self._is_untold or self._watch.refusal or unread != self._watch.told_unread:
                self._is_untold = True
                self._tell(lineage)
                self.learned, self._watch.refusal, self._watch.told_unread = self.learned + 1, "", unread

    def _require_few(self) -> None:
        """Leave many closes to a run with a page and logs: a thread would be busy with them unseen."""
        waiting = self._platform.unsynced_closes()
        if waiting > BACKLOG:
            raise BacklogError(waiting)

    def _is_anything_in_force(self) -> bool:
        from bot3.errors import LearningError  # noqa: PLC0415  # heavy

        try:
            self._platform.record.parameters(as_of=self._platform.clock.now())
        except LearningError:
            return False
        return True

    def _tell(self, lineage: Lineage) -> None:
        """Tell what the record holds; an event that fails leaves it untold."""
        self._teller.reported = report_step(lineage, self._platform)
        self._is_untold = False

    def _learn(self, sources: Sequence[TradeSource], *, lineage: Lineage) -> RelearnReport:
        """Take a step; one that fails loses no close: the next one looks at its sources again."""
        from bot3.errors import LearningError  # noqa: PLC0415  # heavy

        try:
            if sources:
                self._require_few()
            return self._platform.learn_from_closes(sources)
        except Exception as error:
            # Whatever it was, a run that is due or a bug too: the closes are still to be learned from.
            self._watch.forget(sources)
            if isinstance(error, LearningError) and self._watch.refusal != str(error):
                # Once for each reason: a tick every few seconds would fill Dagster with the same verdict.
                report_refusal(lineage, self._platform)
                self._watch.refusal = str(error)
            raise


def report_step(lineage: Lineage, opened: Platform) -> Reported:
    """Report the chain as the record holds it; return what was reported for certain."""
    # The revision is read first: a commit of another process in between may be told twice, never not at all.
    reported = Reported(store_id=opened.record.store_id, revision=opened.record.revision())
    report_closes(lineage, opened, bots=opened.source_names)
    return reported
