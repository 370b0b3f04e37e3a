from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bot3.adapters.files.models import FileModels
from bot3.errors import CandleError, LearningError, ModelError
from bot3.learning.feeders.specs import find_feeder
from bot3.learning.feeders.training import TrainingSettings
from bot3.market.candle_series import CandleSeries, funding_between
from bot3.ports.candles import CandleReader
from bot3.ports.record import ModelEntry
from bot3.trading.signals import FEEDER_IDS
from bot3.usecases.feeders.panels import build_panel, build_panels, read_hours
from bot3.usecases.feeders.predict_signals import SignalMaker, predict_signals
from bot3.usecases.feeders.train_feeders import train_feeder
from tests.market.random_walks import WALK_START, random_walk

COUNT = 15_000
STEP = timedelta(minutes=5)
UNTIL = WALK_START + 14_400 * STEP
END = WALK_START + COUNT * STEP
WALL = datetime(2026, 1, 1, tzinfo=UTC)
FUNDING = pd.DataFrame({"time": pd.date_range(WALK_START, periods=150, freq="8h", unit="us"), "funding_rate": 1e-4})
PAIRS = ("A/USDT:USDT", "B/USDT:USDT")
SMALL = TrainingSettings(rounds=15, most_rows=4_000, least_rows=200)


class WalkCandles:
    """Candles of random walks, by span."""

    def __init__(self, frames: dict[str, pd.DataFrame]) -> None:
        self.frames = frames

    def timeframes(self, pair: str) -> tuple[str, ...]:
        return ("5m",) if pair in self.frames else ()

    def funding(self, pair: str, *, start: datetime, end: datetime) -> pd.DataFrame:  # noqa: ARG002  # one for all pairs
        return funding_between(FUNDING, start=start, end=end)

    def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
        if pair not in self.frames:
            raise CandleError(f"{pair} is unknown")
        return CandleSeries(self.frames[pair], pair=pair, timeframe=timeframe).between(start=start, end=end)


class Registry:
    """Entries in memory."""

    def __init__(self, entries: dict[str, ModelEntry]) -> None:
        self.entries = entries

    def newest(self, feeder_id: str, *, as_of: datetime) -> ModelEntry:
        entry = self.entries.get(feeder_id)
        if entry is None or entry.known_at > as_of:
            raise LearningError(f"{feeder_id} has no model by {as_of.isoformat()}")
        return entry


@pytest.fixture(scope="module")
def candles() -> CandleReader:
    return WalkCandles({pair: random_walk(COUNT, seed=i, drift_of_last=0.5) for i, pair in enumerate(PAIRS)})  # type: ignore[return-value]


@pytest.fixture(scope="module")
def plain(candles: CandleReader, tmp_path_factory: pytest.TempPathFactory) -> tuple[FileModels, dict[str, ModelEntry]]:
    models = FileModels(tmp_path_factory.mktemp("models"))
    panels = build_panels(candles, pairs=PAIRS, start=WALK_START, end=END)
    entries = {
        feeder_id: train_feeder(
            feeder_id,
            until=UNTIL,
            pairs=PAIRS,
            candles=candles,
            models=models,
            now=WALL,
            train_days=70,
            settings=SMALL,
            panel=panels[find_feeder(feeder_id).timeframe],
        )
        for feeder_id in FEEDER_IDS
    }
    return models, entries


@pytest.fixture(scope="module")
def trained(plain: tuple[FileModels, dict[str, ModelEntry]]) -> tuple[FileModels, dict[str, ModelEntry]]:
    """Return the models with terms under which they call often."""
    models, entries = plain
    return models, {id_: replace(entry, digest=models.put(eager(models.read(entry.digest)))) for id_, entry in entries.items()}


def eager(text: bytes) -> bytes:
    line, _, boosters = text.partition(b"\n")
    header = json.loads(line)
    header["slope"] = {"value": 1.0 if header["boosters"] else 0.0, "t": 3.0}
    for side in ("long", "short"):
        header[side] = {"expectancy_sigma": 0.02, "threshold": -0.001}
    return json.dumps(header).encode() + b"\n" + boosters


