from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import InvalidLearningError, LearningError, StoreConflictError, StoreError
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.ports.record import SyncOutcome
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ParameterSet, ParameterState
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.learning.learn_params import check_parameters
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.relearn import RelearnReport, TradeSource, relearn_step
from bot3.usecases.learning.steps import LearningSteps, Moment, PublishedFiles
from bot3.usecases.learning.sync_trades import sync_trades
from bot3.usecases.publishing.files import write_published_files
from tests.learned import a_recommendation
from tests.learning.worlds import NOW, PAIRS, START, candle_frame, funding_frame
from tests.usecases.fakes import FakeCandles, FakeParameters, FakeReader, FakeRecord, FakeTrades

CANDLES = FakeCandles({pair: candle_frame(seed=place) for place, pair in enumerate(PAIRS)}, funding_frame())
WHEN: dict[str, Any] = {"run_modes": [RunMode.PAPER], "now": NOW, "computed_at": NOW}


def a_trade(trade_id: int, *, opened: datetime, pair: str = PAIRS[0], leverage: float = 3.0, close_profit: float = 0.01) -> Trade:
    return Trade(
        bot="BOT1",
        run_mode=RunMode.PAPER,
        account="paper",
        trade_id=trade_id,
        pair=pair,
        is_short=False,
        leverage=leverage,
        open_date=opened,
        open_rate=100.0,
        amount=1.0,
        stake_amount=100.0,
        fee_open=0.0005,
        fee_close=0.0005,
        enter_tag="F01",
        is_open=False,
        close_date=opened + timedelta(hours=2),
        close_rate=101.0,
        close_profit=close_profit,
        close_profit_abs=1.0,
        exit_reason="roi",
        horizon=Horizon.DAY,
    )


def some_trades(n: int) -> list[Trade]:
    return [a_trade(k, opened=START + timedelta(days=3, hours=5 * k), pair=PAIRS[k % 2]) for k in range(n)]


def failed_checks(report: RelearnReport) -> list[str]:
    return [check.name for asset in report.assets for check in asset.checks if not check.passed]


def shadow_frame(*, now: datetime = NOW) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = 600  # of the last days, as long as the longest horizon, none counts as evidence yet
    opened = pd.Series(pd.date_range(now - timedelta(days=22), periods=rows, freq="50min")).astype("datetime64[us, UTC]")
    closed = opened + pd.Timedelta(hours=1)
    feeders = [FEEDER_IDS[k % 9] for k in range(rows)]  # F10 has none
    moves = rng.normal(-0.001, 0.01, rows) + np.where(np.array(feeders) == "F03", 0.02, 0.0)
    frame = pd.DataFrame({"feeder_id": feeders, "open_date": opened, "close_date": closed, "close_move": moves, "known_at": closed})
    return frame.assign(regime="sideways", is_short=False, leverage=1.0, sigma=0.02)


def a_session() -> LearnerSession:
    return LearnerSession(ParameterLearner(LearningSettings()))


def step(record: FakeRecord | SqlRecord, session: LearnerSession, reader: FakeReader, **changes: Any) -> RelearnReport:
    source = TradeSource(reader=reader, run_mode=RunMode.PAPER)  # type: ignore[arg-type]
    return relearn_step(record, session, CANDLES, sources=[source], life=timedelta(days=7), **(WHEN | changes))  # type: ignore[arg-type]


def test_relearn_step_given_a_new_close_then_republishes_its_cell_and_bin_alone() -> None:
    record, session, reader = FakeRecord(), a_session(), FakeReader("BOT1", some_trades(40))
    step(record, session, reader)
    reader.trades.append(a_trade(99, opened=NOW - timedelta(hours=3), leverage=8.0))

    report = step(record, session, reader)

    assert report.parameters is not None
    assert set(report.parameters.rows) == {f"{PAIRS[0]}|long|7.5-10.0", "*|*|7.5-10.0"}
    assert report.parameters.rows[f"{PAIRS[0]}|long|7.5-10.0"].trades_count == 1
    assert [asset.asset for asset in report.assets] == ["synced_trades", "trade_replays", "adaptive_params"]
    assert failed_checks(report) == []


