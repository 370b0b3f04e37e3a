"""Measure the time from a closed candle to the calibrated signals of all ten feeders for one pair, at the close of an hour.

`python -m benchmarks.signals [--repeats 300]` trains the feeders on a simulated market, three boosters (seeds) each, and measures

* `p50_us`, and `cpu_p50_us` for the time of the processor: candles in memory as arrays: 5m features, the hour aggregated from 57 days of 5m
  candles, hourly features, their comparison with the other pairs (whose own features are known), and the calls of the ten models;
* `maker_p50_us`: `SignalMaker.make`, which reads the candles of all eight pairs and makes the signals of all;
* `rivals.frames_p50_us`: the predictions for one pair the usual way: a frame of features that are already known, one column each, and
  LightGBM's `predict` on it for every booster.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import lightgbm
import numpy as np
import pandas as pd

from benchmarks.output import print_result, tell
from bot3.adapters.simulated.market import SimulatedMarket
from bot3.learning.feeders.models import FeederModel, read_model
from bot3.learning.feeders.specs import FEEDERS
from bot3.learning.feeders.training import TrainingSettings, train_feeder_model
from bot3.market.columns import CandleColumns, candle_columns
from bot3.market.cross_features import cross_features
from bot3.market.feature_layouts import HOUR, LAYOUTS, SHORT_TIMEFRAME
from bot3.market.features import last_features
from bot3.market.hourly_features import OWN_NAMES, Funding, own_hourly_features
from bot3.market.hours import HOUR_US, hourly_columns
from bot3.ports.record import ModelEntry
from bot3.usecases.feeders.panels import build_panels, read_funding
from bot3.usecases.feeders.predict_signals import SignalMaker

START = datetime(2025, 1, 6, tzinfo=UTC)
UNTIL = START + timedelta(days=100)
SETTINGS = TrainingSettings(most_rows=2_000, least_rows=50, seeds=(7, 8, 9))
_STEP = timedelta(minutes=5)


class Models:
    """Models in memory, as `ModelStore` and `ModelRegistry`."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = {hashlib.sha256(text).hexdigest(): text for text in texts.values()}
        self._digests = {feeder: hashlib.sha256(text).hexdigest() for feeder, text in texts.items()}

    def read(self, digest: str) -> bytes:
        """Return the text with a digest."""
        return self._texts[digest]

    def newest(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        """Return the entry of a feeder's model, whatever the time."""
        return ModelEntry(
            feeder_id=feeder_id,
            digest=self._digests[feeder_id],
            known_at=as_of,
            trained_from=START,
            trained_until=UNTIL,
            rows=0,
            log_loss_oof=None,
            base_log_loss_oof=None,
            information=None,
            long_threshold=None,
            short_threshold=None,
            settings_digest="",
            computed_at=as_of,
        )


def calling(text: bytes) -> bytes:
    """Return a model with a slope above 0, so that its boosters are evaluated whether or not they were informative."""
    line, _, boosters = text.partition(b"\n")
    header = json.loads(line)
    header["slope"] = {"value": 0.5 if header["boosters"] else 0.0, "t": 3.0}
    return json.dumps(header).encode() + b"\n" + boosters


def array_way(models: Sequence[FeederModel], short: CandleColumns, funding: Funding, others: np.ndarray, pairs: Sequence[str]) -> int:
    """Return how many of the models call, from one pair's 5m candles; `others` are the own hourly features of all pairs."""
    hours = hourly_columns(short, step_us=HOUR_US // 12)
    own = own_hourly_features(hours, funding, first=len(hours) - 1)
    block = others.copy()
    block[0, 0] = own[0]
    rows = {
        SHORT_TIMEFRAME: last_features(short.since(-LAYOUTS[SHORT_TIMEFRAME].window_candles))[None],
        HOUR: np.hstack((own, cross_features(block, pairs)[0, :1])),
    }
    return sum(int(model.calls(rows[model.header.spec.timeframe]).is_called[0]) for model in models)


def frame_way(boosters: Mapping[str, list[lightgbm.Booster]], rows: Mapping[str, np.ndarray]) -> float:
    """Return the sum of the predictions of all boosters, each on a frame with one column a feature."""
    total = 0.0
    for feeder, seeds in boosters.items():
        layout = FEEDERS[feeder].layout
        frame = pd.DataFrame({name: rows[FEEDERS[feeder].timeframe][:, index] for index, name in enumerate(layout.names)})
        for booster in seeds:
            total += float(booster.predict(frame, num_threads=1)[0])
    return total


def durations_us(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the medians of wall time and of processor time of some calls, after three that do not count.

    On a busy machine the wall time contains the time of other processes.
    """
    for _ in range(3):
        work()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter(), time.thread_time()
        work()
        taken.append((time.perf_counter() - started[0], time.thread_time() - started[1]))
    wall, processor = np.median(np.array(taken) * 1e6, axis=0)
    return round(float(wall), 1), round(float(processor), 1)


def boosters_of(text: bytes) -> list[lightgbm.Booster]:
    """Parse the boosters of a model file."""
    line, _, rest = text.partition(b"\n")
    made, at = [], 0
    for length in json.loads(line)["boosters"]:
        made.append(lightgbm.Booster(model_str=rest[at : at + length].decode()))
        at += length
    return made


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300)
    repeats = parser.parse_args().repeats
    market = SimulatedMarket(7, starts_at=START, ends_at=UNTIL)
    pairs = market.pairs()
    panels = build_panels(market, pairs=pairs, start=START, end=UNTIL)
    texts = {}
    for feeder, spec in FEEDERS.items():
        trained = train_feeder_model(spec, panels[spec.timeframe], start=START, until=UNTIL, settings=SETTINGS)
        texts[feeder] = calling(trained.text)
        tell(f"trained {feeder}")
    models = [read_model(text) for text in texts.values()]
    start = UNTIL - LAYOUTS[HOUR].reach
    short = candle_columns(market.candles(pairs[0], SHORT_TIMEFRAME, start=start, end=UNTIL))
    funding = read_funding(market, pairs[0], start=start, end=UNTIL)
    hourly = panels[HOUR]
    others = np.stack([pair.features[-1, : len(OWN_NAMES)] for pair in hourly.pairs])[None]
    rows = {timeframe: panels[timeframe].pairs[0].features[-1:] for timeframe in panels}
    store = Models(texts)
    maker = SignalMaker(models=store, registry=store, candles=market, pairs=pairs)  # type: ignore[arg-type]
    boosters = {feeder: boosters_of(text) for feeder, text in texts.items()}
    p50, cpu_p50 = durations_us(lambda: array_way(models, short, funding, others, pairs), repeats)
    maker_p50, maker_cpu = durations_us(lambda: maker.make(UNTIL - _STEP, UNTIL), max(10, repeats // 10))
    frames_p50, frames_cpu = durations_us(lambda: frame_way(boosters, rows), max(10, repeats // 10))
    tell(f"one pair: {p50} us ({cpu_p50} of the processor); all pairs with reading: {maker_p50} us ({maker_cpu})")
    tell(f"frames: {frames_p50} us ({frames_cpu}), features not included")
    print_result(
        {
            "p50_us": p50,
            "cpu_p50_us": cpu_p50,
            "maker_p50_us": maker_p50,
            "maker_cpu_p50_us": maker_cpu,
            "models": len(models),
            "boosters": sum(len(each) for each in boosters.values()),
            "rivals": {"frames_p50_us": frames_p50, "frames_cpu_p50_us": frames_cpu},
        }
    )


if __name__ == "__main__":
    main()
