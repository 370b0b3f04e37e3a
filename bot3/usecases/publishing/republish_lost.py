"""Decide when the whole record is published to InfluxDB again because the server has lost writes that it had confirmed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot3.usecases.publishing.check import PublishedCheck

EVERY_S = 600.0


class LostWrites:
    """Limits how often the whole record is published again: once per outage, otherwise at most once in `EVERY_S`.

    A server can lose writes that it confirmed: when it starts, InfluxDB reads its write-ahead log only up to the first damaged entry, and a
    full disk leaves such an entry. What is still missing after the record was published again counts as impossible to publish (a dead
    letter, for example) and is no reason to publish once more.

    Parameters
    ----------
    monotonic : callable
        Returns seconds that never decrease.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at = -math.inf
        self._is_after_outage = self._is_unverified = False
        self._unpublishable: frozenset[str] = frozenset()

    def notice_outage(self) -> None:
        """Note that the server was unavailable: it may have restarted, so the next lost writes are published without delay."""
        self._is_after_outage = True

    def are_due(self, found: PublishedCheck, *, is_whole: bool = True) -> bool:
        """Return whether the whole record must be published again; if True, the caller must do so, because it counts as done.

        Parameters
        ----------
        found : PublishedCheck
            A comparison during which nothing was pending and nothing was written, or the result of `find_losses`.
        is_whole : bool
            False for the result of `find_losses`: a publication that it does not name may still be lost.

        Notes
        -----
        False if the copy contains publications that the record lacks (of another record, or from before a restore): a restored home must
        not overwrite another home's copy, so only a person, with `bot3 publish run --all`, publishes the whole record then.
        """
        lost = frozenset() if found.extra else found.lost
        is_result = is_whole and self._is_unverified and not self._is_after_outage
        if is_whole:
            self._unpublishable = lost if is_result else self._unpublishable & lost
        self._is_unverified = self._is_unverified and not is_result
        is_allowed = self._is_after_outage or self._monotonic() - self._at >= EVERY_S
        if not (is_allowed and lost - self._unpublishable):
            return False
        self._at, self._is_after_outage, self._is_unverified = self._monotonic(), False, True
        return True
