"""What the learner is given of candles and funding, load by load."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import CandleError
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.trading.trades import RunMode
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.replay_trades import load_candles, replay_trades
from tests.learning.worlds import PAIRS, START, candle_frame, trade_row
from tests.usecases.fakes import FakeCandles, FakeReader, FakeRecord
from tests.usecases.learning.test_relearn import a_trade

PAIR = PAIRS[0]
ENTERED = START + timedelta(days=3, minutes=2)
RATES = 60
MINUTES = 5


def funding_rates(*, late: timedelta = timedelta(0)) -> pd.DataFrame:
    """Return a payment every eight hours, each of its own size, and up to `late` after the hour."""
    times = pd.Series(pd.date_range(START, periods=RATES, freq="8h") + late).astype("datetime64[us, UTC]")
    return pd.DataFrame({"time": times, "funding_rate": np.random.default_rng(5).normal(0.0, 0.0005, RATES)})


def a_session() -> LearnerSession:
    return LearnerSession(ParameterLearner(LearningSettings()))


def replays_after(loads: list[datetime], candles: FakeCandles) -> pd.DataFrame:
    """Return the replays of a trade of 24 hours whose candles were loaded at some times, one after the other."""
    learner = ParameterLearner(LearningSettings())
    learner.ingest(pd.DataFrame([trade_row(1, opened=ENTERED, pair=PAIR)]))
    for now in loads:
        load_candles(learner, candles, PAIR, now=now)
        learner.replay_due(now=now)
    return learner.unsaved_replays()[0]


CANDLES = FakeCandles({PAIR: candle_frame(seed=0)}, funding_rates(late=timedelta(milliseconds=7)))


@settings(max_examples=30, deadline=None)
@given(minutes=st.lists(st.integers(0, 26 * 60), max_size=8))
def test_replay_given_candles_were_loaded_at_any_times_then_equals_one_load(minutes: list[int]) -> None:
    end = ENTERED + timedelta(hours=26)
    loads = [ENTERED + timedelta(minutes=count) for count in sorted(minutes)]

    warm = replays_after([*loads, end], CANDLES)

    pd.testing.assert_frame_equal(warm, replays_after([end], CANDLES))


def test_replay_given_many_loads_around_each_payment_then_charges_each_once() -> None:
    opens = candle_frame(seed=0).set_index("open_time")["open"]
    rates = funding_rates().set_index("time")["funding_rate"]
    candles = FakeCandles({PAIR: candle_frame(seed=0)}, funding_rates())
    paid = [at for at in rates.index if ENTERED < at <= ENTERED + timedelta(hours=24)]
    loads = [at.to_pydatetime() + timedelta(minutes=m) for at in paid for m in range(1, 6)]

    replay = replays_after([*loads, ENTERED + timedelta(hours=26)], candles).iloc[0]

    assert len(paid) == 3
    expected = -sum(float(rates[at]) * float(opens[at]) for at in paid) / 100.0
    assert replay["funding_move"] == pytest.approx(expected, rel=1e-9)


def test_replay_given_funding_that_became_known_after_its_candle_then_charges_it() -> None:
    late = FakeCandles(CANDLES.frames, funding_rates().iloc[:5].reset_index(drop=True))
    learner = ParameterLearner(LearningSettings())
    learner.ingest(pd.DataFrame([trade_row(1, opened=ENTERED, pair=PAIR)]))
    load_candles(learner, late, PAIR, now=ENTERED + timedelta(hours=20))

    load_candles(learner, CANDLES, PAIR, now=ENTERED + timedelta(hours=26))
    learner.replay_due(now=ENTERED + timedelta(hours=26))

    pd.testing.assert_frame_equal(learner.unsaved_replays()[0], replays_after([ENTERED + timedelta(hours=26)], CANDLES))


def test_add_candles_given_an_instant_of_funding_twice_then_refuses_it() -> None:
    learner, funding = ParameterLearner(LearningSettings()), funding_rates()

    with pytest.raises(CandleError, match="funding of AAA"):
        learner.add_candles(PAIR, candle_frame(seed=0), pd.concat([funding, funding.tail(1)], ignore_index=True))


def test_add_candles_given_candles_that_are_held_then_refuses_them() -> None:
    learner, candles = ParameterLearner(LearningSettings()), candle_frame(seed=0)
    learner.add_candles(PAIR, candles.iloc[:500], funding_rates())

    with pytest.raises(CandleError, match="already loaded"):
        learner.add_candles(PAIR, candles.iloc[499:510].reset_index(drop=True), funding_rates())


def test_replay_trades_given_replays_of_an_older_version_then_writes_them_anew() -> None:
    record, session = FakeRecord(), a_session()
    record.trades.upsert(FakeReader("BOT1", [a_trade(1, opened=ENTERED)]).trades)
    when = {"run_modes": [RunMode.PAPER], "now": ENTERED + timedelta(hours=26)}
    replay_trades(record, session, CANDLES, **when)  # type: ignore[arg-type]
    (right,) = record.replays.rows.values()
    record.replays.save(pd.DataFrame([right | {"funding_move": -0.5, "version": "of-before"}]))

    replay_trades(record, a_session(), CANDLES, **when)  # type: ignore[arg-type]

    (row,) = record.replays.rows.values()
    assert (row["funding_move"], row["version"]) == (right["funding_move"], session.learner.replay_version)


TRADES = [a_trade(k, opened=ENTERED + timedelta(minutes=7 * k)) for k in range(4)]


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.one_of(st.just("replay"), st.tuples(st.sampled_from(["upsert", "delete"]), st.integers(0, 3))), max_size=12))
def test_session_given_any_deletions_and_returns_between_replays_then_has_the_trades_of_the_record(
    steps: list[str | tuple[str, int]],
) -> None:
    record, session, present = FakeRecord(), a_session(), set[int]()
    when = {"run_modes": [RunMode.PAPER], "now": ENTERED + timedelta(hours=30)}
    for step in [*steps, "replay"]:
        if isinstance(step, str):
            replay_trades(record, session, CANDLES, **when)  # type: ignore[arg-type]
        elif step[0] == "upsert":
            record.trades.upsert([TRADES[step[1]]])
            present.add(step[1])
        elif step[1] in present:
            record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(step[1], TRADES[step[1]].open_date)])
            present.remove(step[1])

    assert len(session.learner.table) == len(present)


def test_session_given_the_return_of_a_deleted_trade_and_another_deletion_then_has_the_trades_of_the_record() -> None:
    """The number of deleted trades is the same before and after."""
    record, session = FakeRecord(), a_session()
    when = {"run_modes": [RunMode.PAPER], "now": ENTERED + timedelta(hours=30)}
    record.trades.upsert(TRADES[:2])
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(0, TRADES[0].open_date)])
    replay_trades(record, session, CANDLES, **when)  # type: ignore[arg-type]

    record.trades.upsert(TRADES[:1])
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(1, TRADES[1].open_date)])
    replay_trades(record, session, CANDLES, **when)  # type: ignore[arg-type]

    assert len(session.learner.table) == 1


def known_until(payments: int) -> FakeCandles:
    """Return the candles with only the first payments known."""
    return FakeCandles(CANDLES.frames, funding_rates(late=timedelta(milliseconds=7)).iloc[:payments].reset_index(drop=True))


@settings(max_examples=30, deadline=None)
@given(known=st.lists(st.integers(0, RATES), min_size=1, max_size=4))
def test_replay_given_payments_that_become_known_in_any_order_then_record_and_learner_hold_what_is_known_last(known: list[int]) -> None:
    record, session = FakeRecord(), a_session()
    record.trades.upsert(FakeReader("BOT1", [a_trade(1, opened=ENTERED)]).trades)
    now = ENTERED + timedelta(hours=26)
    for payments in [*known, RATES]:
        replay_trades(record, session, known_until(payments), run_modes=[RunMode.PAPER], now=now)
        now += timedelta(hours=2)
    replay_trades(record, session, CANDLES, run_modes=[RunMode.PAPER], now=now)

    (row,) = record.replays.rows.values()
    right = replays_after([ENTERED + timedelta(hours=26)], CANDLES).iloc[0]["funding_move"]
    assert (row["funding_move"], session.learner.table.fact("funding_move")[0]) == (pytest.approx(right), pytest.approx(right))


def test_replay_trades_given_a_payment_known_hours_after_the_replay_then_looks_again_and_corrects_it() -> None:
    record, session = FakeRecord(), a_session()
    record.trades.upsert(FakeReader("BOT1", [a_trade(1, opened=ENTERED)]).trades)
    due = ENTERED + timedelta(hours=26)
    replay_trades(record, session, known_until(10), run_modes=[RunMode.PAPER], now=due)
    (before,) = record.replays.rows.values()

    outcome = replay_trades(record, session, CANDLES, run_modes=[RunMode.PAPER], now=due + timedelta(hours=2))

    (after,) = record.replays.rows.values()
    assert outcome.written == {"complete": 1}
    assert outcome.touched == {session.learner.table.group(0)}
    assert after["funding_move"] != before["funding_move"]
    assert after["funding_move"] == pytest.approx(replays_after([due], CANDLES).iloc[0]["funding_move"])


def test_replay_trades_given_a_record_with_other_funding_then_a_cold_start_corrects_it_once() -> None:
    record, when = FakeRecord(), {"run_modes": [RunMode.PAPER], "now": ENTERED + timedelta(hours=26)}
    record.trades.upsert(FakeReader("BOT1", [a_trade(1, opened=ENTERED)]).trades)
    replay_trades(record, a_session(), known_until(10), **when)  # type: ignore[arg-type]

    first = replay_trades(record, a_session(), CANDLES, **when)  # type: ignore[arg-type]
    second = replay_trades(record, a_session(), CANDLES, **when)  # type: ignore[arg-type]

    assert (first.written, second.written) == ({"complete": 1}, {})


class UnreadableCandles(FakeCandles):
    """Candles whose files cannot be read until they are repaired."""

    is_repaired = False

    def span(self, pair: str, timeframe: str) -> tuple[datetime, datetime]:
        if not self.is_repaired:
            raise CandleError("the file cannot be read")
        return super().span(pair, timeframe)


def test_replay_trades_given_candles_that_become_readable_then_replays_what_was_given_up() -> None:
    record, session = FakeRecord(), a_session()
    record.trades.upsert(FakeReader("BOT1", [a_trade(1, opened=ENTERED)]).trades)
    candles = UnreadableCandles(CANDLES.frames, funding_rates())
    read = ENTERED + timedelta(hours=26)

    found = []
    for now, is_repaired in ((read, False), (read + timedelta(minutes=59), True), (read + timedelta(minutes=60), True)):
        candles.is_repaired = is_repaired
        replay_trades(record, session, candles, run_modes=[RunMode.PAPER], now=now)
        found += [row["state"] for row in record.replays.rows.values()]

    assert found == ["no_candles", "no_candles", "complete"]
