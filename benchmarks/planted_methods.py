"""Methods that choose stop and target from closed trades: variants of a naive rule, methods of other tools, and the platform's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted_bank import MAKER, SLIPPAGE, STOP_SLIPPAGE, TAKER, Bank, bin_leverages, sum_losses, sum_paths
from benchmarks.planted_world import BIN_OF, CELLS, DAYS, DIRECTION_OF, DIRECTIONS, EPOCHS, PAIR_OF, PAIRS, World, realised
from bot3.learning.parameters.settings import DEFAULT_SIZES
from bot3.learning.parameters.spread import CellMoments, Spread
from bot3.learning.parameters.utility import sized, worst_moves
from bot3.learning.pooling.evidence import Evidence
from bot3.learning.pooling.memory import choose_half_life
from bot3.learning.pooling.surface_model import fit_model
from bot3.learning.pooling.surfaces import Score, by_mean, posterior_surfaces
from bot3.learning.replay.grids import ExitGrid
from bot3.learning.replay.paths import ReplayCosts

MIN_TRADES = 5
EDGE_MIN_TRADES = 10
STATIC_STRENGTH = 200.0
STATIC_SIGMA = 0.03
"""The learner's defaults: `static_strength`, the number of trades that weigh as much as the prior, and `static_sigma`."""
_CELL = np.arange(CELLS)
_FOR_EVER = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Input of the methods: the trades of a world, and their replays by cell and by period (a twelfth of the year).

    Parameters
    ----------
    squares : array of shape (cells, stops, targets)
        Sums of the squared replayed outcomes.
    earned : array of shape (trades,)
        Net move that each trade really earned.
    """

    bank: Bank
    world: World
    evidence: Evidence
    squares: NDArray[np.float64]
    earned: NDArray[np.float64]

    @property
    def grid(self) -> ExitGrid:
        """Return the grid of stops and targets."""
        return self.bank.grid

    @property
    def n(self) -> NDArray[np.float64]:
        """Return the number of trades of each cell."""
        n: NDArray[np.float64] = self.evidence.n.sum(axis=1)
        return n

    @property
    def totals(self) -> NDArray[np.float64]:
        """Return the sums of the replayed outcomes of each cell under every setting."""
        totals: NDArray[np.float64] = self.evidence.totals.sum(axis=1)
        return totals

    @property
    def sigma(self) -> NDArray[np.float64]:
        """Return the mean volatility at entry of the trades of each cell."""
        trades = self.world.trades
        return np.bincount(trades.cell, weights=self.bank.sigma[trades.path], minlength=CELLS) / self.n

    @property
    def earned_mean(self) -> NDArray[np.float64]:
        """Return the mean net move that the trades of each cell really earned."""
        return np.bincount(self.world.trades.cell, weights=self.earned, minlength=CELLS) / self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Grid indices of the stop and target of each cell, and the expectancy that the method reports for them, as a ratio of the price."""

    stop: NDArray[np.int64]
    target: NDArray[np.int64]
    reported: NDArray[np.float64]
    deviation: NDArray[np.float64] | None = None
    """Standard deviation that the method reports for its expectancy; None if it reports none."""


def take_sample(bank: Bank, world: World) -> Sample:
    """Replay a world's trades, period by period."""
    trades = world.trades
    period = np.minimum((trades.entry_days / DAYS * EPOCHS).astype(np.int64), EPOCHS - 1)
    groups = trades.cell * EPOCHS + period
    totals, squares = sum_paths(bank, paths=trades.path, bins=BIN_OF[trades.cell], groups=groups, n_groups=CELLS * EPOCHS)
    n = np.bincount(groups, minlength=CELLS * EPOCHS).astype(np.float64).reshape(CELLS, EPOCHS)
    evidence = Evidence(
        n=n, totals=totals.reshape(CELLS, EPOCHS, *bank.grid.shape), pair=PAIR_OF, direction=DIRECTION_OF, leverage_bin=BIN_OF
    )
    squares = squares.reshape(CELLS, EPOCHS, *bank.grid.shape).sum(axis=1)
    return Sample(bank=bank, world=world, evidence=evidence, squares=squares, earned=realised(bank, trades))


