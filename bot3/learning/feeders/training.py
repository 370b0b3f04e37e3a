"""Train one feeder on the trades known by a time: boosters, and the terms by which their forecasts become calls, from forward folds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.feeders.calibration import Slope, WinRate, fit_expectancies, fit_slope, fit_win_rate, log_loss
from bot3.learning.feeders.feature_panel import FeaturePanel
from bot3.learning.feeders.forest import forest_of
from bot3.learning.feeders.labels import LabelCosts
from bot3.learning.feeders.models import FeederHeader, SideTerms, write_model
from bot3.learning.feeders.specs import FeederSpec
from bot3.learning.feeders.splits import forward_folds
from bot3.learning.feeders.training_rows import TrainingRows, training_rows
from bot3.market.indicators import Floats
from bot3.market.instants import DAY_US, instant_of, instant_us

THRESHOLDS = (0.0, 0.0005, 0.001, 0.002, 0.004, 0.008)
"""Thresholds from which one is chosen for each direction, ratios of the price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of the training of feeders.

    Parameters
    ----------
    most_rows, rows_per_horizon : int
        As in `training_rows`.
    least_rows : int
        With fewer rows no booster is trained, in a fold with fewer than half of them.
    folds : int
        Number of spans of time; each but the first is tested by a model of the time before it, with an embargo of one day.
    rounds, leaves : int
        Size of a booster.
    winsor_sigma : float
        The boosters' targets are clipped at this many sigma; outcomes that forecasts are calibrated on are not.
    seeds : tuple of int
        One booster a seed; the folds use the first one.
    """

    costs: LabelCosts = field(default_factory=LabelCosts)
    most_rows: int = 12_000
    rows_per_horizon: int = 16
    least_rows: int = 300
    folds: int = 5
    rounds: int = 60
    leaves: int = 8
    learning_rate: float = 0.04
    winsor_sigma: float = 3.0
    seeds: tuple[int, ...] = (7,)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedFeeder:
    """A trained model: header, and content of the model file."""

    header: FeederHeader
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _OutOfFold:
    """What a model of the time before said about each row, in sigma; `fold` is -1 for rows that no fold tested.

    The prediction is 0 where too few rows for a booster were known.
    """

    prediction: Floats
    expectancy: Floats
    fold: NDArray[np.int64]


def train_feeder_model(
    spec: FeederSpec, panel: FeaturePanel, *, start: datetime, until: datetime, settings: TrainingSettings
) -> TrainedFeeder:
    """Train a feeder on trades that had ended by a time.

    With few trades the model contains no booster, and its forecast is the rule's expectancy, which is 0 without trades.

    Parameters
    ----------
    start, until : datetime
        Candles open at or after start, and their horizon ends by until.

    Raises
    ------
    LearningError
        If the panel has no candle before `until`.
    """
    rows = training_rows(
        spec,
        panel,
        span=(instant_us(start), instant_us(until)),
        costs=settings.costs,
        most_rows=settings.most_rows,
        rows_per_horizon=settings.rows_per_horizon,
    )
    clusters = _clusters(spec, panel, rows)
    tested = _out_of_fold(spec, panel, rows, clusters, settings=settings)
    slope = _slope(rows, tested, clusters, others_than=None)
    net = _net_moves(rows, tested, clusters)
    expectancies = _expectancies(spec, rows, clusters, np.arange(len(rows)))
    can_boost = len(rows) >= settings.least_rows
    target = rows.gross_sigma - np.where(rows.is_short, expectancies[1], expectancies[0])
    boosters = [_boost(rows, target, None, seed=seed, settings=settings) for seed in settings.seeds] if can_boost else []
    losses = _losses(rows, tested, net)
    header = FeederHeader(
        spec=spec,
        trained_from=_first_known(panel, start, until),
        trained_until=until,
        rows=len(rows),
        slope=slope,
        win_rate=_win_rate(rows, tested, net, others_than=None),
        long=SideTerms(expectancy_sigma=expectancies[0], threshold=_threshold(rows, net, is_short=False)),
        short=SideTerms(expectancy_sigma=expectancies[1], threshold=_threshold(rows, net, is_short=True)),
        round_trip=settings.costs.round_trip,
        log_loss_oof=losses[0],
        base_log_loss_oof=losses[1],
    )
    return TrainedFeeder(header=header, text=write_model(header, boosters))


def _first_known(panel: FeaturePanel, start: datetime, until: datetime) -> datetime:
    first = min((int(pair.columns.open_us[0]) for pair in panel.pairs if len(pair)), default=instant_us(until))
    if first >= instant_us(until):
        raise LearningError(
            f"there is no {panel.timeframe} candle before {until.isoformat()} to train on: train later, or fetch more candles"
        )
    return max(start, instant_of(first))


def _clusters(spec: FeederSpec, panel: FeaturePanel, rows: TrainingRows) -> NDArray[np.int64]:
    """Return blocks of time, each as long as the horizon, at least a day: trades of different blocks hardly overlap."""
    candles = max(spec.barriers.horizon_candles, DAY_US // panel.step_us)
    blocks: NDArray[np.int64] = rows.known // candles
    return blocks


def _out_of_fold(
    spec: FeederSpec, panel: FeaturePanel, rows: TrainingRows, clusters: NDArray[np.int64], *, settings: TrainingSettings
) -> _OutOfFold:
    prediction, expectancy = np.zeros(len(rows)), np.zeros(len(rows))
    fold_of = np.full(len(rows), -1)
    for number, fold in enumerate(forward_folds(rows.known, rows.end, folds=settings.folds, embargo=DAY_US // panel.step_us)):
        sides = _expectancies(spec, rows, clusters, fold.train)
        expectancy[fold.test] = np.where(rows.is_short[fold.test], sides[1], sides[0])
        fold_of[fold.test] = number
        if len(fold.train) >= settings.least_rows // 2:
            target = rows.gross_sigma - np.where(rows.is_short, sides[1], sides[0])
            text = _boost(rows, target, fold.train, seed=settings.seeds[0], settings=settings)
            prediction[fold.test] = forest_of([text], features=rows.inputs.shape[1]).predict(rows.inputs[fold.test])
    return _OutOfFold(prediction=prediction, expectancy=expectancy, fold=fold_of)


def _expectancies(spec: FeederSpec, rows: TrainingRows, clusters: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[float, float]:
    """Estimate what the trades among the chosen rows are worth, long and short; 0 without a rule."""
    if spec.rule.is_none:
        return 0.0, 0.0
    chosen = chosen[rows.is_taken[chosen]]
    return fit_expectancies(rows.gross_sigma[chosen], rows.weight[chosen], rows.is_short[chosen], clusters[chosen])


def _slope(rows: TrainingRows, tested: _OutOfFold, clusters: NDArray[np.int64], *, others_than: int | None) -> Slope:
    """Fit the slope on the rows tested out of fold, without those of one fold."""
    used = tested.fold >= 0 if others_than is None else (tested.fold >= 0) & (tested.fold != others_than)
    return fit_slope(tested.prediction[used], (rows.gross_sigma - tested.expectancy)[used], rows.weight[used], clusters[used])


def _net_moves(rows: TrainingRows, tested: _OutOfFold, clusters: NDArray[np.int64]) -> Floats:
    """Return each row's expected net profit out of fold, its slope fitted on the other folds; NaN for rows that no fold tested."""
    net = np.full(len(rows), np.nan)
    for number in sorted(set(tested.fold[tested.fold >= 0])):
        here = tested.fold == number
        slope = _slope(rows, tested, clusters, others_than=number).value
        net[here] = (rows.sigma * (tested.expectancy + slope * tested.prediction) - rows.cost)[here]
    return net


