from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from bot3.errors import LearningError
from bot3.learning.promotion.accounts import (
    LARGEST_CASH,
    LARGEST_SHARE,
    SCALES,
    Accounts,
    Bets,
    asked_shares,
    first_cash,
    no_bets,
    worst_losses,
)
from bot3.learning.promotion.closed_testing import NOMINAL, selected
from bot3.learning.promotion.settlement import fold

NODES, BINS, DAYS = 6, 24, 250
NODE = np.repeat(np.arange(NODES), BINS // NODES)
DAY = 1_000
SD = 0.025
WORST = 4.0 * SD
SHARE = 0.003 / SD**2  # for an edge of 30 bps


def started(nodes: int = NODES) -> Accounts:
    start, number = np.ones(nodes), np.ones(nodes, dtype=np.int64)
    cash = np.repeat(first_cash(start, number)[:, None], len(SCALES), axis=1)
    return Accounts(start=start, number=number, cash=cash, shortfall=np.zeros(nodes), bets=no_bets())


def trades(
    net: np.ndarray, *, day: int = 0, worst: float = WORST, share: float = SHARE, held: int = DAY // 2, node: np.ndarray | None = None
) -> Bets:
    """Return trades of one day, each open for `held` units of which a day has `DAY`; all enter in the first half of the day.

    By default none ends before all have entered: the moves of a day share its market, so the first end would reveal the others.
    """
    n = len(net)
    opened = day * DAY + np.arange(n) * (DAY // 2) // n
    return Bets(
        node=NODE[np.arange(n) % BINS] if node is None else node,
        opened_us=opened,
        ended_us=opened + held,
        net=net,
        worst=np.full(n, worst),
        stakes=np.full((n, len(SCALES)), share) * np.array(SCALES),
    )


def years_of(moves: np.ndarray, *, share: float, worst: float = WORST, held: int = DAY // 2) -> tuple[np.ndarray, int]:
    """Return which nodes of each world are open at the end of a year, and the number of worlds in which any node was on any day.

    `moves` has the shape (worlds, days, trades). The accounts of all worlds are settled together: those of one do not affect another.
    """
    worlds, _, n = moves.shape
    accounts, ever = started(worlds * NODES), np.zeros(worlds, dtype=bool)
    node = (NODE[np.arange(n) % BINS] + NODES * np.arange(worlds)[:, None]).T.ravel()
    for day in range(moves.shape[1]):
        entered = trades(moves[:, day].T.ravel(), day=day, worst=worst, share=share, held=held, node=node)
        accounts = fold(accounts, entered, until_us=(day + 1) * DAY)
        evidence = accounts.evidence().reshape(worlds, NODES)
        ever |= np.array([bool(selected(own).any()) for own in evidence])
    return np.array([selected(own) for own in accounts.evidence().reshape(worlds, NODES)]), int(ever.sum())


def day_moves(*, rng: np.random.Generator, worlds: int = 1, overlap: bool = False) -> np.ndarray:
    """A trade a bin and day that earns nothing, heavy-tailed; half of its variance is the day's market, or also the next day's."""
    market = rng.standard_t(4, (worlds, DAYS + 1, 1)) / np.sqrt(2.0)
    shared = (market[:, :-1] + market[:, 1:]) / np.sqrt(2.0) if overlap else market[:, 1:]
    own = rng.standard_t(4, (worlds, DAYS, BINS)) / np.sqrt(2.0)
    return np.clip(SD * (shared + own) / np.sqrt(2.0), -WORST, WORST)


@pytest.mark.parametrize("overlap", [False, True])
def test_review_given_100_years_without_edge_looked_at_daily_then_any_node_is_opened_in_few(overlap: bool) -> None:
    moves = day_moves(rng=np.random.default_rng(1), worlds=100, overlap=overlap)

    # A trade that shares the next day's market ends after that day.
    _, wrong = years_of(moves, share=3.0 * SHARE, held=2 * DAY if overlap else DAY // 2)

    assert wrong <= 8  # of 100 with a chance of NOMINAL: more by chance in 2 of 100 seeds


def test_review_given_a_t_test_looked_at_daily_then_would_be_wrong_in_most() -> None:
    moves = day_moves(rng=np.random.default_rng(1), worlds=100)
    n = np.arange(1, DAYS + 1)[:, None]
    mean = np.cumsum(moves, axis=1) / n
    deviation = np.sqrt(np.maximum(np.cumsum(moves**2, axis=1) / n - mean**2, 1e-12) / n)

    assert (mean[:, 20:] > 1.645 * deviation[:, 20:]).any(axis=(1, 2)).mean() > 0.5


SKEWED_STOP, SKEWED_TARGET = 3.55 * 2.0 * SD, 0.37 * 2.0 * SD


def skewed_moves(*, rng: np.random.Generator, worlds: int, together: bool) -> np.ndarray:
    """Five trades a bin and day, worth exactly 0: many small wins and rare losses, all trades of a day as one or with correlation 0.5."""
    market = rng.standard_normal((worlds, DAYS, 1))
    own = rng.standard_normal((1, 1, 5 * BINS) if together else (worlds, DAYS, 5 * BINS))
    latent = market if together else (market + own) / np.sqrt(2.0)
    net = np.where(latent < ndtri(SKEWED_TARGET / (SKEWED_STOP + SKEWED_TARGET)), -SKEWED_STOP, SKEWED_TARGET)
    return np.broadcast_to(net, (worlds, DAYS, 5 * BINS))


@pytest.mark.parametrize("together", [True, False])
def test_review_given_small_wins_and_joint_losses_then_any_node_is_opened_in_few_worlds(together: bool) -> None:
    moves = skewed_moves(rng=np.random.default_rng(4), worlds=60, together=together)

    _, wrong = years_of(moves, share=SHARE, worst=SKEWED_STOP)

    assert wrong <= 5  # of 60 with a chance of NOMINAL: more by chance in 4 of 100 seeds at most


@pytest.mark.parametrize("together", [True, False])
def test_review_given_the_same_worlds_and_losses_limited_to_the_wealth_then_would_be_wrong_in_most(together: bool) -> None:
    moves = skewed_moves(rng=np.random.default_rng(4), worlds=20, together=together)

    staked = SHARE * moves.reshape(20, -1, 5, NODES, BINS // NODES).sum(axis=(2, 4))
    wealth = np.cumsum(np.log1p(np.clip(staked, -LARGEST_SHARE, None)), axis=1)

    assert (wealth > np.log(NODES / NOMINAL)).any(axis=(1, 2)).mean() > 0.5


def test_review_given_an_edge_then_opens_its_node_alone() -> None:
    moves = day_moves(rng=np.random.default_rng(2))
    moves[:, :, NODE == 2] += 0.012

    opened, _ = years_of(moves, share=SHARE)

    assert opened[0].tolist() == [False, False, True, False, False, False]


def drawn(seed: int, n: int, *, largest_loss: float = 1.0) -> Bets:
    """Return trades of three nodes at random times, whose losses are at most `largest_loss` times their worst loss."""
    rng = np.random.default_rng(seed)
    worst = rng.exponential(0.05, n) + 1e-3
    opened = np.sort(rng.integers(0, 5_000, n))
    return Bets(
        node=rng.integers(0, 3, n),
        opened_us=opened,
        ended_us=opened + rng.integers(1, 4_000, n),
        net=np.maximum(rng.normal(0.0, 0.08, n), -largest_loss * worst),
        worst=worst,
        stakes=rng.exponential(3.0, (n, len(SCALES))),
    )


def settled(bets: Bets, *, until: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cash, guaranteed wealth and shortfall at a time, one event after another by a heap."""
    cash, shortfall = started(3).cash.copy(), np.zeros(3)
    held: list[tuple[int, int]] = []
    stakes = np.zeros_like(bets.stakes)

    def reserved(node: int) -> np.ndarray:
        return sum((stakes[at] * bets.worst[at] for _, at in held if bets.node[at] == node), np.zeros(len(SCALES)))

    def settle(limit: int) -> None:
        while held and held[0][0] < limit:
            _, at = heapq.heappop(held)
            node = bets.node[at]
            cash[node] = np.minimum(cash[node] + stakes[at] * bets.net[at], LARGEST_CASH)
            below = reserved(node) - cash[node]
            is_lost = (below > 0.0) & (bets.net[at] < -bets.worst[at])
            shortfall[node] += np.where(is_lost, below, 0.0).mean()
            cash[node, is_lost] = 0.0
            for _, other in held:
                if bets.node[other] == node:
                    stakes[other, is_lost] = 0.0

    for at in range(len(bets)):
        settle(bets.opened_us[at])
        node = bets.node[at]
        room = np.maximum(LARGEST_SHARE * cash[node] - reserved(node), 0.0)
        stakes[at] = np.minimum(bets.stakes[at] * cash[node], room / bets.worst[at])
        heapq.heappush(held, (int(bets.ended_us[at]), at))
    settle(until + 1)
    return cash, cash - np.array([reserved(node) for node in range(3)]), shortfall


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), largest=st.sampled_from([1.0, 4.0]))
def test_fold_equals_a_settlement_of_one_event_after_another(seed: int, n: int, largest: float) -> None:
    bets = drawn(seed, n, largest_loss=largest)

    found = fold(started(3), bets, until_us=6_000)

    cash, wealth, shortfall = settled(bets, until=6_000)
    assert found.cash == pytest.approx(cash)
    assert found.shortfall == pytest.approx(shortfall)
    assert found.evidence() == pytest.approx(wealth.mean(axis=1) + 0.5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), cuts=st.lists(st.integers(0, 6_000), max_size=5))
def test_fold_in_parts_equals_fold_at_once(seed: int, n: int, cuts: list[int]) -> None:
    bets, parts = drawn(seed, n), started(3)

    at_once = fold(started(3), bets, until_us=6_000)
    for start, end in zip([-1, *sorted(cuts)], [*sorted(cuts), 6_000], strict=True):
        parts = fold(parts, bets.at((bets.opened_us > start) & (bets.opened_us <= end)), until_us=end)

    assert parts.cash == pytest.approx(at_once.cash)
    assert parts.evidence() == pytest.approx(at_once.evidence())
    assert len(parts.bets) == len(at_once.bets)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
def test_wealth_given_losses_within_their_worst_then_stays_above_0_and_falls_at_entries_alone(seed: int, n: int) -> None:
    accounts = fold(started(3), drawn(seed, n), until_us=5_000)

    later = [fold(accounts, no_bets(), until_us=at).evidence() for at in (5_000, 6_500, 10_000)]

    assert (later[0] > 0.5).all()
    assert (np.diff(later, axis=0) >= -1e-12).all()
    assert not accounts.shortfall.any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.1, 1e3), n=st.integers(1, 60))
def test_fold_given_trades_worth_nothing_then_evidence_is_1_on_average_however_they_move_together(seed: int, size: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    cases = rng.standard_normal((40, n)) * rng.standard_exponential((40, 1)) + rng.standard_normal((40, 1))
    cases -= cases.mean(axis=0)
    worst = -cases.min(axis=0) + 1e-9
    # All are open at the same time: the stakes do not depend on outcomes, so the mean over the cases is exact.
    opened = [replace_worst(trades(net, share=size, held=DAY), worst) for net in cases]

    evidence = [fold(started(), bets, until_us=3 * DAY).evidence() for bets in opened]

    assert np.mean(evidence, axis=0) == pytest.approx(np.ones(NODES))


def replace_worst(bets: Bets, worst: np.ndarray) -> Bets:
    columns = {name: getattr(bets, name) for name in Bets.__slots__} | {"worst": worst}
    return Bets(**columns)


def test_fold_given_a_gap_beyond_the_worst_loss_then_charges_it_whole_and_closes_the_account_below_0() -> None:
    bets = trades(np.array([-2.0 * WORST, 0.5, 0.5]), share=1e4, node=np.array([0, 0, 1]))

    after = fold(started(2), bets, until_us=DAY)
    later = fold(after, trades(np.array([0.5]), day=1, node=np.array([0])), until_us=2 * DAY)

    # Each account stakes 0.9 of its 0.5 on the first trade of node 0, and loses twice that.
    assert after.cash[0].tolist() == [0.0] * 3
    assert after.shortfall == pytest.approx([0.4, 0.0])
    assert after.evidence()[0] == 0.5
    assert (after.cash[1] > 0.5).all()
    assert later.cash[0].tolist() == [0.0] * 3


def test_fold_given_gains_without_end_then_cash_is_limited_and_losses_still_close_the_node() -> None:
    rich = fold(started(1), trades(np.full(400, 0.5), share=9.0, held=1, node=np.zeros(400, np.int64)), until_us=DAY)
    poor = fold(rich, trades(np.full(400, -WORST), day=1, share=9.0, held=1, node=np.zeros(400, np.int64)), until_us=2 * DAY)

    assert rich.cash.tolist() == [[LARGEST_CASH] * len(SCALES)]
    assert selected(rich.evidence()).tolist() == [True]
    assert selected(poor.evidence()).tolist() == [False]
    assert (poor.cash.tolist(), poor.shortfall.tolist()) == ([[0.0] * len(SCALES)], [0.0])


def test_restarted_given_a_node_then_its_accounts_begin_with_less_and_without_its_open_trades() -> None:
    accounts = fold(started(2), trades(np.array([0.1, 0.1]), node=np.array([0, 1]), held=5 * DAY), until_us=DAY)

    again = accounts.restarted(np.array([True, False]))

    assert (again.number.tolist(), again.bets.node.tolist()) == ([2, 1], [1])
    assert again.cash[0] == pytest.approx([1.0 / 6.0] * 3)
    assert again.evidence()[0] == pytest.approx(1.0 / 6.0 + 1.0 / 3.0)
    assert again.evidence()[1] == accounts.evidence()[1]


def test_first_cash_given_any_number_of_accounts_then_they_add_up_to_the_start_at_most() -> None:
    number = np.arange(1, 1_000)

    assert first_cash(np.full(999, 0.8), number).sum() == pytest.approx(0.8 * (1.0 - 1.0 / 1_000.0))


def test_worst_losses_given_much_leverage_then_the_margin_limits_them() -> None:
    losses = worst_losses(np.array([1.0, 4.0]), sigma=np.full(2, 0.04), leverage=np.array([2.0, 10.0]), costs=0.001)

    assert losses.tolist() == pytest.approx([0.061, 0.101])


@pytest.mark.parametrize("changes", [{"share": -1.0}, {"share": np.nan}, {"share": np.inf}, {"worst": 0.0}, {"worst": np.inf}, {"held": 0}])
def test_bets_given_values_that_could_be_evidence_by_themselves_then_refuses(changes: dict[str, float]) -> None:
    with pytest.raises(LearningError):
        trades(np.full(BINS, 0.01), **changes)  # type: ignore[arg-type]


def test_bets_given_a_net_move_that_is_not_finite_then_refuses() -> None:
    with pytest.raises(LearningError):
        trades(np.full(BINS, np.nan))


def test_asked_shares_given_no_gain_expected_then_ask_for_nothing() -> None:
    shares = asked_shares(np.array([-0.001, 0.0, 0.002]), np.full(3, 0.001), variances=np.full(3, SD**2))

    assert shares.tolist() == pytest.approx([0.0, 0.0, 0.002 / (SD**2 + 0.001**2)])
