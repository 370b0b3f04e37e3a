"""Compute the signals of feeders' models, for a span of candles or for one candle at its close, from the same features."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray

from bot3.errors import DataError, ModelError
from bot3.learning.feeders.feature_panel import FeaturePanel, last_hourly_rows
from bot3.learning.feeders.models import FeederModel, read_model
from bot3.market.columns import candle_columns
from bot3.market.feature_layouts import HOUR, LAYOUTS, SHORT_TIMEFRAME
from bot3.market.features import last_features
from bot3.market.instants import instant_us, instants
from bot3.market.timeframes import candle_open_time as candle_open_time_at
from bot3.market.timeframes import timeframe_duration
from bot3.ports.candles import CandleReader
from bot3.ports.models import ModelStore
from bot3.ports.record import ModelRegistry
from bot3.trading.signals import FEEDER_IDS, Signal
from bot3.usecases.feeders.panels import read_funding, read_hours

_HOUR_US = timeframe_duration(HOUR) // timedelta(microseconds=1)
_SHORT_US = timeframe_duration(SHORT_TIMEFRAME) // timedelta(microseconds=1)

Rows = dict[str, NDArray[np.float32]]
"""Pair to its row of features at one close."""

log = structlog.get_logger()


def predict_signals(feeder_id: str, text: bytes, panel: FeaturePanel, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return a feeder's signals of the candles that close in start <= close < end.

    `candle_open_time` of a signal is that of the 5m candle that closes then, for hourly features too.

    Parameters
    ----------
    panel : FeaturePanel
        Features of the feeder's timeframe.
    text : bytes
        A model file's text (`ModelStore.read`). The signals are out of sample only if nothing known after `start` was used for training.

    Returns
    -------
    DataFrame
        A signal frame (`ports.signals`), sorted by known_at, pair.

    Raises
    ------
    ModelError
        If the text is not a model, or is the model of another feeder or of features of another timeframe.
    """
    model = model_of(feeder_id, text)
    needed = model.header.spec.timeframe
    if needed != panel.timeframe:
        raise ModelError(f"this model of {feeder_id} needs {needed} features, not {panel.timeframe} ones: train it again")
    frames = [_pair_signals(model, panel, index, span=(instant_us(start), instant_us(end))) for index in range(len(panel.pairs))]
    joined = pd.concat(frames, ignore_index=True)
    joined.insert(0, "feeder_id", pd.Series(feeder_id, index=joined.index, dtype="str"))
    joined["model_digest"] = pd.Series(hashlib.sha256(text).hexdigest(), index=joined.index, dtype="str")
    joined["horizon"] = pd.Series(model.header.spec.horizon.value, index=joined.index, dtype="str")
    return joined.sort_values(["known_at", "pair"], kind="stable", ignore_index=True)


def model_of(feeder_id: str, text: bytes) -> FeederModel:
    """Parse a model file's text, whose digest was verified before. Raises ModelError if it is invalid or belongs to another feeder."""
    model = read_model(text)
    if model.header.spec.feeder_id != feeder_id:
        raise ModelError(f"this is a model of {model.header.spec.feeder_id}, not of {feeder_id}: register it under its own feeder")
    return model