def _threshold(rows: TrainingRows, net: Floats, *, is_short: bool) -> float:
    """Choose the threshold whose calls out of fold earned most in total; the highest one if none earned anything."""
    here = (rows.is_short == is_short) & rows.is_taken & ~np.isnan(net)
    earned = [float((rows.weight * rows.net_move)[here & (net > threshold)].sum()) for threshold in THRESHOLDS]
    best = int(np.argmax(earned))
    return THRESHOLDS[best] if earned[best] > 0.0 else THRESHOLDS[-1]


def _win_rate(rows: TrainingRows, tested: _OutOfFold, net: Floats, *, others_than: int | None) -> WinRate:
    used = rows.is_taken & ~np.isnan(net)
    if others_than is not None:
        used &= tested.fold != others_than
    return fit_win_rate((net / rows.sigma)[used], rows.net_move[used] > 0.0, rows.weight[used])


def _losses(rows: TrainingRows, tested: _OutOfFold, net: Floats) -> tuple[float, float] | tuple[None, None]:
    """Return the log loss of the win rate and of the base rate, each fold with those of the other folds; None without two folds."""
    win, base = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for number in sorted(set(tested.fold[tested.fold >= 0])):
        here, others = rows.is_taken & (tested.fold == number), rows.is_taken & (tested.fold >= 0) & (tested.fold != number)
        if not others.any():
            continue
        win[here] = _win_rate(rows, tested, net, others_than=number).probability((net / rows.sigma)[here])
        plain = fit_win_rate(np.zeros(int(others.sum())), rows.net_move[others] > 0.0, rows.weight[others])
        base[here] = plain.probability(np.zeros(int(here.sum())))
    scored = ~np.isnan(win)
    if not scored.any():
        return None, None
    is_won, weight = rows.net_move[scored] > 0.0, rows.weight[scored]
    return log_loss(win[scored], is_won, weight), log_loss(base[scored], is_won, weight)


def _boost(rows: TrainingRows, target: Floats, chosen: NDArray[np.int64] | None, *, seed: int, settings: TrainingSettings) -> str:
    import lightgbm  # noqa: PLC0415  # the import takes 0.3 s, and only training needs it

    used = np.arange(len(rows)) if chosen is None else chosen
    params: dict[str, Any] = {
        "objective": "regression",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "max_bin": 63,
        "min_data_in_leaf": max(20, len(used) // 50),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 20.0,
        "boost_from_average": False,  # the mean is the rule's expectancy, and 0 for a forecast
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    clipped = np.clip(target[used], -settings.winsor_sigma, settings.winsor_sigma)
    data = lightgbm.Dataset(rows.inputs[used], label=clipped, weight=rows.weight[used], params=params)
    text: str = lightgbm.train(params, data, num_boost_round=settings.rounds).model_to_string()
    return text