ODD_PAIRS = ("NA|STY/USDT", "NA\\STY/USDT", "NA\nSTY/USDT", "", "*")


def test_relearn_step_given_pairs_that_older_releases_took_then_learns_the_others_and_forgets_them(tmp_path: Path) -> None:
    record, session = SqlRecord.open(sqlite_url(tmp_path / "platform.sqlite")), a_session()
    odd = [a_trade(100 + number, opened=START + timedelta(days=3), pair=pair) for number, pair in enumerate(ODD_PAIRS)]
    reader = FakeReader("BOT1", [*some_trades(40), *odd])

    with_them = step(record, session, reader)
    history = record.parameters.history(key="NA|STY/USDT|long|2.0-3.5")
    reader.trades = some_trades(40)
    without = step(record, session, reader)

    sound = {f"{pair}|long|2.0-3.5" for pair in PAIRS[:2]}
    assert with_them.parameters is not None
    assert sound <= set(with_them.parameters.rows)
    assert history["trades_count"].tolist() == [1]
    assert without.assets[0].metadata["deleted"] == len(ODD_PAIRS)
    full = step(record, session, reader, full=True).parameters
    assert full is not None
    assert {row.pair for row in full.rows.values()} == {"*", *PAIRS[:2]}
    record.close()


def test_relearn_step_given_nothing_new_then_publishes_nothing() -> None:
    record, session, reader = FakeRecord(), a_session(), FakeReader("BOT1", some_trades(10))
    step(record, session, reader)
    revision = record.revision()

    report = step(record, session, reader)

    assert (report.changed, report.parameters, record.revision()) == (False, None, revision)


def test_relearn_step_given_a_horizon_that_ends_then_replays_and_learns_again() -> None:
    record, session = FakeRecord(), a_session()
    reader = FakeReader("BOT1", [*some_trades(10), a_trade(99, opened=NOW - timedelta(hours=26))])
    step(record, session, reader, now=NOW - timedelta(hours=20))

    report = step(record, session, reader)

    assert report.assets[1].metadata["written_complete"] == 1
    assert report.parameters is not None


def test_relearn_step_given_a_new_process_then_writes_no_replay_twice() -> None:
    record, reader = FakeRecord(), FakeReader("BOT1", some_trades(10))
    step(record, a_session(), reader)

    report = step(record, a_session(), reader)

    assert not [name for name in report.assets[1].metadata if name.startswith("written")]
    assert report.assets[2].metadata["is_full"] is True


def test_relearn_step_given_a_trade_vanished_then_forgets_it() -> None:
    record, session, reader = FakeRecord(), a_session(), FakeReader("BOT1", some_trades(12))
    step(record, session, reader)
    del reader.trades[11]

    report = step(record, session, reader)

    assert report.parameters is not None
    assert report.parameters.rows["*|*|*"].trades_count == 11


def test_relearn_step_given_others_published_then_tries_again() -> None:
    record = FakeRecord(conflicts=2)

    step(record, a_session(), FakeReader("BOT1", some_trades(10)))

    assert len(record.parameters.published) == 1


def test_relearn_step_given_others_publish_all_the_time_then_gives_up() -> None:
    with pytest.raises(StoreConflictError):
        step(FakeRecord(conflicts=9), a_session(), FakeReader("BOT1", some_trades(10)))


def test_relearn_step_given_a_pair_without_candles_then_says_so_and_goes_on() -> None:
    reader = FakeReader("BOT1", [a_trade(1, opened=START + timedelta(days=4), pair="ZZZ/USDT:USDT")])

    report = step(FakeRecord(), a_session(), reader)

    assert failed_checks(report) == ["candles_of_traded_pairs_are_readable"]
    assert report.assets[1].metadata["written_no_candles"] == 1
    assert report.parameters is not None


class LosingTrades(FakeTrades):
    """Synced trades, without one trade of every sync."""

    def upsert(self, trades: Sequence[Trade]) -> SyncOutcome:
        return super().upsert([trade for trade in trades if trade.trade_id != 99])


class BusyReader(FakeReader):
    """A bot that closes a trade after it was read, before it is counted."""

    def count_closed(self, *, closed_since: datetime | None) -> int:
        if not any(trade.trade_id == 99 for trade in self.trades):
            self.trades.append(a_trade(99, opened=NOW - timedelta(hours=3)))
        return super().count_closed(closed_since=closed_since)


