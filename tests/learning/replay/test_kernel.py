"""The kernel against the oracle, in every cell, on paths with gaps, long and short, at every leverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.errors import InvalidTradeError
from bot3.learning.replay.candle_arrays import CandleArrays
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.replay import ReplayCandles, ReplayCosts, TradePaths, outcomes, sum_groups, summary
from bot3.trading.exit_law import STOPPED
from bot3.trading.exit_rules import NO_RULES, ExitRules
from tests.learning.replay_oracle import oracle_cells

GRID = ExitGrid(stops=np.array([0.1, 0.3, 0.7, 1.5, 4.0]), targets=np.array([0.1, 0.4, 1.0, 2.5]))
COSTS = ReplayCosts(target_rests=True)
RULE = ExitRules(giveback_activation_sigma=0.5, giveback_share=0.4)
MOVING = ExitRules(break_even_activation_sigma=0.3)
RULES = (NO_RULES, RULE, MOVING, ExitRules(giveback_activation_sigma=0.7, giveback_share=0.6, break_even_activation_sigma=0.4))


def candles_of(seed: int, *, n: int, step: float, gap: float) -> CandleArrays:
    rng = np.random.default_rng(seed)
    jumps = rng.normal(0.0, gap, n) * (rng.random(n) < 0.3)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, step, n) + jumps))
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(jumps)
    wicks = np.abs(rng.normal(0.0, step, (2, n)))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(wicks[0]),
        "low": np.minimum(opened, close) * np.exp(-wicks[1]),
        "close": close,
    }
    return CandleArrays(
        open_us=np.arange(n) * 300_000_000,
        # What the kernel is fed: both sides see float32 candles.
        **{name: values.astype(np.float32).astype(np.float64) for name, values in columns.items()},
        sigma=np.full(n, 0.02),
        funding_sum=np.cumsum(np.where(rng.random(n) < 0.1, rng.normal(0.0, 0.001, n), 0.0)),
        funding_us=np.zeros(0, dtype=np.int64),
    )


def paths_on(candles: CandleArrays, *, seed: int, n: int, longest: int, with_entry: bool) -> TradePaths:
    rng = np.random.default_rng(seed + 1)
    entry = rng.integers(0, len(candles) - 2, n)
    end = np.minimum(entry + 2 + rng.integers(0, longest, n), len(candles))
    return TradePaths(
        entry=entry,
        end=end,
        open_rate=candles.open[entry] * (1.0 + rng.normal(0.0, 0.0003, n)),
        is_short=rng.random(n) < 0.5,
        leverage=rng.choice([1.0, 2.0, 5.0, 10.0, 7.3], n),
        sigma=rng.uniform(0.002, 0.08, n),
        has_entry_candle=with_entry,
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    step=st.sampled_from([0.0005, 0.003, 0.02]),
    gap=st.sampled_from([0.0, 0.01, 0.08]),
    longest=st.sampled_from([1, 5, 40, 700]),
    flags=st.tuples(st.booleans(), st.booleans()),
    rules=st.sampled_from(RULES),
)
def test_sums_equal_the_oracle_in_every_cell(
    *, seed: int, step: float, gap: float, longest: int, flags: tuple[bool, bool], rules: ExitRules
) -> None:
    with_entry, rests = flags
    candles = candles_of(seed, n=720, step=step, gap=gap)
    paths = paths_on(candles, seed=seed, n=6, longest=longest, with_entry=with_entry)
    costs = replace(COSTS, target_rests=rests)
    group = np.arange(6) % 2

    found = sum_groups(ReplayCandles.of(candles), paths, group=group, groups=2, grid=GRID, costs=costs, exit_rules=rules)

    for number in range(2):
        cells = [oracle_cells(candles, paths, k, grid=GRID, costs=costs, rules=rules) for k in np.flatnonzero(group == number)]
        nets, clashes = np.stack([net for net, _ in cells]), np.stack([clash for _, clash in cells])
        sums = found.group(number)
        expected = {
            "total": nets.sum(axis=0),
            "squares": (nets**2).sum(axis=0),
            "wins": (nets > 0.0).sum(axis=0),
            "gross_profit": np.maximum(nets, 0.0).sum(axis=0),
            "gross_loss": np.minimum(nets, 0.0).sum(axis=0),
            "ambiguous": clashes.sum(axis=0),
        }
        assert sums.n == 3
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(sums, name), values, rtol=1e-9, atol=1e-11, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rules=st.sampled_from(RULES))
def test_outcomes_of_chosen_levels_add_up_to_the_sums(seed: int, rules: ExitRules) -> None:
    candles = candles_of(seed, n=600, step=0.003, gap=0.01)
    paths = paths_on(candles, seed=seed, n=50, longest=300, with_entry=False)
    walked = ReplayCandles.of(candles)
    group = np.zeros(50, dtype=np.int64)
    sums = sum_groups(walked, paths, group=group, groups=1, grid=GRID, costs=COSTS, exit_rules=rules).group(0)

    for s, stop in enumerate(GRID.stops):
        for t, target in enumerate(GRID.targets):
            left = outcomes(
                walked,
                paths,
                stop_sigma=np.full(50, stop),
                target_sigma=np.full(50, target),
                costs=COSTS,
                exit_rules=rules,
            )
            assert left.net.sum() == pytest.approx(sums.total[s, t], rel=1e-9, abs=1e-12)
            assert left.is_ambiguous.sum() == sums.ambiguous[s, t]
            assert ((left.ended_at >= paths.entry) & (left.ended_at < paths.end)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_weights_count_as_often_as_they_say(seed: int) -> None:
    candles = candles_of(seed, n=400, step=0.003, gap=0.01)
    paths = paths_on(candles, seed=seed, n=12, longest=200, with_entry=False)
    times = np.random.default_rng(seed).integers(1, 4, 12)
    again = np.repeat(np.arange(12), times)
    walked = ReplayCandles.of(candles)

    weighted = sum_groups(
        walked, paths, group=np.zeros(12, np.int64), groups=1, grid=GRID, costs=COSTS, weight=times.astype(np.float64)
    ).group(0)
    repeated = sum_groups(walked, paths.take(again), group=np.zeros(len(again), np.int64), groups=1, grid=GRID, costs=COSTS).group(0)

    for name in ("total", "squares", "wins", "gross_profit", "gross_loss"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_joined_pairs_give_what_each_gives_alone(seed: int) -> None:
    parts = [candles_of(seed + 7 * place, n=300 + 41 * place, step=0.003, gap=0.01) for place in range(3)]
    paths = [paths_on(part, seed=seed, n=10, longest=100, with_entry=False) for part in parts]
    alone = [
        sum_groups(ReplayCandles.of(part), path, group=np.zeros(10, np.int64), groups=1, grid=GRID, costs=COSTS)
        for part, path in zip(parts, paths, strict=True)
    ]
    before = np.cumsum([0, *map(len, parts[:-1])])
    columns = {name: np.concatenate([getattr(path, name) for path in paths]) for name in ("open_rate", "is_short", "leverage", "sigma")}
    moved = {name: np.concatenate([getattr(p, name) + b for p, b in zip(paths, before, strict=True)]) for name in ("entry", "end")}

    together = sum_groups(
        ReplayCandles.joined([ReplayCandles.of(part) for part in parts]),
        TradePaths(**columns, **moved),
        group=np.repeat(np.arange(3), 10),
        groups=3,
        grid=GRID,
        costs=COSTS,
    )

    for number in range(3):
        np.testing.assert_array_equal(together.sums[number], alone[number].sums[0])


def test_summary_equals_plain_extremes() -> None:
    candles = candles_of(3, n=400, step=0.003, gap=0.01)
    paths = paths_on(candles, seed=3, n=20, longest=200, with_entry=False)

    found = summary(ReplayCandles.of(candles), paths)

    for k in range(20):
        span = slice(paths.entry[k] + 1, paths.end[k])
        side = -1.0 if paths.is_short[k] else 1.0
        moves = side * (np.concatenate([candles.low[span], candles.high[span]]) / paths.open_rate[k] - 1.0)
        assert found.mae_move[k] == pytest.approx(moves.min(), abs=1e-12)
        assert found.mfe_move[k] == pytest.approx(moves.max(), abs=1e-12)


def test_sums_given_a_path_beyond_the_candles_then_refuse() -> None:
    candles = candles_of(3, n=40, step=0.003, gap=0.0)
    paths = paths_on(candles, seed=3, n=2, longest=5, with_entry=False)

    with pytest.raises(InvalidTradeError, match="inside the candles"):
        sum_groups(
            ReplayCandles.of(candles), replace(paths, end=paths.end + 40), group=np.zeros(2, np.int64), groups=1, grid=GRID, costs=COSTS
        )


def test_outcomes_given_a_break_even_stop_then_it_ends_some_paths_earlier_at_about_nothing() -> None:
    candles = candles_of(3, n=600, step=0.003, gap=0.0)
    paths = paths_on(candles, seed=3, n=200, longest=300, with_entry=False)
    levels = {"stop_sigma": np.full(200, 4.0), "target_sigma": np.full(200, 2.5)}

    plain = outcomes(ReplayCandles.of(candles), paths, **levels, costs=COSTS)
    moved = outcomes(ReplayCandles.of(candles), paths, **levels, costs=COSTS, exit_rules=MOVING)

    differs = moved.ended_at != plain.ended_at
    assert (moved.ended_at <= plain.ended_at).all()
    assert differs.sum() > 20
    assert (moved.code[differs] == STOPPED).all()
    assert np.median(np.abs(moved.net[differs])) < 1e-3
