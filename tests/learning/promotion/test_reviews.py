from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.parameters.rows import state_of
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z, Posterior
from bot3.learning.promotion.e_process import NOMINAL
from bot3.learning.promotion.permissions import BETTORS, EnteredTrades, GateLedger, Node, Permission
from bot3.learning.promotion.reviews import LONGEST_HORIZON, BettingGate, last_day_over, row_in_force
from bot3.learning.replay.groups import Group
from bot3.market.instants import DAY_US
from bot3.trading.parameters import ANY, ParameterSet, ParameterState
from tests.learned import a_row, a_set

PAIR, OTHER = "AAA/USDT:USDT", "BBB/USDT:USDT"
CELL: Group = (PAIR, "long", "2.0-3.5")
SURE = GateLedger(day=10, log_wealth={(PAIR, "long"): (20.0,) * BETTORS, (PAIR, "short"): (0.0,) * BETTORS})
GATE = BettingGate()
groups = st.tuples(st.sampled_from([PAIR, OTHER, ANY]), st.sampled_from(["long", "short", ANY]), st.sampled_from(["2.0-3.5", ANY]))


def published(**changes: float) -> ParameterSet:
    told = {"expectancy": 0.002, "lower_bound": 0.0, "upper_bound": 0.004, **changes}
    return a_set("v1", a_row(), a_row(pair=PAIR, direction="long", leverage_bin=ANY, **told))


def entered(cells: Sequence[Group], net: float, *, worst: float = 0.02) -> EnteredTrades:
    return EnteredTrades(cells=cells, net=np.full(len(cells), net), worst=np.full(len(cells), worst))


STARTED = GATE.join(GATE.start(day=10), [CELL])


def opened(ledger: GateLedger) -> frozenset[Node]:
    return GATE.opened(ledger, horizon=LONGEST_HORIZON)


def test_folded_given_a_gain_then_its_node_wins_on_the_stream_of_the_day_by_the_bets_laid_before_it() -> None:
    after = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.01), published=published())

    deviation = 0.004 / (2.0 * INTERVAL_Z)
    bet = 0.002 / (0.01**2 + deviation**2)  # a stop of 1 sigma and a target of 1.2: their product is above 1
    wins = np.log1p(bet * 0.01 * np.array([1.0, 0.5, 0.25])).tolist()
    assert after.log_wealth[PAIR, "long"] == pytest.approx([0.0] * 3 + wins)
    assert after.log_wealth[PAIR, "short"] == (0.0,) * BETTORS
    assert after.day == 11


def test_folded_given_near_levels_then_bets_on_the_variance_they_leave() -> None:
    levels = a_row(pair=PAIR, direction="long", leverage_bin=ANY, stop_sigma=-0.5, take_profit_sigma=0.4, expectancy=0.002)

    after = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.001, worst=0.005), published=a_set("v1", a_row(), levels))

    deviation = (levels.upper_bound - levels.lower_bound) / (2.0 * INTERVAL_Z)
    assert after.log_wealth[PAIR, "long"][3] == pytest.approx(np.log1p(0.002 / (0.2 * 0.01**2 + deviation**2) * 0.001))


def test_folded_given_more_trades_than_can_be_paid_for_then_bets_on_the_first_alone() -> None:
    after = GATE.fold(STARTED, day=11, trades=entered([CELL] * 50, -0.02), published=published())

    assert after.log_wealth[PAIR, "long"][3:] == pytest.approx([np.log(0.1)] * 3)


def test_folded_given_no_gain_was_expected_then_no_bet_is_laid() -> None:
    told = published(expectancy=-0.001, lower_bound=-0.003, upper_bound=0.001)

    after = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.5), published=told)

    assert after.log_wealth[PAIR, "long"] == (0.0,) * BETTORS