def test_relearn_step_given_the_record_lost_a_trade_then_publishes_nothing_and_names_it() -> None:
    record, session, reader = FakeRecord(trades=LosingTrades), a_session(), FakeReader("BOT1", some_trades(40))
    step(record, session, reader)
    reader.trades += [a_trade(98, opened=NOW - timedelta(hours=4)), a_trade(99, opened=NOW - timedelta(hours=3))]

    with pytest.raises(LearningError, match=r"BOT1 paper \(source 42, record 41, missing 99, surplus none\)"):
        step(record, session, reader)

    assert len(record.parameters.published) == 1
    assert int(record.trades.counts()["trades"].sum()) == 41


def test_relearn_step_given_the_lost_trade_is_found_again_then_learns_what_waited() -> None:
    record, session, reader = FakeRecord(trades=LosingTrades), a_session(), FakeReader("BOT1", some_trades(40))
    reader.trades += [a_trade(98, opened=NOW - timedelta(hours=4)), a_trade(99, opened=NOW - timedelta(hours=3))]
    with pytest.raises(LearningError):
        step(record, session, reader)
    del reader.trades[-1]

    report = step(record, session, reader)

    assert report.parameters is not None
    assert report.parameters.rows["*|*|*"].trades_count == 41


def test_relearn_step_given_a_close_between_reading_and_counting_then_takes_it_in() -> None:
    reader = BusyReader("BOT1", some_trades(10))

    report = step(FakeRecord(), a_session(), reader)

    assert failed_checks(report) == []
    assert report.assets[0].metadata["inserted"] == 11
    assert report.parameters is not None
    assert report.parameters.rows["*|*|*"].trades_count == 11


class RefusedParameters(FakeParameters):
    """Parameters whose only publication breaks a bound, as its readers say."""

    def as_of(self, at: datetime) -> ParameterSet:
        if len(self.published) == 1:
            raise InvalidLearningError("row *|*|* of the parameters: stop_loss was 0.0", version=self.published[0][0].version)
        return super().as_of(at)


def test_relearn_step_given_parameters_in_force_that_are_refused_then_publishes_all_rows_in_their_place() -> None:
    record, reader, session = FakeRecord(parameters=RefusedParameters), FakeReader("BOT1", some_trades(10)), a_session()
    step(record, session, reader)
    record.recommendations.published.append(a_recommendation())  # another process published: what is in force is read again
    reader.trades.append(a_trade(77, opened=START + timedelta(days=9)))

    report = step(record, session, reader, now=NOW + timedelta(minutes=5))

    assert failed_checks(report) == []
    (first, _, _), (second, replaces, is_full) = record.parameters.published
    assert (replaces, is_full) == (first.version, True)
    assert set(second.rows) >= set(first.rows)
    assert not any(row.state is ParameterState.TRADE for row in second.rows.values())


def test_check_parameters_given_a_stop_beyond_liquidation_then_fails() -> None:
    record = FakeRecord()
    learned = step(record, a_session(), FakeReader("BOT1", some_trades(10))).parameters
    assert learned is not None
    wrong = replace(learned.rows["*|*|*"], stop_move=-0.6)

    checks = check_parameters(replace(learned, rows={"*|*|*": wrong}))

    assert [check.name for check in checks if not check.passed] == ["no_stop_is_zero_or_beyond_liquidation"]


def test_sync_given_a_trade_older_than_the_window_then_counts_find_it() -> None:
    record, reader = FakeRecord(), FakeReader("BOT1", some_trades(40))
    sync_trades(reader, record.trades, run_mode=RunMode.PAPER, overlap=timedelta(days=1))  # type: ignore[arg-type]
    reader.trades.append(a_trade(77, opened=START))

    synced = sync_trades(reader, record.trades, run_mode=RunMode.PAPER, overlap=timedelta(days=1))  # type: ignore[arg-type]

    assert (synced.is_full, synced.is_reconciled, synced.outcome.inserted) == (True, True, 1)


