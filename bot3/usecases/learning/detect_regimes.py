"""Detect the market's regime from the candles of the traded pairs, and publish new states."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot3.errors import LearningError
from bot3.learning.regimes.detectors import RegimeDetector, regime_states
from bot3.learning.regimes.hidden_markov import HiddenMarkovDetector
from bot3.learning.regimes.index import hourly_index
from bot3.learning.validity import require_readable
from bot3.market.regimes import RegimeState
from bot3.ports.candles import CandleReader
from bot3.ports.learning import RegimeRepository

REGIME_DETECTOR: RegimeDetector = HiddenMarkovDetector()
"""The detector in production: the best of those that `benchmarks/regimes.py` compares."""


def detect_regimes(
    published: RegimeRepository,
    candles: CandleReader,
    *,
    pairs: Sequence[str],
    timeframe: str,
    now: datetime,
    computed_at: datetime,
    detector: RegimeDetector = REGIME_DETECTOR,
) -> tuple[RegimeState, ...]:
    """Publish the hourly regime states later than the newest one in the record; return them, oldest first.

    The result is empty if the record already has the state of the last full hour. Otherwise all candles up to `now` (market time) are
    used again from the first one, so that no state depends on when it was requested. States that another detector published earlier stay.

    Raises
    ------
    CandleError
        If the candles of a pair are missing or cannot be read.
    LearningError
        If there are too few candles for any state, or a state is out of bounds.
    """
    newest = _newest(published, now=now)
    if newest is not None and newest >= now.replace(minute=0, second=0, microsecond=0):
        return ()
    frames = {}
    for pair in pairs:
        start = candles.span(pair, timeframe)[0]
        if start < now:
            frames[pair] = candles.candles(pair, timeframe, start=start, end=now)
    states = regime_states(hourly_index(frames), detector=detector, computed_at=computed_at)
    if not states:
        raise LearningError("there are too few candles to detect a regime: three days are needed")
    fresh = tuple(state for state in states if newest is None or state.known_at > newest)
    for state in fresh:
        require_readable(state)
    if fresh:
        published.publish(fresh)
    return fresh


def _newest(published: RegimeRepository, *, now: datetime) -> datetime | None:
    try:
        return published.as_of(now).known_at
    except LearningError:
        return None