def test_folded_given_a_node_that_has_not_joined_then_it_lays_no_bet() -> None:
    stranger: Group = (OTHER, "long", "2.0-3.5")

    after = GATE.fold(STARTED, day=11, trades=entered([stranger, CELL], 0.01), published=published())

    assert after == GATE.fold(STARTED, day=11, trades=entered([CELL], 0.01), published=published())


@pytest.mark.parametrize("day", [9, 10, 12])
def test_folded_given_a_day_that_is_not_the_next_then_refuses(day: int) -> None:
    with pytest.raises(LearningError, match="after day 10"):
        GATE.fold(SURE, day=day, trades=entered([], 0.0), published=published())


def test_row_in_force_given_no_row_of_the_cell_then_is_what_a_trade_would_find() -> None:
    found = [row_in_force(published(), cell).key for cell in (CELL, (OTHER, "short", "1.0-2.0"))]

    assert found == [f"{PAIR}|long|*", "*|*|*"]


def test_last_day_over_given_the_last_horizon_ends_then_counts_the_day() -> None:
    due = DAY_US + 300_000_000
    end = 101 * DAY_US + due

    assert (last_day_over(end - 1, due_after_us=due), last_day_over(end, due_after_us=due)) == (99, 100)


def test_joined_given_a_new_pair_then_both_directions_count_and_wealth_stays() -> None:
    ledger = GATE.join(SURE, [(OTHER, "long", "2.0-3.5"), CELL])

    assert set(ledger.log_wealth) == {(PAIR, "long"), (PAIR, "short"), (OTHER, "long"), (OTHER, "short")}
    assert ledger.log_wealth[PAIR, "long"] == SURE.log_wealth[PAIR, "long"]


def test_joined_given_others_have_lost_then_begins_with_what_they_have_left() -> None:
    poor = GateLedger(day=10, log_wealth={(PAIR, "long"): (-1.0,) * 3 + (2.0,) * 3, (PAIR, "short"): (-1.0,) * 3 + (2.0,) * 3})

    ledger = GATE.join(poor, [(OTHER, "long", "2.0-3.5")])

    assert ledger.log_wealth[OTHER, "long"] == pytest.approx((-1.0,) * 3 + (0.0,) * 3)


def test_opened_by_given_more_nodes_then_each_needs_more() -> None:
    wealth = float(np.log(2 * 2 / NOMINAL)) + 1e-9
    few = GateLedger(day=1, log_wealth={(PAIR, "long"): (wealth,) * BETTORS, (PAIR, "short"): (0.0,) * BETTORS})

    assert opened(few) == {(PAIR, "long")}
    assert opened(GATE.join(few, [(OTHER, "long", "2.0-3.5")])) == frozenset()
    assert opened(GateLedger(day=1, log_wealth={})) == frozenset()


@given(
    group=groups,
    raised=st.frozensets(groups),
    opened=st.frozensets(st.tuples(st.sampled_from([PAIR, OTHER]), st.sampled_from(["long", "short"]))),
    day=st.none() | st.integers(0, 30_000),
    told=st.tuples(st.floats(-0.01, 0.01), st.floats(1e-6, 0.01)),
)
def test_a_row_never_trades_without_an_open_node_and_a_lower_bound_above_0(
    group: Group, raised: frozenset[Group], opened: frozenset[tuple[str, str]], day: int | None, told: tuple[float, float]
) -> None:
    permission, posterior = Permission(raised=raised, opened=opened, day=day), Posterior(mean=told[0], deviation=told[1])

    state = state_of(posterior, n_eff=50.0, may_trade=permission.allows(group))

    has_node = ANY not in group[:2]
    may = has_node and (group in raised if day is None else group[:2] in opened)
    assert (state is ParameterState.TRADE) == (may and posterior.lower > 0.0)


def test_opened_given_a_horizon_over_a_day_then_opens_nothing_for_days_would_overlap() -> None:
    assert opened(SURE) == {(PAIR, "long")}
    assert GATE.opened(SURE, horizon=LONGEST_HORIZON + timedelta(minutes=5)) == frozenset()
