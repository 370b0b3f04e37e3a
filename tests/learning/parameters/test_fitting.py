"""Fits of groups from the evidence of their replays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bot3.learning.parameters.fitting import GroupFits
from bot3.learning.parameters.group_rows import GroupRows
from bot3.learning.parameters.hyperparameters import Hyperparameters
from bot3.learning.parameters.learner import ParameterLearner
from bot3.learning.parameters.regime_factors import NO_FACTORS
from bot3.learning.parameters.replay_evidence import ReplayEvidence
from bot3.learning.parameters.settings import LearningSettings
from bot3.learning.pooling.empirical_bayes import effective_n
from bot3.learning.replay.candle_arrays import candle_arrays
from bot3.learning.replay.groups import ROOT
from bot3.learning.replay.paths import ReplayCandles
from bot3.learning.replay.replay_frame import ReplayFrame
from bot3.learning.replay.trade_table import TradeTable
from bot3.market.candle_series import no_funding
from bot3.market.instants import instant_us
from tests.learning.worlds import PAIRS, START, trade_row
from tests.markets import random_candles

FIRST, SECOND = PAIRS
LONG, SHORT = (FIRST, "long", "2.0-3.5"), (SECOND, "short", "7.5-10.0")
SETTINGS = LearningSettings(horizon=timedelta(hours=1))


def row(trade_id: int, *, hours: float, is_long: bool = True) -> dict[str, object]:
    pair, leverage = (FIRST, 3.0) if is_long else (SECOND, 8.0 + 0.5 * (trade_id % 2))
    return trade_row(trade_id, opened=START + timedelta(hours=hours, seconds=4), pair=pair, is_short=not is_long, leverage=leverage)


ROWS = [row(number, hours=26 + 7 * number) for number in range(6)] + [row(number, hours=30 + number, is_long=False) for number in (6, 7)]


def fits_of(rows: list[dict[str, object]], **changes: Any) -> tuple[GroupFits, TradeTable]:
    settings = LearningSettings(**{"horizon": timedelta(hours=1), **changes})
    frames = {pair: random_candles(seed, candles=288 * 4, first=START) for seed, pair in enumerate(PAIRS)}
    candles = {pair: candle_arrays(frame, no_funding(), horizon_candles=12) for pair, frame in frames.items()}
    walked = {pair: ReplayCandles.of(own) for pair, own in candles.items()}
    table = TradeTable(ReplayFrame(horizon_candles=12, candle_us=300_000_000))
    table.ingest(pd.DataFrame(rows))
    table.replay_due(candles, walked, now_us=instant_us(START + timedelta(days=4)))
    evidence = ReplayEvidence(grid=settings.grid, costs=settings.costs)
    evidence.candles = walked
    return GroupFits(settings, table, GroupRows(table), evidence), table


def fitted(fits: GroupFits, *, day: int = 5, before: Hyperparameters | None = None, regimes: pd.DataFrame | None = None) -> Hyperparameters:
    return fits.hyperparameters(regimes, day=day, before=before)


def test_hyperparameters_given_trades_then_have_every_parent_and_no_bin() -> None:
    fits, _ = fits_of(ROWS)

    hyper = fitted(fits)

    above = {ROOT, ("*", "long", "*"), ("*", "short", "*"), (FIRST, "long", "*"), (SECOND, "short", "*")}
    assert set(hyper.parents) == above
    assert (hyper.pairs, hyper.chosen_on, hyper.factors) == ((FIRST, SECOND), 5, NO_FACTORS)
    assert {group: None if own.parent is None else own.parent.group for group, own in hyper.parents.items()} == {
        ROOT: None,
        ("*", "long", "*"): ROOT,
        ("*", "short", "*"): ROOT,
        (FIRST, "long", "*"): ("*", "long", "*"),
        (SECOND, "short", "*"): ("*", "short", "*"),
    }


def test_hyperparameters_given_a_fit_of_the_same_day_then_its_half_life_stays() -> None:
    fits, _ = fits_of(ROWS)
    before = fitted(fits)
    changed = Hyperparameters(**{name: getattr(before, name) for name in before.__dataclass_fields__} | {"half_life_days": 99.0})

    assert fitted(fits, before=changed).half_life_days == 99.0
    assert (fitted(fits, day=6, before=changed).half_life_days, fitted(fits, day=6, before=changed).chosen_on) == (None, 6)


def test_learn_given_few_trades_then_has_a_belief_of_its_own() -> None:
    fits, _ = fits_of([*ROWS, row(8, hours=80, is_long=False)])
    hyper = fitted(fits)

    few, above = fits.learn(SHORT, hyper), hyper.parents[SECOND, "short", "*"]

    assert (few.n, above.n, few.relatives_n) == (3, 3, 9)
    assert few.belief is not above.belief
    assert 0.0 < few.belief.own_share(few.cell) < 1.0


def test_learn_given_no_trade_then_has_the_belief_of_its_parent() -> None:
    fits, _ = fits_of(ROWS)
    hyper = fitted(fits)

    assert fits.learn((FIRST, "long", "5.0-7.5"), hyper).belief is hyper.parents[FIRST, "long", "*"].belief


def test_learn_given_a_group_then_its_scale_is_that_of_its_trades() -> None:
    fits, table = fits_of(ROWS)
    hyper = fitted(fits)

    scale = fits.learn(SHORT, hyper).scale

    sigma = table.fact("sigma")[6:8]
    assert (scale.sigma_ref, scale.leverage_ref, scale.leverage_max) == (pytest.approx(float(sigma.mean())), 8.25, 8.5)


def test_learn_given_a_group_without_trades_then_its_scale_is_the_volatility_above_and_the_middle_of_its_bin() -> None:
    fits, _ = fits_of(ROWS)
    hyper = fitted(fits)

    empty = fits.learn((FIRST, "long", "5.0-7.5"), hyper)

    above = hyper.parents[FIRST, "long", "*"].scale
    assert empty.n == 0
    assert (empty.scale.sigma_ref, empty.scale.leverage_ref, empty.scale.leverage_max) == (above.sigma_ref, 6.25, 7.5)


def test_hyperparameters_given_no_trade_then_are_those_of_the_static_set() -> None:
    fits, _ = fits_of([row(1, hours=1)])  # an entry without candles before it

    hyper = fitted(fits)

    root = hyper.parents[ROOT]
    assert (root.n, root.scale.leverage_ref, root.scale.sigma_ref) == (0, 3.0, SETTINGS.static_sigma)
    assert fits.chosen_stats(ROOT, root.cell).n_eff == 0.0
    assert np.isfinite(root.surface).all()


def test_chosen_stats_given_a_group_or_its_bin_then_are_of_its_trades_at_the_cell() -> None:
    fits, table = fits_of(ROWS)
    cell = (4, 9)

    pair, leverage_bin = fits.chosen_stats((FIRST, "long", "*"), cell), fits.chosen_stats(("*", "*", "2.0-3.5"), cell)

    grid = SETTINGS.grid
    own = fits._evidence.outcomes(table, np.arange(6), stop_sigma=float(grid.stops[4]), target_sigma=float(grid.targets[9]))
    assert pair == leverage_bin
    assert pair.n_eff == effective_n(own.net, table.fact("open_us")[:6])
    assert pair.ambiguous_share == own.is_ambiguous.mean()


def test_hyperparameters_given_regimes_known_after_the_first_entries_then_uses_the_later_ones() -> None:
    fits, _ = fits_of(ROWS)
    known = pd.Series([pd.Timestamp(START + timedelta(hours=40))], dtype="datetime64[us, UTC]")

    found = fitted(fits, regimes=pd.DataFrame({"known_at": known, "regime": ["volatile"]}))

    assert found.factors == NO_FACTORS  # one regime cannot differ from others
    assert fitted(fits, regimes=pd.DataFrame({"known_at": known[:0], "regime": []})).factors == NO_FACTORS


def test_learner_given_the_same_trades_then_learns_what_the_fits_do() -> None:
    learner = ParameterLearner(SETTINGS)
    for seed, pair in enumerate(PAIRS):
        learner.add_candles(pair, random_candles(seed, candles=288 * 4, first=START), no_funding())
    learner.ingest(pd.DataFrame(ROWS))
    now = START + timedelta(days=4)
    learner.replay_due(now=now)

    learned = learner.learn_all(now=now, computed_at=now, life=timedelta(days=7), revision=1)

    fits, _ = fits_of(ROWS)
    own = fits.learn(LONG, fitted(fits))
    found = learned.rows[f"{FIRST}|long|2.0-3.5"]
    assert found.stop_sigma == -float(SETTINGS.grid.stops[own.cell[0]])
    assert found.expectancy == pytest.approx(own.belief.posterior(own.cell).mean)
