"""Daily reviews from trades in a record to the states of published rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot3.adapters.sql.engine import sqlite_url
from bot3.adapters.sql.record.record import SqlRecord
from bot3.errors import InvalidLearningError
from bot3.learning.parameters.learner import LearningSettings, ParameterLearner
from bot3.learning.promotion.permissions import GateLedger, Node, NodeAccount, Permission
from bot3.learning.promotion.reviews import AccountGate
from bot3.learning.replay.groups import group_of_key
from bot3.learning.replay.paths import ReplayCosts
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ParameterSet, ParameterState
from bot3.trading.trades import RunMode, Trade
from bot3.usecases.learning.learner_session import LearnerSession
from bot3.usecases.learning.relearn import RelearnReport, relearn_step
from bot3.usecases.learning.review_gates import review_gates
from tests.learning.worlds import PAIRS, START
from tests.usecases.fakes import FakeCandles, FakeGates, FakeRecord

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FREE = ReplayCosts(taker_fee=0.0, maker_fee=0.0, slippage=0.0, stop_slippage=0.0)
NO_FUNDING = pd.DataFrame({"time": pd.Series([], dtype="datetime64[us, UTC]"), "funding_rate": pd.Series([], dtype="float64")})
FIRST_TRADES = timedelta(days=3)
LEVERAGES = (1.5, 3.0, 6.0)
GATE = AccountGate()
RICH = NodeAccount(start=1.0, number=1, cash=(1e5,) * 3)


def opened_by(ledger: GateLedger) -> frozenset[Node]:
    return GATE.opened(ledger)


def walk(*, seed: int, days: int, drift: float) -> pd.DataFrame:
    """Return candles of a walk whose rate is a martingale but for `drift`, a ratio of the price a day."""
    rng = np.random.default_rng(seed)
    n, sd = 288 * days, 0.002
    close = 100.0 * np.exp(np.cumsum(rng.normal(drift / 288.0 - sd**2 / 2.0, sd, n)))
    opened = np.concatenate(([100.0], close[:-1]))
    times = pd.Series(pd.date_range(START, periods=n, freq="5min")).astype("datetime64[us, UTC]")
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return pd.DataFrame({"open_time": times, "open": opened, "high": high, "low": low, "close": close, "volume": 1.0})


def market(*, days: int, drift: float, seed: int = 0) -> FakeCandles:
    return FakeCandles({pair: walk(seed=seed + place, days=days, drift=drift) for place, pair in enumerate(PAIRS)}, NO_FUNDING)


def trades_on(candles: FakeCandles, *, days: int, each_day: int, seed: int = 7) -> list[Trade]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range((days - 5) * each_day):
        pair = PAIRS[number % 2]
        opened = START + FIRST_TRADES + timedelta(days=number // each_day, minutes=5 * int(rng.integers(288)), seconds=4)
        place = (opened - START) // timedelta(minutes=5)
        rate = float(candles.frames[pair]["close"].iloc[place])
        made.append(a_trade(number, pair=pair, opened=opened, rate=rate, leverage=LEVERAGES[int(rng.integers(3))], is_short=number % 4 > 1))
    return made


def a_trade(number: int, *, pair: str, opened: datetime, rate: float, leverage: float, is_short: bool) -> Trade:
    return Trade(
        bot="BOT1",
        run_mode=RunMode.PAPER,
        account="paper",
        trade_id=number,
        pair=pair,
        is_short=is_short,
        leverage=leverage,
        open_date=opened,
        open_rate=rate,
        amount=1.0,
        stake_amount=100.0,
        fee_open=0.0,
        fee_close=0.0,
        enter_tag="F01",
        is_open=False,
        close_date=opened + timedelta(hours=2),
        close_rate=rate,
        close_profit=0.0,
        close_profit_abs=0.0,
        exit_reason="roi",
        horizon=Horizon.DAY,
    )


def a_session(*, horizon: timedelta = timedelta(hours=24)) -> LearnerSession:
    return LearnerSession(ParameterLearner(LearningSettings(costs=FREE, horizon=horizon)))


def learn(record: FakeRecord, session: LearnerSession, candles: FakeCandles, *, now: datetime, full: bool = False) -> ParameterSet | None:
    return relearned(record, session, candles, now=now, full=full).parameters


def relearned(record: FakeRecord, session: LearnerSession, candles: FakeCandles, *, now: datetime, full: bool = False) -> RelearnReport:
    return relearn_step(
        record,  # type: ignore[arg-type]
        session,
        candles,  # type: ignore[arg-type]
        sources=[],
        run_modes=[RunMode.PAPER],
        now=now,
        computed_at=now,
        life=timedelta(days=7),
        full=full,
    )


def midnights(days: int) -> Sequence[datetime]:
    return [START + timedelta(days=day, minutes=10) for day in range(3, days + 1)]


class Studied:
    """A record after reviews on all midnights of a market without costs, and the session that made it."""

    def __init__(self, *, days: int, drift: float, seed: int = 0, horizon: timedelta = timedelta(hours=24)) -> None:
        self.candles, self.record = market(days=days + 3, drift=drift, seed=seed), FakeRecord()
        self.session = a_session(horizon=horizon)
        self.record.trades.upsert(trades_on(self.candles, days=days, each_day=6))
        for now in midnights(days):
            self.learn(now)
        self.now = midnights(days)[-1]

    def learn(self, now: datetime, *, full: bool = False) -> ParameterSet | None:
        return learn(self.record, self.session, self.candles, now=now, full=full)

    @property
    def trading(self) -> set[str]:
        """Return the rows that were ever allowed to trade."""
        rows = (row for published, _, _ in self.record.parameters.published for row in published.rows.values())
        return {row.key for row in rows if row.state is ParameterState.TRADE}

    @property
    def looked_good(self) -> set[str]:
        """Return the rows whose lower bound was ever above 0."""
        rows = (row for published, _, _ in self.record.parameters.published for row in published.rows.values())
        return {row.key for row in rows if row.lower_bound > 0.0}


@cache
def rising() -> Studied:
    return Studied(days=70, drift=0.03)


def test_daily_reviews_given_a_market_without_edge_then_raise_no_row_though_bounds_were_above_0() -> None:
    studied = Studied(days=60, drift=0.0)

    assert len(studied.record.gates.ledgers) == 58
    assert len(studied.looked_good) > 1
    assert studied.trading == set()


@pytest.mark.slow
def test_daily_reviews_given_four_months_without_edge_then_raise_no_row_though_bounds_were_above_0() -> None:
    studied = Studied(days=120, drift=0.0, seed=11)

    assert len(studied.record.gates.ledgers) == 118
    assert len(studied.looked_good) > 1
    assert studied.trading == set()


def test_daily_reviews_given_a_rising_market_then_raise_longs_alone() -> None:
    trading = rising().trading

    assert f"{PAIRS[0]}|long|2.0-3.5" in trading
    assert {key.split("|")[1] for key in trading} == {"long"}
    assert not any(key.startswith("*") for key in trading)


def test_published_rows_given_any_review_then_trade_only_by_an_open_node_and_a_lower_bound_above_0() -> None:
    record = rising().record
    ledgers = dict(record.gates.ledgers)

    for published, _, _ in record.parameters.published:
        opened = opened_by(ledgers[published.known_at])
        for row in published.rows.values():
            assert (row.state is ParameterState.TRADE) == ((row.pair, row.direction) in opened and row.lower_bound > 0.0)


@pytest.mark.slow
def test_daily_reviews_given_a_horizon_over_a_day_then_raise_longs_too() -> None:
    studied = Studied(days=70, drift=0.03, horizon=timedelta(hours=36))

    assert {side for _, side in opened_by(studied.record.gates.ledgers[-1][1])} == {"long"}
    assert {key.split("|")[1] for key in studied.trading} == {"long"}


def late_trade(candles: FakeCandles, number: int, *, opened: datetime) -> Trade:
    rate = float(candles.frames[PAIRS[0]]["close"].iloc[(opened - START) // timedelta(minutes=5)])
    return a_trade(number, pair=PAIRS[0], opened=opened, rate=rate, leverage=9.0, is_short=False)


def test_learn_given_closes_by_hand_between_reviews_then_withdraws_the_permission_at_once() -> None:
    studied = deepcopy(rising())
    traded = {key for key, row in studied.record.parameters.as_of(studied.now).rows.items() if row.state is ParameterState.TRADE}
    moments = [studied.now.replace(minute=0) - timedelta(hours=3, minutes=5 * k) for k in range(12)]
    by_hand = [replace(late_trade(studied.candles, 9_000 + k, opened=at), exit_reason="force_exit") for k, at in enumerate(moments)]
    studied.record.trades.upsert(by_hand)

    between = studied.learn(studied.now + timedelta(minutes=5))

    longs = {key for key in traded if key.startswith(f"{PAIRS[0]}|long")}
    assert between is not None
    assert longs
    assert {between.rows[key].state for key in longs} == {ParameterState.PROBE}


def test_learn_given_a_new_bin_of_an_open_node_then_raises_it_at_the_next_review_and_not_before() -> None:
    studied = deepcopy(rising())
    moments = [studied.now.replace(minute=0) - timedelta(days=2, hours=5 * k) for k in range(150)]
    late = [late_trade(studied.candles, 9_000 + k, opened=opened) for k, opened in enumerate(moments)]
    studied.record.trades.upsert(late)
    key = f"{PAIRS[0]}|long|7.5-10.0"

    between = studied.learn(studied.now + timedelta(minutes=5))
    in_full = studied.learn(studied.now + timedelta(minutes=10), full=True)
    reviewed = studied.learn(studied.now + timedelta(days=1))

    assert between is not None
    assert in_full is not None
    assert reviewed is not None
    assert min(row.lower_bound for row in (between.rows[key], in_full.rows[key])) > 0.0
    assert [learned.rows[key].state.value for learned in (between, in_full, reviewed)] == ["probe", "probe", "trade"]


def test_learn_given_a_close_between_reviews_then_its_row_goes_on_only_above_0() -> None:
    studied = deepcopy(rising())
    before = studied.record.parameters.as_of(studied.now).rows
    cell, short = f"{PAIRS[0]}|long|2.0-3.5", f"{PAIRS[0]}|short|2.0-3.5"
    studied.session.permission = Permission(raised=frozenset(group_of_key(key) for key in before))
    studied.session.touch({group_of_key(cell), group_of_key(short)})

    learned = studied.learn(studied.now + timedelta(minutes=5))

    assert learned is not None
    assert (learned.rows[cell].state, learned.rows[cell].lower_bound > 0.0) == (ParameterState.TRADE, True)
    assert (learned.rows[short].state is ParameterState.TRADE, learned.rows[short].lower_bound > 0.0) == (False, False)
    assert group_of_key(short) not in studied.session.permission.raised


def test_review_given_levels_published_within_the_day_then_judges_it_by_those_before_it() -> None:
    studied = Studied(days=12, drift=0.03)
    day = START + timedelta(days=8)
    studied.session.ledger = GATE.join(GateLedger(day=(day - EPOCH).days - 1), studied.session.learner.cells())
    before = [one for one in studied.record.parameters.published if one[0].known_at <= day]

    known = [review_of(studied, [*before, hopeful(before[-1][0], known_at=at)]) for at in (day, day + timedelta(microseconds=1))]

    assert known[1] == review_of(studied, before)
    assert known[0] != known[1]


def test_review_given_days_before_anything_was_published_then_skips_them() -> None:
    studied = Studied(days=12, drift=0.03)
    studied.session.ledger = GateLedger(day=(START - EPOCH).days)

    ledger = review_of(studied, [])

    assert ledger is not None
    assert ledger.day == (START - EPOCH).days + 8
    assert {account.cash for account in ledger.accounts.values()} == {(0.5,) * 3}


def test_learn_given_rows_that_trade_by_an_older_rule_then_a_review_takes_it_away() -> None:
    studied = Studied(days=20, drift=0.0)
    record = studied.record
    newest = record.parameters.as_of(studied.now)
    rows = {key: replace(row, state=ParameterState.TRADE) for key, row in newest.rows.items()}
    record.parameters.published, record.gates.ledgers = [(replace(newest, rows=rows), None, True)], []

    learned = learn(record, a_session(), studied.candles, now=studied.now + timedelta(hours=1))

    assert learned is not None
    assert set(learned.rows) == set(rows)
    assert {row.state for row in learned.rows.values()} == {ParameterState.PROBE}
    assert len(record.gates.ledgers) == 1


@pytest.mark.parametrize("version", [None, "of wrong replays"])
def test_learn_given_a_ledger_of_other_replays_then_folds_every_day_again(version: str | None) -> None:
    studied = deepcopy(rising())
    record, right = studied.record, studied.record.gates.ledgers[-1][1]
    record.gates.ledgers = [
        (known_at, replace(ledger, replay_version=version, accounts=dict.fromkeys(ledger.accounts, RICH)))
        for known_at, ledger in record.gates.ledgers
    ]

    report = relearned(record, a_session(), studied.candles, now=studied.now + timedelta(hours=1))

    again, first = record.gates.ledgers[-1][1], record.gates.first_reviewed_day() + 1
    (learned,) = (asset for asset in report.assets if asset.asset == "adaptive_params")
    assert learned.metadata["days_counted_again_from"] == (EPOCH + timedelta(days=first)).date().isoformat()
    assert (again.day, again.replay_version) == (right.day, right.replay_version)
    assert {node: pytest.approx(of.cash) for node, of in again.accounts.items()} == {node: of.cash for node, of in right.accounts.items()}


class RefusedGates(FakeGates):
    """Reviews whose rows were changed, so that they are refused."""

    def as_of(self, at: datetime) -> GateLedger:
        raise InvalidLearningError(f"the evidence in force at {at.isoformat()} is no number")


def test_learn_given_a_ledger_that_is_refused_then_folds_every_day_again() -> None:
    studied = deepcopy(rising())
    record, refused = studied.record, RefusedGates()
    refused.ledgers, record.gates = record.gates.ledgers, refused
    right = record.gates.ledgers[-1][1]

    learn(record, a_session(), studied.candles, now=studied.now + timedelta(hours=1))

    again = record.gates.ledgers[-1][1]
    assert again is not right
    assert again.day == right.day
    assert {node: pytest.approx(of.cash) for node, of in again.accounts.items()} == {node: of.cash for node, of in right.accounts.items()}


class RefusedParameters:
    """Parameters whose published rows were changed, so that they are refused."""

    def as_of(self, at: datetime) -> ParameterSet:
        raise InvalidLearningError(f"stop_sigma is positive in the row of {at.isoformat()}")


def test_review_given_a_day_whose_publication_is_refused_then_skips_it_and_logs_why() -> None:
    studied = rising()
    ledger = next(ledger for _, ledger in studied.record.gates.ledgers if ledger.accounts)

    with capture_logs() as logs:
        review_gates(RefusedParameters(), studied.session.learner, GATE, ledger, now=studied.now)

    skipped = [entry for entry in logs if entry["event"] == "day_skipped_by_gate"]
    assert len(skipped) == studied.record.gates.ledgers[-1][1].day - ledger.day
    assert all("stop_sigma is positive" in entry["why"] for entry in skipped)


def test_learn_given_a_ledger_of_its_own_replays_then_folds_no_day_again() -> None:
    studied = deepcopy(rising())
    before = list(studied.record.gates.ledgers)

    learn(studied.record, a_session(), studied.candles, now=studied.now + timedelta(hours=1))

    assert studied.record.gates.ledgers == before
    assert before[-1][1].replay_version == LearningSettings(costs=FREE).digest


def review_of(studied: Studied, published: list[tuple[ParameterSet, str | None, bool]]) -> GateLedger | None:
    record = FakeRecord()
    record.parameters.published = published
    now = START + timedelta(days=10, minutes=10)
    return review_gates(record.parameters, studied.session.learner, GATE, studied.session.ledger, now=now)


def hopeful(parameters: ParameterSet, *, known_at: datetime) -> tuple[ParameterSet, str | None, bool]:
    told = {"expectancy": 0.02, "lower_bound": 0.01, "upper_bound": 0.03}
    rows = {key: replace(row, **told) for key, row in parameters.rows.items()}  # type: ignore[arg-type]
    return replace(parameters, rows=rows, known_at=known_at), None, True


class KilledError(Exception):
    """The process ended."""


@dataclass
class Deaths:
    """Deaths of a process at some of its writes, before or after they are committed."""

    planned: dict[int, bool]
    writes: int = 0

    def around(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*args: Any, **named: Any) -> Any:
            self.writes += 1
            is_committed = self.planned.get(self.writes)
            done = None if is_committed is False else write(*args, **named)
            if is_committed is not None:
                raise KilledError
            return done

        return written


@dataclass
class Mortal:
    """A record, or one of its repositories, whose process dies at some of its writes."""

    real: Any
    deaths: Deaths

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        if name in {"replays", "parameters"}:
            return Mortal(found, self.deaths)
        return self.deaths.around(found) if name in {"save", "publish"} else found


def lived_through(path: Path, candles: FakeCandles, *, deaths: dict[int, bool]) -> tuple[GateLedger, int]:
    """Return the ledger after ten days of steps, each repeated by a new process until one survives, and the number of reviews."""
    record = SqlRecord.open(sqlite_url(path))
    record.trades.upsert(trades_on(candles, days=11, each_day=6))
    mortal, session = Mortal(record, Deaths(deaths)), a_session()
    for now in midnights(12):
        while True:
            try:
                learn(cast(FakeRecord, mortal), session, candles, now=now)
            except KilledError:
                session = a_session()
            else:
                break
    ledger = record.gates.as_of(midnights(12)[-1])
    days = [record.gates.as_of(now).day for now in midnights(12)]
    record.close()
    return ledger, len(set(days))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deaths=st.dictionaries(st.integers(1, 24), st.booleans(), min_size=1, max_size=8))
@pytest.mark.slow
def test_daily_reviews_given_kills_before_and_after_any_write_then_fold_every_day_once(tmp_path: Path, deaths: dict[int, bool]) -> None:
    candles = market(days=15, drift=0.03)

    with TemporaryDirectory(dir=tmp_path) as directory:
        whole = lived_through(Path(directory) / "whole.sqlite", candles, deaths={})
        killed = lived_through(Path(directory) / "killed.sqlite", candles, deaths=deaths)

    assert killed == whole
    assert max(max(of.cash) for of in whole[0].accounts.values()) > 0.5
