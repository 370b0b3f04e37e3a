"""Compute the platform's metrics from its stores: if a query fails, its metrics are absent (never 0) and the failure is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from threading import Lock

import pandas as pd
import structlog

from bot3.errors import Bot3Error, StoreBusyError
from bot3.ports.metrics import Family, Kind
from bot3.trading.trades import RunMode
from bot3.usecases.fleet.foreign_sources import trouble_of
from bot3.usecases.fleet.home import FleetHome
from bot3.usecases.fleet.status import SYNC_GRACE
from bot3.usecases.learning.reconciled import Gap, gap_of_closes, gap_of_counts, recorded_count
from bot3.usecases.learning.relearn import TradeSource
from bot3.usecases.operations import measurements
from bot3.usecases.operations.measurements import Subject

log = structlog.get_logger()

Question = Callable[[], Iterable[Family]]
_OF_ALL = ("build", "processes", "clock", "states", "daemon", "record", "learning", "feeders", "notices", "outbox", "home")


class Measure:
    """Computes all metrics, for one caller at a time.

    Between calls it stores the number of failures of each query, and since when the record has lacked closed trades of each source.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._errors: Counter[str] = Counter()
        self._home = FleetHome(subject.ports)
        self._recorded: dict[str, tuple[int, pd.DataFrame]] = {}
        self._behind_since: dict[tuple[str, str], datetime] = {}
        self._turn = Lock()

    def families(self) -> list[Family]:
        """Query all metrics again. If a query raises Bot3Error or OSError, its metrics are left out and `bot3_scrape_errors` counts it."""
        with self._turn:
            asked = [family for what, question in self._questions().items() for family in self._asked(what, question)]
            asked += self._asked("sources", self._differences)
            errors: dict[tuple[str, ...], float] = {(what,): float(number) for what, number in sorted(self._errors.items())}
        told = "Failed queries of the stores, by query; the metrics of a query are absent while it fails."
        return [*_merged(asked), Family(name="bot3_scrape_errors", help=told, kind=Kind.COUNTER, labels=("what",), samples=errors)]

    def is_ready(self) -> bool:
        """Return whether the control store and the record can be queried now."""
        try:
            self._subject.ports.control.heartbeats()
            self._subject.ports.record.revision()
        except Bot3Error:
            return False
        return True

    def _questions(self) -> dict[str, Question]:
        subject = self._subject
        of_all: dict[str, Question] = {what: partial(getattr(measurements, what), subject) for what in _OF_ALL}
        of_all["realised"] = partial(measurements.realised, self._home)
        own: dict[str, Question] = {f"positions {bot}": partial(measurements.positions, subject, bot) for bot in subject.ports.bot_names}
        watched: dict[str, Question] = {
            f"positions {reader.bot} {reader.run_mode.value}": partial(measurements.watched_positions, subject, self._home, reader)
            for reader in subject.ports.fleet
        }
        return of_all | own | watched

    def _asked(self, what: str, question: Question) -> list[Family]:
        # Counters start at 0: otherwise an alert on their increase would miss the first error.
        self._errors[what] += 0
        try:
            return list(question())
        except (Bot3Error, OSError) as error:
            self._errors[what] += 1
            log.warning("not_measured", what=what, problem=str(error))
            return []

    def _differences(self) -> Iterable[Family]:
        counts = self._subject.ports.record.trades.counts()
        for source in self._subject.sources():
            bot, mode = source.reader.bot, source.run_mode
            held = recorded_count(counts, bot=bot, run_mode=mode)
            yield from self._asked(f"source {bot} {mode.value}", partial(self._difference, source, held))

    def _difference(self, source: TradeSource, recorded: int) -> Iterable[Family]:
        if (trouble := trouble_of(source.reader)) is not None:
            raise StoreBusyError(trouble)
        key = (source.reader.bot, source.run_mode.value)
        gap = self._gap(source, recorded)
        told = "Closed trades of a bot's own database that the record lacks; above 0: not synced yet."
        yield Family(name="bot3_missing_closes", help=told, labels=("bot", "run_mode"), samples={key: float(gap.missing)})
        told = "Closed trades of the record that a bot's own database lacks."
        yield Family(name="bot3_surplus_closes", help=told, labels=("bot", "run_mode"), samples={key: float(gap.surplus)})
        told = "Wall time for which this process has observed closes of a bot's own database missing in the record, else 0."
        lag = self._lag(key, is_behind=gap.missing > 0)
        yield Family(name="bot3_sync_lag_seconds", help=told, labels=("bot", "run_mode"), samples={key: lag})

    def _gap(self, source: TradeSource, recorded: int) -> Gap:
        """Return the difference between a source and the record.

        Paper trades of the platform's own bots are compared one by one, without closes younger than `SYNC_GRACE`; backtest histories and
        databases of other programs by their counts.
        """
        bot, ports = source.reader.bot, self._subject.ports
        if bot not in ports.bot_names or source.run_mode is not RunMode.PAPER:
            return gap_of_counts(source.reader.count_closed(closed_since=None), recorded)
        until = ports.clock.now() - SYNC_GRACE * ports.clock.speed
        # Read the bot's database before the record: a trade that closes in between is then only in the record, and too young to be counted.
        own = self._home.closes(bot).frame()
        return gap_of_closes(own, self._recorded_closes(bot), until=until)

    def _recorded_closes(self, bot: str) -> pd.DataFrame:
        # Read the revision first: what is committed in between is read twice rather than never.
        record, revision = self._subject.ports.record, self._subject.ports.record.revision()
        if bot not in self._recorded or self._recorded[bot][0] != revision:
            frame = record.trades.frame(as_of=None, run_modes=(RunMode.PAPER,), bots=(bot,))
            self._recorded[bot] = revision, frame[["trade_id", "open_date", "close_date"]]
        return self._recorded[bot][1]

    def _lag(self, key: tuple[str, str], *, is_behind: bool) -> float:
        if not is_behind:
            self._behind_since.pop(key, None)
            return 0.0
        now = self._subject.wall_now()
        return max((now - self._behind_since.setdefault(key, now)).total_seconds(), 0.0)


def _merged(asked: Iterable[Family]) -> list[Family]:
    """Merge the metrics of one name into one; leave out those without a sample."""
    merged: dict[str, Family] = {}
    for family in asked:
        merged.setdefault(family.name, Family(name=family.name, help=family.help, kind=family.kind, labels=family.labels)).samples.update(
            family.samples
        )
    return [family for family in merged.values() if family.samples]
