"""Train one feeder on the labels known by a time, with purged folds, calibrated confidence and thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.errors import LearningError
from bot3.learning.feeders.calibration import fit_calibration, log_loss
from bot3.learning.feeders.feature_panel import FeaturePanel, PairPanel
from bot3.learning.feeders.labels import NO_LABEL, LabelCosts, uniqueness
from bot3.learning.feeders.models import FeederHeader, Side, in_setup, write_model
from bot3.learning.feeders.specs import FeederSpec
from bot3.learning.feeders.splits import purged_folds
from bot3.market.features import FEATURE_NAMES
from bot3.market.indicators import Floats
from bot3.market.instants import instant_of, instant_us


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Settings of the training of feeders.

    Parameters
    ----------
    most_rows : int
        Every k-th candle is used, so that about this many rows per direction remain.
    rows_per_horizon : int
        Limits k from below, so that at most about this many labels of a pair overlap: more of them would be redundant.
    folds, embargo_candles : int
        Number of purged folds, and their embargo in candles.
    half_life_days : float
        Age at which the weight of a row is halved.
    rounds, leaves : int
        Size of a booster.
    """

    costs: LabelCosts = field(default_factory=LabelCosts)
    most_rows: int = 30_000
    rows_per_horizon: int = 16
    least_rows: int = 300
    folds: int = 4
    embargo_candles: int = 288
    half_life_days: float = 120.0
    rounds: int = 60
    leaves: int = 12
    learning_rate: float = 0.04
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedFeeder:
    """A trained model: header, the lower one of both directions' thresholds, and content of the model file."""

    header: FeederHeader
    threshold: float
    text: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Training rows of one direction, all pairs; `known` and `end` count candles since 1970, `asked` counts the candles considered."""

    features: NDArray[np.float32]
    label: Floats
    weight: Floats
    known: NDArray[np.int64]
    end: NDArray[np.int64]
    asked: int

    def __len__(self) -> int:
        return len(self.label)


def train_feeder_model(
    spec: FeederSpec, panel: FeaturePanel, *, start: datetime, until: datetime, settings: TrainingSettings
) -> TrainedFeeder:
    """Train a feeder on labels that had ended by a time.

    Parameters
    ----------
    start, until : datetime
        Training candles open at or after start, and their horizon ends by until.

    Raises
    ------
    LearningError
        If there are too few labelled rows, all labels are the same, or labels overlap too much for two folds.
    """
    sides, losses = {}, []
    rows_count = 0
    for is_short in (False, True):
        rows = _training_rows(spec, panel, is_short=is_short, span=(instant_us(start), instant_us(until)), settings=settings)
        _require(rows, spec, until=until, settings=settings)
        sides[is_short], loss = _train_side(spec, rows, settings=settings)
        losses.append((*loss, len(rows)))
        rows_count += len(rows)
    shares = np.array([count for *_, count in losses]) / rows_count
    header = FeederHeader(
        spec=spec,
        timeframe=panel.timeframe,
        trained_from=_first_known(panel, start),
        trained_until=until,
        rows=rows_count,
        log_loss_oof=float(shares @ np.array([loss for loss, _, _ in losses])),
        base_log_loss_oof=float(shares @ np.array([base for _, base, _ in losses])),
    )
    threshold = min(side.threshold for side in sides.values())
    return TrainedFeeder(header=header, threshold=threshold, text=write_model(header, sides))


def _first_known(panel: FeaturePanel, start: datetime) -> datetime:
    first = min(int(pair.columns.open_us[0]) for pair in panel.pairs if len(pair))
    return max(start, instant_of(first))


def _require(rows: _Rows, spec: FeederSpec, *, until: datetime, settings: TrainingSettings) -> None:
    if len(rows) < settings.least_rows:
        raise LearningError(
            f"{spec.feeder_id} has {len(rows)} labelled rows until {until.isoformat()}, at least {settings.least_rows} are needed: "
            "train it later, or fetch more candles"
        )
    if not 0.0 < float(rows.label.mean()) < 1.0:
        raise LearningError(
            f"{spec.feeder_id}: every label until {until.isoformat()} is the same, there is nothing to learn: "
            "train it later, or fetch more candles"
        )


def _training_rows(spec: FeederSpec, panel: FeaturePanel, *, is_short: bool, span: tuple[int, int], settings: TrainingSettings) -> _Rows:
    within = sum(int(((p.columns.open_us >= span[0]) & (p.columns.open_us < span[1])).sum()) for p in panel.pairs)
    stride = max(1, -(-within // settings.most_rows), spec.barriers.horizon_candles // settings.rows_per_horizon)
    parts = [_pair_rows(spec, panel, pair, is_short=is_short, span=span, stride=stride, settings=settings) for pair in panel.pairs]
    names = ("features", "label", "weight", "known", "end")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    joined["weight"] = joined["weight"] / max(float(joined["weight"].mean()), 1e-12) if len(joined["weight"]) else joined["weight"]
    return _Rows(**joined, asked=sum(part.asked for part in parts))


def _pair_rows(
    spec: FeederSpec,
    panel: FeaturePanel,
    pair: PairPanel,
    *,
    is_short: bool,
    span: tuple[int, int],
    stride: int,
    settings: TrainingSettings,
) -> _Rows:
    opens, step = pair.columns.open_us, panel.step_us
    labels = panel.labels(pair, spec.barriers, is_short=is_short, costs=settings.costs)
    # Select every k-th candle by time, not by position: the rows do not depend on the first candle of the panel.
    asked = (opens >= span[0]) & (opens // step % stride == 0) & (labels.label != NO_LABEL)
    asked &= ~np.isnan(pair.features[:, FEATURE_NAMES.index("day_sine")])
    # Require the end of the whole horizon, not of the label: among the last candles only labels that ended early would be included, which
    # would bias the sample.
    asked &= opens + (spec.barriers.horizon_candles + 1) * step <= span[1]
    taken = np.flatnonzero(asked & in_setup(pair.features, spec, is_short=is_short))
    end = labels.end[taken].astype(np.int64)
    age_days = (span[1] - opens[taken]) / 86_400e6
    columns = np.array([FEATURE_NAMES.index(name) for name in spec.feature_names])
    return _Rows(
        features=pair.features[np.ix_(taken, columns)],
        label=labels.label[taken].astype(np.float64),
        weight=uniqueness(taken + 1, end) * 0.5 ** (age_days / settings.half_life_days),
        known=opens[taken] // step,
        end=opens[end] // step,
        asked=int(asked.sum()),
    )


def _train_side(spec: FeederSpec, rows: _Rows, *, settings: TrainingSettings) -> tuple[Side, tuple[float, float]]:
    """Train one direction; return it with its log loss and that of the base rate, both out of fold (calibration included)."""
    score, base = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    fold_of = np.full(len(rows), -1)
    for number, fold in enumerate(purged_folds(rows.known, rows.end, folds=settings.folds, embargo=settings.embargo_candles)):
        if len(fold.train) < settings.least_rows // 3 or not 0.0 < float(rows.label[fold.train].mean()) < 1.0:
            continue
        booster = _boost(rows, fold.train, settings=settings)
        score[fold.test] = booster.predict(rows.features[fold.test], num_threads=1)
        base[fold.test] = np.average(rows.label[fold.train], weights=rows.weight[fold.train])
        fold_of[fold.test] = number
    scored = fold_of >= 0
    if len(set(fold_of[scored])) < 2:
        raise LearningError(f"{spec.feeder_id}: labels overlap too much for two purged folds: train it later, or fetch more candles")
    loss = _crossed_loss(score, rows, fold_of)
    base_loss = log_loss(base[scored], rows.label[scored], rows.weight[scored])
    calibration = fit_calibration(score[scored], rows.label[scored], rows.weight[scored])
    share = min(spec.signal_share / 2.0 * rows.asked / len(rows), 1.0)
    threshold = _threshold(calibration.probability(score[scored]), fold_of[scored], share=share)
    text = _boost(rows, np.arange(len(rows)), settings=settings).model_to_string()
    return Side(text=text, calibration=calibration, threshold=threshold), (loss, base_loss)


def _crossed_loss(score: Floats, rows: _Rows, fold_of: NDArray[np.int64]) -> float:
    """Compute the log loss of all scores, each fold calibrated on the other folds."""
    probability = np.full(len(score), np.nan)
    for number in sorted(set(fold_of[fold_of >= 0])):
        here, others = fold_of == number, (fold_of >= 0) & (fold_of != number)
        calibration = fit_calibration(score[others], rows.label[others], rows.weight[others])
        probability[here] = calibration.probability(score[here])
    scored = fold_of >= 0
    return log_loss(probability[scored], rows.label[scored], rows.weight[scored])


def _threshold(confidence: Floats, fold_of: NDArray[np.int64], *, share: float) -> float:
    """Compute the confidence that a share of rows reaches, as the average of the folds' own quantiles.

    A joint quantile of all folds would be wrong: their models differ in level, so the highest scores would belong to one model, and the
    final model would reach them too seldom.
    """
    reached = [float(np.quantile(confidence[fold_of == number], 1.0 - share)) for number in sorted(set(fold_of))]
    return float(np.mean(reached))


def _boost(rows: _Rows, chosen: NDArray[np.int64], *, settings: TrainingSettings) -> Any:
    import lightgbm  # noqa: PLC0415  # the import takes 0.3 s, and only training needs it

    params = {
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "max_bin": 63,
        "min_data_in_leaf": max(20, len(chosen) // 100),
        "feature_fraction": 0.6,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 20.0,
        "seed": settings.seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(rows.features[chosen], label=rows.label[chosen], weight=rows.weight[chosen], params=params)
    return lightgbm.train(params, data, num_boost_round=settings.rounds)
