"""Simulated deaths of processes: a shared count of durable steps, and an error at a chosen step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import dagster as dg
from dagster._core.instance.factory import create_ephemeral_instance

from bot3.adapters.sql.engine import Database
from bot3.adapters.sql.record.record import SqlRecord
from bot3.trading.leverage_bins import LeverageBins

_T = TypeVar("_T")


class KilledError(BaseException):
    """The process died: no code in it can catch this, and its memory is lost."""


class Fate:
    """Count durable steps: writes to the record, requests to the copy, events to Dagster.

    An armed instance raises at a given later step, before or after the step is executed.
    """

    def __init__(self) -> None:
        self._left = 0
        self._is_late = False
        self._error: Callable[[], BaseException] = KilledError
        self.is_fulfilled = False

    def arm(self, steps: int, *, is_late: bool, error: Callable[[], BaseException]) -> None:
        self._left, self._is_late, self._error, self.is_fulfilled = steps, is_late, error, False

    def disarm(self) -> None:
        self._left = 0

    def around(self, step: Callable[[], _T]) -> _T:
        is_last = self._left == 1
        self._left = max(0, self._left - 1)
        if is_last and not self._is_late:
            self._strike()
        done = step()
        if is_last:
            self._strike()
        return done

    def _strike(self) -> None:
        self.is_fulfilled = True
        raise self._error()


_WRITES = {
    "trades": ("upsert_columns", "delete"),
    "replays": ("save",),
    "parameters": ("publish",),
    "regimes": ("publish",),
    "outbox": ("confirm", "requeue"),
}


class MortalRecord(SqlRecord):
    """The record; each of its writes is a step."""

    fate: Fate

    def __init__(self, database: Database, *, bins: LeverageBins, read_only: bool) -> None:
        super().__init__(database, bins=bins, read_only=read_only)
        for noun, names in _WRITES.items():
            repository = getattr(self, noun)
            for name in names:
                setattr(repository, name, self._mortal(getattr(repository, name)))

    def _mortal(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **named: Any) -> Any:
            return self.fate.around(lambda: write(*args, **named))

        return step


class MortalInstance(dg.DagsterInstance):
    """Dagster's own instance in memory; each of its events is a step. It outlives the processes that report to it."""

    fate: Fate

    @classmethod
    def made(cls, fate: Fate) -> MortalInstance:
        # Dagster creates such an instance with a function, not a subclass: the parts are copied from that function.
        instance = create_ephemeral_instance()
        instance.__class__ = cls
        assert isinstance(instance, cls)
        instance.fate = fate
        return instance

    def report_runless_asset_event(self, asset_event: Any) -> None:
        self.fate.around(lambda: dg.DagsterInstance.report_runless_asset_event(self, asset_event))