def maker_of(candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]], *, pairs: tuple[str, ...] = PAIRS) -> SignalMaker:
    return SignalMaker(models=trained[0], registry=Registry(trained[1]), candles=candles, pairs=pairs)  # type: ignore[arg-type]


def test_train_feeder_given_candles_then_says_what_was_known_when(
    candles: CandleReader, plain: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    entry = plain[1]["F08"]

    assert (entry.known_at, entry.trained_until, entry.trained_from, entry.computed_at) == (UNTIL, UNTIL, WALK_START, WALL)
    assert entry.information in {"forecast", "no information"}
    assert entry.log_loss_oof is not None


def test_train_feeder_given_it_again_without_a_panel_then_makes_the_same_model(
    candles: CandleReader, plain: tuple[FileModels, dict[str, ModelEntry]], tmp_path: Path
) -> None:
    again = train_feeder(
        "F04", until=UNTIL, pairs=PAIRS, candles=candles, models=FileModels(tmp_path), now=WALL, train_days=70, settings=SMALL
    )

    assert again == plain[1]["F04"]


@pytest.mark.parametrize("missing", [0, 100, 400])
def test_live_signals_given_walks_then_equal_the_batch(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]], missing: int
) -> None:
    models, entries = trained
    walks = dict(candles.frames)  # type: ignore[attr-defined]
    gap = range(14_301 - missing, 14_301)  # the last one ends an hour and 8 h of candles follow until the first signal
    walks[PAIRS[0]] = walks[PAIRS[0]].drop(index=gap).reset_index(drop=True)
    candles = WalkCandles(walks)  # type: ignore[assignment]
    maker = maker_of(candles, trained)
    panels = build_panels(candles, pairs=PAIRS, start=WALK_START, end=END)
    start, end = UNTIL, UNTIL + 300 * STEP
    batch = pd.concat(
        [
            predict_signals(id_, models.read(entry.digest), panels[find_feeder(id_).timeframe], start=start, end=end)
            for id_, entry in entries.items()
        ],
        ignore_index=True,
    )

    live = [signal for i in range(300) for signal in maker.signals_at(UNTIL + (i - 1) * STEP, UNTIL + i * STEP)]

    # 5m features differ by float32's rounding at most; only one that stands on the very edge of a split could change a tree's answer.
    expected = {
        (r.feeder_id, r.pair, r.known_at, r.candle_open_time): (r.is_short, r.confidence, r.model_digest) for r in batch.itertuples()
    }
    found = {
        (s.feeder_id, s.pair, pd.Timestamp(s.known_at), pd.Timestamp(s.candle_open_time)): (s.is_short, s.confidence, s.model_digest)
        for s in live
    }
    assert len(found) > 50
    assert {find_feeder(key[0]).timeframe for key in found} == {"5m", "1h"}
    assert {pair for _, pair, *_ in found} == set(PAIRS)
    assert found.keys() == expected.keys()
    assert all(found[key][0] == expected[key][0] and found[key][2] == expected[key][2] for key in found)
    np.testing.assert_allclose([found[key][1] for key in found], [expected[key][1] for key in found], atol=1e-6)


@pytest.mark.parametrize(("feeder_id", "every"), [("F08", STEP), ("F05", timedelta(hours=1))])
def test_predict_signals_given_a_span_then_every_signal_is_known_at_a_close_in_it(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]], feeder_id: str, every: timedelta
) -> None:
    panel = build_panel(candles, pairs=PAIRS, start=WALK_START, end=END, timeframe=find_feeder(feeder_id).timeframe)

    signals = predict_signals(feeder_id, trained[0].read(trained[1][feeder_id].digest), panel, start=UNTIL, end=END)

    assert ((signals["known_at"] >= UNTIL) & (signals["known_at"] < END)).all()
    assert (signals["known_at"] == signals["known_at"].dt.floor(every)).all()
    assert (signals["known_at"] - signals["candle_open_time"] == STEP).all()
    assert signals["confidence"].between(0.0, 1.0).all()
    assert (signals["horizon"] == find_feeder(feeder_id).horizon.value).all()