def static_surface(grid: ExitGrid) -> NDArray[np.float64]:
    """Return the prior, the expectancy assumed without data: costs, which rise with the distance of stop and target from one sigma."""
    away = np.log(grid.stops)[:, None] ** 2 + np.log(grid.targets)[None, :] ** 2
    surface: NDArray[np.float64] = -0.0011 - 0.0002 * away
    return surface


def default(sample: Sample) -> Choice:
    """Choose one sigma for stop and target in every cell; report the mean of what its trades really earned."""
    stop, target = sample.grid.nearest(stop=1.0, target=1.0)
    return Choice(stop=np.full(CELLS, stop), target=np.full(CELLS, target), reported=sample.earned_mean)


def naive_best_average(sample: Sample) -> Choice:
    """Choose the setting with the best realised average, of those with at least five trades in the cell; the default without any."""
    return _best_average(sample, minimum=MIN_TRADES)


def naive_no_minimum(sample: Sample) -> Choice:
    """Choose the setting with the best realised average, of all settings with a trade in the cell."""
    return _best_average(sample, minimum=1)


def _best_average(sample: Sample, *, minimum: int) -> Choice:
    trades, targets = sample.world.trades, sample.grid.shape[1]
    settings, which = np.unique(trades.old_stop * targets + trades.old_target, return_inverse=True)
    key, size = trades.cell * len(settings) + which, CELLS * len(settings)
    n = np.bincount(key, minlength=size).reshape(CELLS, -1)
    totals = np.bincount(key, weights=sample.earned, minlength=size).reshape(CELLS, -1)
    means = np.where(n >= minimum, totals / np.maximum(n, 1), -np.inf)
    best = means.argmax(axis=1)
    found = np.isfinite(means[_CELL, best])
    return _or_default(sample, settings[best] // targets, settings[best] % targets, reported=means[_CELL, best], found=found)


def naive_clipped(sample: Sample) -> Choice:
    """Choose the stop and target with the best mean of the realised net moves, clipped at minus the stop and plus the target."""
    choices = [_clipped_best(sample, cell) for cell in range(CELLS)]
    stop, target, reported = (np.array(column) for column in zip(*choices, strict=True))
    return Choice(stop=stop.astype(np.int64), target=target.astype(np.int64), reported=reported)


def _clipped_best(sample: Sample, cell: int) -> tuple[int, int, float]:
    rows = sample.world.trades.cell == cell
    sigma = sample.bank.sigma[sample.world.trades.path[rows]].astype(np.float64)
    earned = sample.earned[rows]
    # Losses and wins are clipped separately, so the two sides can be chosen separately.
    losses = np.maximum(np.minimum(earned, 0.0)[:, None], -sigma[:, None] * sample.grid.stops).mean(axis=0)
    wins = np.minimum(np.maximum(earned, 0.0)[:, None], sigma[:, None] * sample.grid.targets).mean(axis=0)
    return int(losses.argmax()), int(wins.argmax()), float(losses.max() + wins.max())


def naive_average_loss_and_win(sample: Sample) -> Choice:
    """Set the stop to the average realised loss of the cell, the target to the average win; one sigma without losses or wins."""
    trades = sample.world.trades
    ratio = sample.earned / sample.bank.sigma[trades.path]
    stop, target = default(sample).stop.copy(), default(sample).target.copy()
    for cell in range(CELLS):
        own = ratio[trades.cell == cell]
        if (own < 0.0).any():
            stop[cell] = sample.grid.nearest(stop=-float(own[own < 0.0].mean()), target=1.0)[0]
        if (own > 0.0).any():
            target[cell] = sample.grid.nearest(stop=1.0, target=float(own[own > 0.0].mean()))[1]
    return Choice(stop=stop, target=target, reported=sample.earned_mean)


def excursion_percentiles(sample: Sample) -> Choice:
    """Set the stop at the adverse excursion that nine winners in ten stay within, the target at the median favourable excursion.

    The default applies to a cell with fewer than five trades or without a winner.
    """
    trades, bank = sample.world.trades, sample.bank
    stop, target = default(sample).stop.copy(), default(sample).target.copy()
    for cell in range(CELLS):
        rows = trades.cell == cell
        winners = rows & (sample.earned > 0.0)
        if rows.sum() >= MIN_TRADES and winners.any():
            adverse = max(float(-np.quantile(bank.worst[trades.path[winners]], 0.1)), float(sample.grid.stops[0]))
            favourable = max(float(np.median(bank.best[trades.path[rows]])), float(sample.grid.targets[0]))
            stop[cell], target[cell] = sample.grid.nearest(stop=adverse, target=favourable)
    return Choice(stop=stop, target=target, reported=sample.earned_mean)


def edge_by_pair(sample: Sample) -> Choice:
    """Choose the setting with the highest expectancy ratio of each pair by replay; the default for a pair with at most ten trades.

    This is the formula of freqtrade's former Edge (win rate x reward to risk - loss rate, which is the mean divided by the average loss),
    with a larger search: Edge varied only the stop.
    """
    trades = sample.world.trades
    losses, counts = sum_losses(sample.bank, paths=trades.path, bins=BIN_OF[trades.cell], groups=PAIR_OF[trades.cell], n_groups=PAIRS)
    n = np.bincount(PAIR_OF, weights=sample.n, minlength=PAIRS)
    totals = np.stack([sample.totals[pair == PAIR_OF].sum(axis=0) for pair in range(PAIRS)])
    means = totals / np.maximum(n, 1.0)[:, None, None]
    ratio = np.where(counts > 0.0, means / np.maximum(-losses / np.maximum(counts, 1.0), 1e-9), -np.inf)
    best = ratio.reshape(PAIRS, -1).argmax(axis=1)[PAIR_OF]
    stop, target = np.divmod(best, sample.grid.shape[1])
    return _or_default(sample, stop, target, reported=means[PAIR_OF, stop, target], found=n[PAIR_OF] > EDGE_MIN_TRADES)


def replay_argmax(sample: Sample) -> Choice:
    """Choose the setting with the best replayed mean of each cell separately; the default with fewer than five trades."""
    means = sample.totals / sample.n[:, None, None]
    stop, target = np.divmod(means.reshape(CELLS, -1).argmax(axis=1), sample.grid.shape[1])
    return _or_default(sample, stop, target, reported=means[_CELL, stop, target], found=sample.n >= MIN_TRADES)


def one_global_setting(sample: Sample) -> Choice:
    """Choose the setting with the best replayed mean of all trades, the same for every cell."""
    means = sample.totals.sum(axis=0) / sample.n.sum()
    stop, target = divmod(int(means.argmax()), sample.grid.shape[1])
    return Choice(stop=np.full(CELLS, stop), target=np.full(CELLS, target), reported=np.full(CELLS, means[stop, target]))


def nested_scalar(sample: Sample) -> Choice:
    """Pool each cell with its pair and direction, that with its direction, and that with all, by one strength for each of these levels.

    The strengths are estimated by empirical Bayes from moments.
    """
    labels = (np.zeros(CELLS, dtype=np.int64), DIRECTION_OF, PAIR_OF * DIRECTIONS + DIRECTION_OF, _CELL)
    surfaces = static_surface(sample.grid)[None].repeat(CELLS, axis=0)
    for depth, label in enumerate(labels):
        n = _by_label(sample.n, label)
        means = _by_label(sample.totals, label) / n[:, None, None]
        strength = _strength(sample, label=label, parent=labels[depth - 1], means=means, n=n) if depth else STATIC_STRENGTH
        shares = n / (n + strength)
        surfaces = shares[label, None, None] * means[label] + (1.0 - shares[label, None, None]) * surfaces
    stop, target = np.divmod(surfaces.reshape(CELLS, -1).argmax(axis=1), sample.grid.shape[1])
    return Choice(stop=stop, target=target, reported=surfaces[_CELL, stop, target])


def _by_label(values: NDArray[np.float64], label: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.zeros((int(label.max()) + 1, *values.shape[1:]))
    np.add.at(sums, label, values)
    return sums


def _strength(
    sample: Sample, *, label: NDArray[np.int64], parent: NDArray[np.int64], means: NDArray[np.float64], n: NDArray[np.float64]
) -> float:
    """Return the number of trades at which a group weighs as much as its parent: the variance of a trade divided by that between siblings.

    With fewer than three groups, as with the directions, the variance between them cannot be estimated: then only the parent counts.
    """
    if len(n) < 3:
        return _FOR_EVER
    above = np.zeros(len(n), dtype=np.int64)
    above[label] = parent
    spread = _by_label(sample.squares, label) - n[:, None, None] * means**2
    within = spread.sum(axis=0) / max(float(np.maximum(n - 1.0, 0.0).sum()), 1.0)
    n_above = np.bincount(above, weights=n)
    centre = _by_label(means * n[:, None, None], above) / n_above[:, None, None]
    squares = np.tensordot(n, (means - centre[above]) ** 2, axes=1) - (len(n) - len(n_above)) * within
    scale = float((n_above - np.bincount(above, weights=n**2) / n_above).sum())
    between = float(squares.mean()) / scale
    return float(within.mean()) / between if between > 0.0 else _FOR_EVER


def ours(sample: Sample) -> Choice:
    """Choose as the platform does with all trades weighted equally: smoothed, additively pooled surfaces, corrected for optimism."""
    return _pooled(sample, weights=None)


def ours_by_utility(sample: Sample) -> Choice:
    """Choose as the platform's production does: by the expected growth of the wallet's logarithm under the same posterior means."""
    moments = CellMoments(n=sample.n, totals=sample.totals, squares=sample.squares, sigma=sample.sigma)
    spread = Spread.of(moments, sigma=STATIC_SIGMA)
    deviation, worst = np.sqrt(spread.variances(moments)), worst_of(sample.grid, spread.sigmas(moments))

    def score(mean: NDArray[np.float64]) -> NDArray[np.float64]:
        return growth(mean, deviation, worst)

    return _pooled(sample, weights=None, score=score)


def growth(mean: NDArray[np.float64], deviation: NDArray[np.float64], worst: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the utility of every setting of every cell at the platform's default sizes, of shape (cells, stops, targets)."""
    leverage = bin_leverages()[BIN_OF][:, None, None]
    return sized(mean=mean, deviation=deviation, worst=worst, leverage=leverage, limits=DEFAULT_SIZES).utility


def worst_of(grid: ExitGrid, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the net move at each stop of each cell, below 0, of shape (cells, stops, 1), for the mean volatility of the cell."""
    costs = ReplayCosts(taker_fee=TAKER, maker_fee=MAKER, slippage=SLIPPAGE, stop_slippage=STOP_SLIPPAGE)
    return worst_moves(grid.stops, sigma=sigma[:, None], costs=costs)[:, :, None]


def ours_with_memory(sample: Sample) -> Choice:
    """Choose as the platform does, with trades weighted by age with the half-life that predicted best."""
    ages = (EPOCHS - 1.0 - np.arange(EPOCHS)) * DAYS / EPOCHS
    prior = static_surface(sample.grid)
    memory = choose_half_life(sample.evidence, ages_days=ages, prior=prior, strength=STATIC_STRENGTH, deviation=STATIC_SIGMA)
    return _pooled(sample, weights=memory.weights)


def _pooled(sample: Sample, *, weights: NDArray[np.float64] | None, score: Score = by_mean) -> Choice:
    prior = static_surface(sample.grid)
    model = fit_model(sample.evidence, prior=prior, strength=STATIC_STRENGTH, deviation=STATIC_SIGMA, weights=weights, score=score)
    surfaces = posterior_surfaces(sample.evidence, model)
    cells = surfaces.best(score)
    mean, deviation = surfaces.posteriors(cells)
    return Choice(stop=cells[:, 0], target=cells[:, 1], reported=mean, deviation=deviation)


def _or_default(
    sample: Sample, stop: NDArray[np.int64], target: NDArray[np.int64], *, reported: NDArray[np.float64], found: NDArray[np.bool_]
) -> Choice:
    """Return the choice of each cell for which one was found, and the default for the others."""
    other = default(sample)
    return Choice(
        stop=np.where(found, stop, other.stop),
        target=np.where(found, target, other.target),
        reported=np.where(found, reported, other.reported),
    )


METHODS: Mapping[str, Callable[[Sample], Choice]] = {
    "default": default,
    "naive_best_average_min_5": naive_best_average,
    "naive_best_average": naive_no_minimum,
    "naive_clipped": naive_clipped,
    "naive_average_loss_and_win": naive_average_loss_and_win,
    "excursion_percentiles": excursion_percentiles,
    "edge_by_pair": edge_by_pair,
    "replay_argmax_min_5": replay_argmax,
    "one_global_setting": one_global_setting,
    "nested_scalar": nested_scalar,
    "ours": ours,
    "ours_by_utility": ours_by_utility,
}
