"""Cache the published learning: read it again after a publication or when one takes effect, and use the last valid one if that fails."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import structlog

from bot3.errors import InvalidLearningError, LearningError
from bot3.market.regimes import Regime, RegimeState
from bot3.ports.clock import Clock
from bot3.ports.learning import InForce, LearningReader
from bot3.trading.decisions import Learning
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import Recommendation

_Learned = TypeVar("_Learned", ParameterSet, Recommendation, RegimeState)

log = structlog.get_logger()


class LearningWatch:
    """The last valid parameters, recommendation and regime that were published by the market time of the last `look`.

    Their expiry is not checked here: the trading rules compare it with the time of each decision. If one of them is missing or out of
    bounds at a later read, the last valid one is used further.
    """

    def __init__(self, reader: LearningReader, *, clock: Clock) -> None:
        self._reader, self._clock = reader, clock
        self._token: str | None = None
        self._next_at: datetime | None = None
        self._refused: dict[str, str] = {}
        self._parameters: ParameterSet | None = None
        self._recommendation: Recommendation | None = None
        self._regime: RegimeState | None = None

    @property
    def learning(self) -> Learning:
        """Return the parameters and the recommendation that decisions use.

        Each is None if no valid one was read yet. `is_unread` is True before the first successful `look`, and while published parameters, a
        published recommendation or a published regime are out of bounds.
        """
        is_unread = self._token is None or bool(self._refused)
        return Learning(parameters=self._parameters, recommendation=self._recommendation, is_unread=is_unread)

    @property
    def regime(self) -> Regime | None:
        """Return the last valid published regime of the market; None if no valid one was read yet."""
        return None if self._regime is None else self._regime.regime

    def look(self) -> bool:
        """Read the learning if something was published or has taken effect since the last call; return whether `versions` changed.

        A publication whose `known_at` is later than the market time is read once the market time has reached it.

        Raises
        ------
        StoreError
            If the store cannot be read; what was not read stays in use as it was, and the next call reads everything again.
        """
        token, now = self._reader.learning_token(), self._clock.now()
        if token == self._token and (self._next_at is None or now < self._next_at):
            return False
        before = self.versions()
        self._read_all(now)
        # Query after the token was read: a publication in between changes the token and is read next time.
        self._next_at = self._reader.next_known_at(after=now)
        self._token = token
        if self.versions() == before:
            return False
        log.info("learning_reloaded", **self.versions())
        return True

    def versions(self) -> dict[str, str | int | None]:
        """Return versions and expiries of the parameters and recommendation in use, and the regime; the keys are fields of the heartbeat.

        A value is None if that part was not read yet.

        `learning_refused` states why published values are out of bounds; None if they are valid.
        """
        parameters, recommendation = self._parameters, self._recommendation
        return {
            "parameters_version": None if parameters is None else parameters.version,
            "parameters_revision": None if parameters is None else parameters.revision,
            "parameters_expires_at": None if parameters is None else parameters.expires_at.isoformat(),
            "recommendation_version": None if recommendation is None else recommendation.version,
            "recommendation_expires_at": None if recommendation is None else recommendation.expires_at.isoformat(),
            "regime": None if self._regime is None else self._regime.regime.value,
            "learning_refused": "; ".join(self._refused.values()) or None,
        }

    def _read_all(self, now: datetime) -> None:
        self._parameters = self._read("parameters", self._reader.parameters, self._parameters, now=now)
        self._recommendation = self._read("recommendation", self._reader.recommendations, self._recommendation, now=now)
        self._regime = self._read("regime", self._reader.regimes, self._regime, now=now)

    def _read(self, noun: str, reader: InForce[_Learned], last: _Learned | None, *, now: datetime) -> _Learned | None:
        try:
            found: _Learned | None = reader.as_of(now)
        except InvalidLearningError as error:
            if self._refused.get(noun) != str(error):
                keeps = None if last is None else last.version
                log.error("learning_refused", noun=noun, error=str(error), keeps=keeps)  # noqa: TRY400  # a traceback adds nothing to the error text
            self._refused[noun] = str(error)
            return last
        except LearningError:
            # Nothing is published at this time: the last one stays in use; decisions check its expiry.
            found = last
        # Only after a successful read: while the store cannot be read, the refusal stays reported.
        self._refused.pop(noun, None)
        return found