def test_hours_given_5m_candles_and_1h_ones_then_the_1h_ones_fill_what_is_missing(candles: CandleReader) -> None:
    frames = candles.frames  # type: ignore[attr-defined]
    hours = random_walk(100, seed=3).assign(open_time=pd.date_range(WALK_START - timedelta(hours=50), periods=100, freq="1h", unit="us"))

    class Both(WalkCandles):
        def timeframes(self, pair: str) -> tuple[str, ...]:
            return ("1h", "5m") if pair in self.frames else ()

        def candles(self, pair: str, timeframe: str, *, start: datetime, end: datetime) -> pd.DataFrame:
            frame = hours if timeframe == "1h" else self.frames[pair]
            return CandleSeries(frame, pair=pair, timeframe=timeframe).between(start=start, end=end)

    start, end = WALK_START - timedelta(hours=30), WALK_START + timedelta(hours=20)
    made = read_hours(Both(frames), PAIRS[0], start=start, end=end)  # type: ignore[arg-type]

    own = read_hours(candles, PAIRS[0], start=start, end=end)
    assert len(own) == 20
    assert made.close.tolist() == [*hours["close"].iloc[20:50], *own.close]


def test_predict_signals_given_another_feeders_model_then_refuses(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    panel = build_panel(candles, pairs=PAIRS, start=UNTIL, end=END, timeframe="1h")

    with pytest.raises(ModelError, match="a model of F01, not of F02"):
        predict_signals("F02", trained[0].read(trained[1]["F01"].digest), panel, start=UNTIL, end=END)


def test_predict_signals_given_features_of_another_timeframe_then_refuses(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    panel = build_panel(candles, pairs=PAIRS, start=UNTIL, end=END, timeframe="1h")

    with pytest.raises(ModelError, match="needs 5m features, not 1h ones"):
        predict_signals("F08", trained[0].read(trained[1]["F08"].digest), panel, start=UNTIL, end=END)


def test_make_given_a_pair_without_its_last_candle_then_refuses_it_alone(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    frames = dict(candles.frames)  # type: ignore[attr-defined]
    frames[PAIRS[0]] = frames[PAIRS[0]].drop(index=14_700).reset_index(drop=True)
    at = WALK_START + 14_700 * STEP

    made = maker_of(WalkCandles(frames), trained, pairs=(*PAIRS, "C/USDT:USDT")).make(at, at + STEP)  # type: ignore[arg-type]

    assert set(made.refused) == {PAIRS[0], "C/USDT:USDT"}
    assert "last candle opened at" in made.refused[PAIRS[0]]
    assert {signal.pair for signal in made.signals} <= {PAIRS[1]}


def test_make_given_a_candle_in_progress_then_refuses_every_pair(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    made = maker_of(candles, trained).make(UNTIL, UNTIL + STEP / 2)

    assert made.signals == ()
    assert set(made.refused) == set(PAIRS)


def test_make_given_too_few_candles_then_says_how_many(candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]) -> None:
    entries = {feeder_id: replace(entry, known_at=WALK_START) for feeder_id, entry in trained[1].items()}
    at = WALK_START + 100 * STEP

    made = maker_of(candles, (trained[0], entries)).make(at, at + STEP)

    assert made.refused == dict.fromkeys(PAIRS, "101 candles up to it, features need 1153")


def test_make_given_a_time_before_any_model_then_every_feeder_is_silent(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    at = UNTIL - 2 * STEP

    made = maker_of(candles, trained).make(at, at + STEP)

    assert set(made.refused) == set(FEEDER_IDS)
    assert made.signals == ()


def test_make_given_a_new_model_that_is_corrupt_then_the_last_good_one_goes_on(
    candles: CandleReader, trained: tuple[FileModels, dict[str, ModelEntry]]
) -> None:
    registry = dict(trained[1])
    maker = maker_of(candles, (trained[0], registry))
    before = [s for s in maker.signals_at(UNTIL + 20 * STEP, UNTIL + 21 * STEP) if s.feeder_id == "F08"]

    registry["F08"] = replace(registry["F08"], digest="0" * 64)
    made = maker.make(UNTIL + 20 * STEP, UNTIL + 21 * STEP)

    assert "is missing" in made.refused["F08"]
    assert [s for s in made.signals if s.feeder_id == "F08"] == before
