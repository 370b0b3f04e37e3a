"""One suite for the trades, replays and shadow trades of every `PlatformRecord`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import StoreError
from bot3.ports.record import PlatformRecord
from bot3.trading.horizons import Horizon
from bot3.trading.trades import ExitReason, RunMode, Trade
from tests.conftest import NewStore
from tests.journals import OPENED, PAIR, a_closed_trade, minutes
from tests.learned import replays, shadows

PAPER = (RunMode.PAPER,)


@pytest.fixture
def url(new_store: NewStore) -> str:
    return new_store()


@pytest.fixture
def record(url: str) -> Iterator[PlatformRecord]:
    record = SqlRecord.open(url)
    yield record
    record.close()


def ids(frame: pd.DataFrame) -> list[int]:
    numbers: list[int] = frame["trade_id"].tolist()
    return numbers


def test_upsert_trades_given_new_changed_and_same_then_counts_and_stamps(record: PlatformRecord) -> None:
    first = record.trades.upsert([a_closed_trade(1), a_closed_trade(2)])
    second = record.trades.upsert([a_closed_trade(1), a_closed_trade(2, close_profit=0.5), a_closed_trade(3)])

    assert (first.inserted, first.updated, first.unchanged, first.revision) == (2, 0, 0, 1)
    assert (second.inserted, second.updated, second.unchanged, second.revision) == (1, 1, 1, 2)
    frame = record.trades.frame(as_of=None, run_modes=PAPER)
    assert frame["revision"].tolist() == [1, 2, 2]
    assert ids(record.trades.frame(as_of=None, run_modes=PAPER, since_revision=1)) == [2, 3]


def held(trade_id: int, *, opened_h: float, hours: float, **changes: object) -> Trade:
    """Return a foreign trade that was open for some hours from an hour on."""
    opened = OPENED + timedelta(hours=opened_h)
    return a_closed_trade(trade_id, bot="GRID7", open_date=opened, close_date=opened + timedelta(hours=hours), **changes)


def horizons(record: PlatformRecord) -> dict[int, str]:
    frame = record.trades.frame(as_of=None, run_modes=PAPER)
    return dict(zip(frame["trade_id"].tolist(), frame["horizon"].tolist(), strict=True))


def test_upsert_trades_given_no_horizon_then_it_is_that_of_the_tags_earlier_trades(record: PlatformRecord) -> None:
    trades = [
        held(1, opened_h=0, hours=2),
        held(2, opened_h=1, hours=2),  # when it was entered, none had closed
        held(3, opened_h=4, hours=60),
        held(4, opened_h=5, hours=1, enter_tag="other"),
        held(5, opened_h=70, hours=1),
        held(6, opened_h=70, hours=1, horizon=Horizon.WEEK),
    ]

    record.trades.upsert(trades[:3])
    record.trades.upsert(trades)

    assert horizons(record) == {1: "24h", 2: "24h", 3: "8h", 4: "24h", 5: "3d", 6: "7d"}


def test_upsert_trades_given_them_again_later_then_horizons_stay_and_nothing_changes(record: PlatformRecord) -> None:
    record.trades.upsert([held(number, opened_h=8 * number, hours=7) for number in range(4)])
    before = horizons(record)

    outcome = record.trades.upsert([held(number, opened_h=8 * number, hours=7) for number in range(4)])

    assert (outcome.unchanged, horizons(record)) == (4, before)
    assert before == {0: "24h", 1: "8h", 2: "8h", 3: "8h"}


def test_upsert_trades_given_the_same_twice_then_the_revision_stays(record: PlatformRecord) -> None:
    trades = [a_closed_trade(1, exit_reason=ExitReason.ROI)]
    record.trades.upsert(trades)
    before = record.trades.frame(as_of=None, run_modes=PAPER)

    outcome = record.trades.upsert([a_closed_trade(1, exit_reason="roi")])

    assert (outcome.unchanged, outcome.revision, record.revision()) == (1, 1, 1)
    pd.testing.assert_frame_equal(record.trades.frame(as_of=None, run_modes=PAPER), before)


def test_upsert_trades_given_an_open_one_then_refuses(record: PlatformRecord) -> None:
    still_open = a_closed_trade(1, is_open=True, close_date=None)

    with pytest.raises(StoreError, match="is open"):
        record.trades.upsert([still_open])


def test_trades_given_synced_ones_then_the_frame_is_the_law(record: PlatformRecord) -> None:
    trade = a_closed_trade(1, is_short=True, enter_tag="F07|c=0.7", leverage=3.5, min_rate=None)
    record.trades.upsert([trade])

    frame = record.trades.frame(as_of=None, run_modes=PAPER)

    own = [field.name for field in fields(Trade)]
    assert list(frame.columns) == [*own, "direction", "leverage_bin", "feeder_id", "known_at", "revision"]
    assert frame.loc[0, ["direction", "leverage_bin", "feeder_id"]].tolist() == ["short", "3.5-5.0", "F07"]
    assert {str(frame[name].dtype) for name in ("open_date", "close_date", "known_at")} == {"datetime64[us, UTC]"}
    assert frame.loc[0, "known_at"] == frame.loc[0, "close_date"] == pd.Timestamp(minutes(60))
    assert pd.isna(frame.loc[0, "min_rate"])
    assert frame["is_short"].dtype == bool


def test_trades_given_the_same_id_and_another_open_date_then_are_two(record: PlatformRecord) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(1, open_date=OPENED + timedelta(microseconds=1))])

    assert ids(record.trades.frame(as_of=None, run_modes=PAPER)) == [1, 1]


def test_trades_given_filters_then_obeys_each(record: PlatformRecord) -> None:
    record.trades.upsert(
        [
            a_closed_trade(1),
            a_closed_trade(2, run_mode=RunMode.BACKTEST),
            a_closed_trade(3, bot="BOT2", leverage=1.0),
            a_closed_trade(4, pair="ETH/USDT:USDT"),
        ]
    )

    assert ids(record.trades.frame(as_of=None, run_modes=(RunMode.BACKTEST, RunMode.PAPER), bots=["BOT1"])) == [1, 2, 4]
    assert ids(record.trades.frame(as_of=None, run_modes=PAPER, groups=[(PAIR, "long", "5.0-7.5"), (PAIR, "long", "1.0-2.0")])) == [1, 3]
    assert ids(record.trades.frame(as_of=None, run_modes=PAPER, groups=[])) == []


@given(closes=st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=8), at=st.integers(min_value=0, max_value=60))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_trades_given_as_of_then_never_shows_later_rows(record: PlatformRecord, closes: list[int], at: int) -> None:
    record.trades.upsert([a_closed_trade(number, close_date=minutes(close)) for number, close in enumerate(closes)])

    frame = record.trades.frame(as_of=minutes(at), run_modes=PAPER)

    assert bool((frame["known_at"] <= pd.Timestamp(minutes(at))).all())
    assert set(enumerate(closes)) >= {(number, closes[number]) for number in ids(frame) if number < len(closes)}
    assert {number for number, close in enumerate(closes) if close <= at} <= set(ids(frame))


def test_delete_trades_given_a_known_one_then_leaves_a_tombstone(record: PlatformRecord) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2)])

    outcome = record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(1, OPENED), (9, OPENED)])

    assert (outcome.deleted, outcome.revision) == (1, 2)
    assert record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=None) == {(2, OPENED)}
    assert ids(record.trades.frame(as_of=None, run_modes=PAPER)) == [2]
    assert record.trades.counts()[["trades", "deleted"]].to_numpy().tolist() == [[1, 1]]
    assert record.trades.upsert([a_closed_trade(1)]).updated == 1


def test_deletions_given_revisions_then_counts_the_later_ones_that_are_still_deleted(record: PlatformRecord) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2), a_closed_trade(3)])
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(1, OPENED)])
    record.trades.delete(bot="BOT1", run_mode=RunMode.PAPER, keys=[(2, OPENED)])

    def found(modes: Sequence[RunMode], since: int) -> int:
        return record.trades.deletions(run_modes=modes, since_revision=since)

    assert [found(PAPER, since) for since in (0, 1, 2, 3)] == [2, 2, 1, 0]
    assert found([RunMode.BACKTEST], 0) == 0
    record.trades.upsert([a_closed_trade(2)])
    assert [found(PAPER, since) for since in (0, 1, 2, 3)] == [1, 1, 0, 0]


def test_trade_keys_given_a_time_then_returns_later_closes(record: PlatformRecord) -> None:
    record.trades.upsert([a_closed_trade(number, close_date=minutes(number)) for number in (1, 2, 3)])

    assert record.trades.keys(bot="BOT1", run_mode=RunMode.PAPER, closed_since=minutes(2)) == {(2, OPENED), (3, OPENED)}


def test_counts_given_two_modes_then_has_a_row_each(record: PlatformRecord) -> None:
    record.trades.upsert([a_closed_trade(1), a_closed_trade(2, close_date=minutes(90)), a_closed_trade(1, run_mode=RunMode.BACKTEST)])

    counts = record.trades.counts()

    assert counts["run_mode"].tolist() == ["backtest", "paper"]
    assert counts.loc[1, "last_close"] == pd.Timestamp(minutes(90))
    assert counts["trades"].tolist() == [1, 2]


def test_save_replays_given_a_key_again_then_replaces_it(record: PlatformRecord) -> None:
    record.replays.save(replays([1, 2], state="pending", due_at=30))

    revision = record.replays.save(replays([1]))

    assert revision == record.revision() == 2
    frame = record.replays.frame(as_of=None, run_modes=PAPER, groups=[(PAIR, "long", "5.0-7.5")])
    assert frame["state"].tolist() == ["complete", "pending"]
    assert ids(record.replays.frame(as_of=minutes(1), run_modes=PAPER)) == [1]
    assert frame["sigma"].isna().tolist() == [False, True]


def test_next_due_at_given_pending_replays_then_is_the_earliest_of_them(record: PlatformRecord) -> None:
    assert record.replays.next_due_at() is None
    record.replays.save(replays([1], state="pending", due_at=30))
    record.replays.save(replays([2], state="pending", due_at=40))
    record.replays.save(replays([3]))

    assert record.replays.next_due_at() == minutes(30)


def test_replay_counts_given_replays_of_two_states_then_counts_each_of_one_bot(record: PlatformRecord) -> None:
    record.replays.save(replays([1, 2]))
    record.replays.save(replays([3], state="left_out").assign(reason="forced"))
    record.replays.save(replays([4]).assign(bot="BOT2"))

    counts = record.replays.counts(bot="BOT1", run_modes=tuple(RunMode))

    assert list(zip(counts["state"], counts["replays"].tolist(), strict=True)) == [("complete", 2), ("left_out", 1)]
    assert counts["reason"].tolist()[1] == "forced"
    assert record.replays.counts(bot="BOT1", run_modes=[RunMode.LIVE]).empty


def test_save_replays_given_a_column_is_missing_then_names_it(record: PlatformRecord) -> None:
    with pytest.raises(StoreError, match="lacks the column sigma"):
        record.replays.save(replays([1]).drop(columns="sigma"))
    assert record.revision() == 0


def test_save_shadow_trades_given_a_key_again_then_leaves_it(record: PlatformRecord) -> None:
    assert record.shadow_trades.save(shadows([1, 2])) == 1
    assert record.shadow_trades.save(shadows([2], close_profit=9.0)) == 1
    assert record.shadow_trades.save(shadows([2, 3], close_profit=9.0)) == 2

    frame = record.shadow_trades.frame(as_of=None, run_modes=[RunMode.BACKTEST])

    assert frame["close_profit"].tolist() == [0.01, 0.01, 9.0]
    pd.testing.assert_frame_equal(frame.head(2), shadows([1, 2]), check_dtype=False)


def test_shadow_trades_given_as_of_then_never_shows_later_rows(record: PlatformRecord) -> None:
    record.shadow_trades.save(shadows([1, 2, 3]))

    assert len(record.shadow_trades.frame(as_of=minutes(7), run_modes=[RunMode.BACKTEST])) == 2
    assert len(record.shadow_trades.frame(as_of=None, run_modes=PAPER)) == 0
    assert record.shadow_trades.last_closes(run_mode=RunMode.BACKTEST) == {("F01", PAIR): minutes(8)}


def test_change_token_given_a_commit_elsewhere_then_differs(record: PlatformRecord, url: str) -> None:
    other = SqlRecord.open(url, read_only=True)
    before = other.change_token()
    assert other.change_token() == before

    record.trades.upsert([a_closed_trade(1)])

    assert other.change_token() != before
    assert (other.store_id, other.revision()) == (record.store_id, 1)
    other.close()


def test_revision_given_writers_at_once_then_each_has_its_own(url: str) -> None:
    def write(writer: int) -> list[int]:
        record = SqlRecord.open(url, busy_timeout_s=30.0)
        revisions = [record.trades.upsert([a_closed_trade(10 * writer + number)]).revision for number in range(5)]
        record.close()
        return revisions

    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(write, range(4)))

    assert sorted(number for own in revisions for number in own) == list(range(1, 21))
    assert all(own == sorted(own) for own in revisions)
