from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.errors import LearningError
from bot3.learning.parameters.rows import state_of
from bot3.learning.pooling.empirical_bayes import INTERVAL_Z, Posterior
from bot3.learning.promotion.closed_testing import NOMINAL
from bot3.learning.promotion.permissions import EnteredTrades, GateLedger, NodeAccount, Permission
from bot3.learning.promotion.reviews import AccountGate, last_day_over, progress, row_in_force, shares_on
from bot3.learning.replay.groups import Group
from bot3.market.instants import DAY_US, HOUR_US
from bot3.trading.parameters import ANY, ParameterSet, ParameterState
from tests.learned import a_row, a_set

PAIR, OTHER = "AAA/USDT:USDT", "BBB/USDT:USDT"
CELL: Group = (PAIR, "long", "2.0-3.5")
SURE = GateLedger(
    day=10,
    accounts={
        (PAIR, "long"): NodeAccount(start=1.0, number=1, cash=(1e6, 1e5, 1e4)),
        (PAIR, "short"): NodeAccount(start=1.0, number=1, cash=(0.5,) * 3),
    },
)
GATE = AccountGate()
groups = st.tuples(st.sampled_from([PAIR, OTHER, ANY]), st.sampled_from(["long", "short", ANY]), st.sampled_from(["2.0-3.5", ANY]))


def published(**changes: float) -> ParameterSet:
    told = {"expectancy": 0.002, "lower_bound": 0.0, "upper_bound": 0.004, **changes}
    return a_set("v1", a_row(), a_row(pair=PAIR, direction="long", leverage_bin=ANY, **told))


def entered(cells: Sequence[Group], net: float, *, worst: float = 0.02, day: int = 11, hours: float = 2.0) -> EnteredTrades:
    """Return trades that entered on a day, a second apart from noon on, and were open for some hours."""
    opened_us = day * DAY_US + DAY_US // 2 + 1_000_000 * np.arange(len(cells))
    return EnteredTrades(
        cells=cells,
        opened_us=opened_us,
        ended_us=opened_us + int(hours * HOUR_US),
        net=np.full(len(cells), net),
        worst=np.full(len(cells), worst),
    )


NODE, SHORT = (PAIR, "long"), (PAIR, "short")
STARTED = GATE.join(GATE.start(day=10), [CELL])
HALF = (0.5,) * 3
DEVIATION = 0.004 / (2.0 * INTERVAL_Z)
SHARE = 0.002 / (0.01**2 + DEVIATION**2)
"""Asked share of `published`: a stop of 1 sigma and a target of 1.2 have a product above 1."""


def account(*cash: float, start: float = 1.0) -> NodeAccount:
    return NodeAccount(start=start, number=1, cash=cash or HALF)


def test_join_given_the_first_nodes_then_half_of_their_wealth_is_for_later_accounts_and_the_evidence_is_1() -> None:
    assert STARTED.accounts == {NODE: account(), SHORT: account()}
    assert {of.log_evidence for of in progress(STARTED).values()} == {0.0}


def test_fold_given_a_gain_then_its_node_wins_by_the_shares_asked_before_it() -> None:
    after = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.01), published=published())

    assert after.accounts[NODE].cash == pytest.approx([0.5 * (1.0 + scale * SHARE * 0.01) for scale in (2.0, 1.0, 0.5)])
    assert after.accounts[SHORT] == account()
    assert (after.day, after.open_bets) == (11, ())


def test_fold_given_a_trade_over_days_then_its_worst_loss_is_reserved_until_it_ends() -> None:
    opened = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.03, hours=40), published=published())
    waiting = GATE.skip(opened, day=12)
    ended = GATE.skip(waiting, day=13)

    stake = 0.5 * SHARE
    bound = (min(2.0 * stake, 0.45 / 0.02), stake, 0.5 * stake)
    assert [bet.stakes for bet in opened.open_bets] == [pytest.approx(bound)]
    assert opened.accounts[NODE].cash == HALF
    assert progress(opened)[NODE].log_evidence == pytest.approx(np.log(1.0 - 0.02 * np.mean(bound)))
    assert waiting == replace(opened, day=12)
    assert ended.open_bets == ()
    assert ended.accounts[NODE].cash == pytest.approx([0.5 + money * 0.03 for money in bound])


def test_fold_given_near_levels_then_asks_by_the_variance_they_leave() -> None:
    levels = a_row(pair=PAIR, direction="long", leverage_bin=ANY, stop_sigma=-0.5, take_profit_sigma=0.4, expectancy=0.002)

    after = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.001, worst=0.005), published=a_set("v1", a_row(), levels))

    deviation = (levels.upper_bound - levels.lower_bound) / (2.0 * INTERVAL_Z)
    assert after.accounts[NODE].cash[1] == pytest.approx(0.5 * (1.0 + 0.002 / (0.2 * 0.01**2 + deviation**2) * 0.001))


