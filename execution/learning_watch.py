"""Keeps the learning in force: read again when something was published, the last good one kept until it expires."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from bot3.errors import LearningError
from bot3.market.regimes import Regime, RegimeState
from bot3.ports.clock import Clock
from bot3.ports.record import LearningReader
from bot3.trading.decisions import Learning
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import Recommendation

_SECOND_LOOK = timedelta(seconds=1)
_Learned = TypeVar("_Learned", ParameterSet, Recommendation, RegimeState)

log = structlog.get_logger()


class LearningWatch:
    """The parameters, recommendation and regime in force as of the market's time.

    Expiry is not judged here: the rules compare with the time of each decision. What cannot be read leaves the last good one.
    """

    def __init__(self, reader: LearningReader, *, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._token: str | None = None
        self._look_again_at: datetime | None = None
        self._parameters: ParameterSet | None = None
        self._recommendation: Recommendation | None = None
        self._regime: RegimeState | None = None

    @property
    def learning(self) -> Learning:
        """Return what decisions look at; None where nothing was ever published."""
        return Learning(parameters=self._parameters, recommendation=self._recommendation)

    @property
    def regime(self) -> Regime | None:
        """Return the market's regime; None where none was ever published."""
        return None if self._regime is None else self._regime.regime

    def look(self) -> bool:
        """Read again if something was published since; return whether what is in force changed.

        A publication may lie a moment ahead of this process' market time, so it is looked for a second time.
        """
        token, wall = self._reader.learning_token(), self._clock.wall_now()
        is_new = token != self._token
        if not is_new and (self._look_again_at is None or wall < self._look_again_at):
            return False
        before = self.versions()
        self._read_all(self._clock.now())
        self._token, self._look_again_at = token, wall + _SECOND_LOOK if is_new else None
        if self.versions() == before:
            return False
        log.info("learning_reloaded", **self.versions())
        return True

    def versions(self) -> dict[str, str | int | None]:
        """Return what is in force, by name."""
        parameters, recommendation = self._parameters, self._recommendation
        return {
            "parameters_version": None if parameters is None else parameters.version,
            "parameters_revision": None if parameters is None else parameters.revision,
            "parameters_expires_at": None if parameters is None else parameters.expires_at.isoformat(),
            "recommendation_version": None if recommendation is None else recommendation.version,
            "recommendation_expires_at": None if recommendation is None else recommendation.expires_at.isoformat(),
            "regime": None if self._regime is None else self._regime.regime.value,
        }

    def _read_all(self, now: datetime) -> None:
        self._parameters = _read(self._reader.parameters, self._parameters, now=now)
        self._recommendation = _read(self._reader.recommendation, self._recommendation, now=now)
        self._regime = _read(self._reader.regime, self._regime, now=now)


def _read(read: Callable[..., _Learned], last: _Learned | None, *, now: datetime) -> _Learned | None:
    try:
        return read(as_of=now)
    except LearningError:
        # Nothing was published by now: what was in force stays, and expires by itself.
        return last