def _pair_signals(model: FeederModel, panel: FeaturePanel, index: int, *, span: tuple[int, int]) -> pd.DataFrame:
    pair = panel.pairs[index]
    closes = pair.columns.open_us + panel.step_us
    low, high = np.searchsorted(closes, span, side="left")
    calls = model.calls(pair.features[low:high])
    called = np.flatnonzero(calls.is_called)
    known = closes[low:high][called]
    return pd.DataFrame(
        {
            "pair": pd.Series(pair.pair, index=range(len(called)), dtype="str"),
            "is_short": calls.is_short[called],
            "confidence": calls.confidence[called],
            "candle_open_time": instants(known - _SHORT_US),
            "known_at": instants(known),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSignals:
    """Signals of one candle; `refused` maps each pair without features, and each feeder without its newest model, to the reason."""

    signals: tuple[Signal, ...]
    refused: Mapping[str, str]


class SignalMaker:
    """Makes the signals of all feeders at a candle's close.

    Each feeder uses the newest model known at that close. If there is none or it cannot be read, the feeder uses the model that it used
    last in this process; without one it makes no signals. `MadeSignals.refused` contains the reason in both cases.

    Parameters
    ----------
    pairs : sequence of str
        The pairs that signals are made for.
    """

    def __init__(self, *, models: ModelStore, registry: ModelRegistry, candles: CandleReader, pairs: Sequence[str]) -> None:
        self._models = models
        self._registry = registry
        self._candles = candles
        self._pairs = tuple(pairs)
        self._step = timeframe_duration(SHORT_TIMEFRAME)
        self._loaded: dict[str, tuple[str, FeederModel]] = {}

    def signals_at(self, candle_open_time: datetime, now: datetime) -> list[Signal]:
        """Return the signals of a candle, sorted by feeder and pair; the reasons of `MadeSignals.refused` are logged."""
        made = self.make(candle_open_time, now)
        if made.refused:
            log.warning("signals_refused", candle_open_time=candle_open_time.isoformat(), refused=dict(made.refused))
        return list(made.signals)

    def make(self, candle_open_time: datetime, now: datetime) -> MadeSignals:
        """Return the signals of a candle, and the reasons for pairs and feeders that were left out.

        Parameters
        ----------
        candle_open_time : datetime
            Open time of the candle whose close makes the signals known.
        now : datetime
            Market time; for a candle that has not closed by then there are no signals, and every pair is in `refused`.
        """
        known_at = candle_open_time + self._step
        if now < known_at:
            reason = f"the candle of {candle_open_time.isoformat()} closes at {known_at.isoformat()}, it is {now.isoformat()}"
            return MadeSignals(signals=(), refused=dict.fromkeys(self._pairs, reason))
        refused: dict[str, str] = {}
        models = self._models_at(known_at, refused)
        rows = self._rows(candle_open_time, refused)
        signals = [
            signal
            for feeder_id, (digest, model) in models.items()
            for signal in _signals(model, rows[model.header.spec.timeframe], like=(feeder_id, digest, candle_open_time, known_at))
        ]
        return MadeSignals(signals=tuple(signals), refused=refused)

    def _models_at(self, at: datetime, refused: dict[str, str]) -> dict[str, tuple[str, FeederModel]]:
        for feeder_id in FEEDER_IDS:
            try:
                digest = self._registry.newest(feeder_id, as_of=at).digest
                if self._loaded.get(feeder_id, ("", None))[0] != digest:
                    self._loaded[feeder_id] = (digest, model_of(feeder_id, self._models.read(digest)))
            except DataError as error:
                refused[feeder_id] = str(error)
        return {feeder_id: self._loaded[feeder_id] for feeder_id in FEEDER_IDS if feeder_id in self._loaded}

    def _rows(self, candle_open_time: datetime, refused: dict[str, str]) -> dict[str, Rows]:
        """Return the features of the candle by timeframe and pair; hourly ones only if an hour ends at its close."""
        close = candle_open_time + self._step
        short = {}
        for pair in self._pairs:
            try:
                window = self._candles.candles(pair, SHORT_TIMEFRAME, start=close - LAYOUTS[SHORT_TIMEFRAME].reach, end=close)
            except DataError as error:
                refused[pair] = str(error)
                continue
            reason = _refusal(window, candle_open_time)
            if reason is not None:
                refused[pair] = reason
                continue
            short[pair] = last_features(candle_columns(window.iloc[-LAYOUTS[SHORT_TIMEFRAME].window_candles :]))
        is_hour = candle_open_time_at(close, HOUR) == close
        return {SHORT_TIMEFRAME: short, HOUR: self._hourly_rows(close, refused) if is_hour else {}}

    def _hourly_rows(self, close: datetime, refused: dict[str, str]) -> Rows:
        """Return the features of the hour that ends at a close, of every pair that has it; also of pairs without 5m features.

        All of these are compared with each other, as in a panel.
        """
        start = close - LAYOUTS[HOUR].reach
        columns, funding = {}, {}
        for pair in self._pairs:
            try:
                hours = read_hours(self._candles, pair, start=start, end=close)
                rates = read_funding(self._candles, pair, start=start, end=close)
            except DataError as error:
                refused.setdefault(pair, str(error))
                continue
            if len(hours) and int(hours.open_us[-1]) == instant_us(close) - _HOUR_US:
                columns[pair], funding[pair] = hours, rates
            else:
                refused.setdefault(pair, f"it has no candle of the hour until {close.isoformat()}")
        if not columns:
            return {}
        return dict(zip(sorted(columns), last_hourly_rows(columns, funding), strict=True))


def _refusal(window: pd.DataFrame, candle_open_time: datetime) -> str | None:
    if not len(window):
        return "there is no candle of the last days: fetch some"
    last = window["open_time"].iloc[-1]
    if last != candle_open_time:
        return f"its last candle opened at {last.isoformat()}, not at {candle_open_time.isoformat()}"
    needed = LAYOUTS[SHORT_TIMEFRAME].window_candles
    if len(window) < needed:
        return f"{len(window)} candles up to it, features need {needed}"
    return None


def _signals(
    model: FeederModel,
    rows: Rows,
    *,
    like: tuple[str, str, datetime, datetime],
) -> list[Signal]:
    if not rows:
        return []
    feeder_id, digest, open_time, known_at = like
    calls = model.calls(np.stack(list(rows.values())))
    return [
        Signal(
            feeder_id=feeder_id,
            pair=pair,
            is_short=bool(calls.is_short[index]),
            confidence=float(calls.confidence[index]),
            candle_open_time=open_time,
            known_at=known_at,
            model_digest=digest,
            horizon=model.header.spec.horizon,
        )
        for index, pair in enumerate(rows)
        if calls.is_called[index]
    ]