def test_fold_given_more_trades_than_can_be_paid_for_then_bets_on_the_first_alone() -> None:
    after = GATE.fold(STARTED, day=11, trades=entered([CELL] * 50, -0.02), published=published())

    assert after.accounts[NODE].cash == pytest.approx([0.05] * 3)


def test_fold_given_no_gain_was_expected_then_no_bet_is_made() -> None:
    told = published(expectancy=-0.001, lower_bound=-0.003, upper_bound=0.001)

    after = GATE.fold(STARTED, day=11, trades=entered([CELL], 0.5), published=told)

    assert after.accounts == STARTED.accounts


def test_fold_given_a_node_that_has_not_joined_then_makes_no_bet_on_it() -> None:
    stranger: Group = (OTHER, "long", "2.0-3.5")

    after = GATE.fold(STARTED, day=11, trades=entered([stranger], 0.01), published=published())

    assert after == replace(STARTED, day=11)


@pytest.mark.parametrize("day", [9, 10, 12])
def test_fold_given_a_day_that_is_not_the_next_then_refuses(day: int) -> None:
    with pytest.raises(LearningError, match="after day 10"):
        GATE.fold(STARTED, day=day, trades=entered([], 0.0), published=published())


def test_fold_given_a_trade_of_another_day_then_refuses() -> None:
    with pytest.raises(LearningError, match="entered on day 11"):
        GATE.fold(STARTED, day=11, trades=entered([CELL], 0.01, day=12), published=published())


def test_row_in_force_given_no_row_of_the_cell_then_is_what_a_trade_would_find() -> None:
    found = [row_in_force(published(), cell).key for cell in (CELL, (OTHER, "short", "1.0-2.0"))]

    assert found == [f"{PAIR}|long|*", "*|*|*"]


def test_last_day_over_given_the_last_horizon_ends_then_counts_the_day() -> None:
    due = DAY_US + 300_000_000
    end = 101 * DAY_US + due

    assert (last_day_over(end - 1, due_after_us=due), last_day_over(end, due_after_us=due)) == (99, 100)


def test_join_given_a_new_pair_then_both_directions_count_and_other_accounts_stay() -> None:
    ledger = GATE.join(SURE, [(OTHER, "long", "2.0-3.5"), CELL])

    assert {node: ledger.accounts[node] for node in SURE.accounts} == dict(SURE.accounts)
    assert {node: ledger.accounts[node] for node in [(OTHER, "long"), (OTHER, "short")]} == dict.fromkeys(
        [(OTHER, "long"), (OTHER, "short")], account()
    )


def test_join_given_others_have_lost_then_starts_with_the_mean_of_what_they_have_left() -> None:
    poor = GateLedger(day=10, accounts={NODE: account(0.1, 0.1, 0.1), SHORT: account(0.3, 0.3, 0.3)})

    joined = GATE.join(poor, [(OTHER, "long", "2.0-3.5")]).accounts[OTHER, "long"]

    assert joined.start == pytest.approx(0.7)
    assert joined.cash == pytest.approx((0.35,) * 3)


def test_opened_given_more_nodes_then_each_needs_more() -> None:
    few = GateLedger(day=1, accounts={NODE: account(*(2.0 / NOMINAL,) * 3), SHORT: account()})

    assert GATE.opened(few) == {NODE}
    assert GATE.opened(GATE.join(few, [(OTHER, "long", "2.0-3.5")])) == frozenset()
    assert GATE.opened(GateLedger(day=1)) == frozenset()


def test_progress_given_a_ledger_then_a_node_is_open_where_the_evidence_is_enough() -> None:
    found = progress(SURE)

    assert {node for node, of in found.items() if of.is_open} == GATE.opened(SURE) == {NODE}
    assert found[SHORT].log_evidence == 0.0
    assert found[SHORT].log_needed > 0.0


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


def test_shares_given_the_row_of_24_hours_for_a_trade_of_7_days_then_expect_the_variance_of_7_days() -> None:
    root = {"stop_sigma": -1.0, "take_profit_sigma": 1.2, "expectancy": 0.002, "lower_bound": 0.002, "upper_bound": 0.002}
    week: Group = (PAIR, "long", "2.0-3.5@7d")

    shares = shares_on([CELL, week], a_set("v1", a_row(**root)))

    assert shares[week] == pytest.approx(shares[CELL] / 7.0)