def full(record: FakeRecord, directory: Path, **files: Path) -> RelearnReport:
    source = TradeSource(reader=FakeReader("BOT1", some_trades(40)), run_mode=RunMode.PAPER)  # type: ignore[arg-type]
    moment = Moment(now=NOW, computed_at=NOW, parameters_life=timedelta(days=7), recommendations_life=timedelta(minutes=30))
    steps = LearningSteps(
        record=record,  # type: ignore[arg-type]
        session=a_session(),
        candles=CANDLES,  # type: ignore[arg-type]
        sources=lambda _: [source],
        reachable=lambda sources: sources,
        run_modes=[RunMode.PAPER],
        moment=lambda: moment,
        files=PublishedFiles(directory=directory, **files),
    )
    return steps.relearn_everything()


def test_relearn_everything_publishes_everything_and_writes_both_files(tmp_path: Path) -> None:
    record = FakeRecord()
    record.shadow_trades.stored = shadow_frame()

    report = full(record, tmp_path)

    written = json.loads((tmp_path / "meta_learner_recommendations.json").read_text())
    assert written["top_feeders"] == [3]
    assert written["version"] == record.recommendations.published[-1].version
    assert 0.25 <= written["suggested_position_size_multiplier"] <= 1.5
    rows = json.loads((tmp_path / "adaptive_params.json").read_text())["rows"]
    assert {row["leverage_bin"] for row in rows if row["pair"] == "*" and row["direction"] == "*"} >= {"1.0-2.0", "7.5-10.0"}
    assert [asset.asset for asset in report.assets][0::3] == ["regime_state", "adaptive_params"]
    assert [score.feeder_id for score in record.feeder_scores.newest if score.regime == "*" and score.n == 0] == ["F10"]


def test_relearn_everything_given_names_of_files_then_writes_those_and_no_others(tmp_path: Path) -> None:
    record = FakeRecord()
    record.shadow_trades.stored = shadow_frame()

    full(record, tmp_path, parameters=Path("a/parameters.json"), recommendations=tmp_path / "b.json")

    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")} == {"a/parameters.json", "b.json"}


def test_relearn_everything_given_no_evidence_then_probes_at_plain_size(tmp_path: Path) -> None:
    record = FakeRecord()
    record.shadow_trades.stored = shadow_frame().iloc[:0]

    made = full(record, tmp_path).recommendation

    assert made is not None
    assert set(made.tiers.values()) == {"probe"}
    assert made.suggested_position_size_multiplier == 1.0


def test_write_published_files_given_a_file_in_the_way_then_names_it(tmp_path: Path) -> None:
    record = FakeRecord()
    record.shadow_trades.stored = shadow_frame()
    made = full(record, tmp_path).recommendation
    (tmp_path / "blocked").write_text("")
    assert made is not None

    with pytest.raises(StoreError, match="blocked"):
        write_published_files(
            tmp_path / "blocked", parameters=record.parameters.as_of(NOW), scores=record.feeder_scores.newest, recommendation=made
        )


def test_recommend_given_nothing_published_then_refuses() -> None:
    with pytest.raises(LearningError):
        FakeRecord().parameters.as_of(NOW)


def test_relearn_step_given_another_process_published_in_full_then_rests_on_its_parents() -> None:
    record, reader = FakeRecord(), FakeReader("BOT1", some_trades(20))
    first, second = a_session(), a_session()
    step(record, first, reader)
    reader.trades = some_trades(40)
    step(record, second, reader)
    reader.trades.append(a_trade(99, opened=NOW - timedelta(hours=3), leverage=8.0))

    report = step(record, first, reader)

    assert report.parameters is not None
    hyper = first.learner.hyper
    assert hyper is not None
    assert hyper.parents["*", "*", "*"].n == 40


def test_relearn_step_given_a_close_after_now_then_learns_it_at_a_later_now_only() -> None:
    record, session = FakeRecord(), a_session()
    reader = FakeReader("BOT1", [*some_trades(10), a_trade(99, opened=NOW - timedelta(hours=3), leverage=8.0)])
    early = step(record, session, reader, now=NOW - timedelta(hours=2)).parameters

    later = step(record, session, reader).parameters

    assert early is not None
    assert later is not None
    assert early.rows["*|*|7.5-10.0"].trades_count == 0
    assert later.rows["*|*|7.5-10.0"].trades_count == 1
