"""How else one replays stops and targets: vectorbt, numpy at its best, a loop over pandas rows.

Each follows the same rule as far as it can: stop before target inside a candle, gaps filled at the open, the close of the horizon
otherwise. All know fewer costs than the kernel does.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.replay_world import GROUPS, HORIZON, ReplayWorld
from bot3.learning.grids import ExitGrid

Floats = NDArray[np.float64]
_NEVER = HORIZON + 1


def has_vectorbt() -> bool:
    """Say whether vectorbt can be imported."""
    return find_spec("vectorbt") is not None


def windows(world: ReplayWorld) -> dict[str, Floats]:
    """Return candles of shape (trades, horizon), by name."""
    places = world.paths.entry[:, None] + 1 + np.arange(HORIZON)[None, :]
    return {name: column[places] for name, column in world.plain.items()}


def vectorbt_windows(world: ReplayWorld) -> dict[str, Any]:
    """Return what vectorbt is given: candles of shape (horizon + 1, trades), entries at the first close, the last close as the exit."""
    before = world.paths.open_rate[None, :]
    columns = {name: np.ascontiguousarray(np.vstack([before, window.T])) for name, window in windows(world).items()}
    first, last = np.zeros((2, HORIZON + 1, len(world.paths)), dtype=np.bool_)
    first[0], last[-1] = True, True
    shorts = world.paths.is_short[None, :]
    signals = {"entries": first & ~shorts, "exits": last & ~shorts, "short_entries": first & shorts, "short_exits": last & shorts}
    return columns | signals


def vectorbt_cell(prepared: dict[str, Any], *, stop_move: Floats, target_move: Floats, engine: str) -> Floats:
    """Return the outcome of every trade under one stop and target each, without costs."""
    import vectorbt  # noqa: PLC0415

    portfolio = vectorbt.Portfolio.from_signals(
        **prepared,
        price=prepared["close"],
        sl_stop=stop_move[None, :],
        tp_stop=target_move[None, :],
        stop_entry_price="fillprice",
        stop_exit_price="stoplimit",
        upon_stop_exit="close",
        size=1.0,
        init_cash=np.inf,
        engine=engine,
        freq="5min",
    )
    records = portfolio.trades.records.sort_values("col")
    returns: Floats = records["return"].to_numpy()
    return returns


def numpy_sums(world: ReplayWorld, *, grid: ExitGrid, fee: float) -> Floats:
    """Return sums, squares, wins and gross profit of shape (4, groups, stops, targets): running extremes, one sorted search, one table."""
    order = np.argsort(world.group, kind="stable")
    ordered = ReplayWorld(candles=world.candles, plain=world.plain, paths=world.paths.take(order), group=world.group[order])
    side = np.where(ordered.paths.is_short, -1.0, 1.0)[:, None]
    scaled = {name: side * (window / ordered.paths.open_rate[:, None] - 1.0) for name, window in windows(ordered).items()}
    worst, best = np.minimum(scaled["low"], scaled["high"]), np.maximum(scaled["low"], scaled["high"])
    sigma = ordered.paths.sigma[:, None]
    stop_at, stop_move = _first(-worst / sigma, -scaled["open"], grid.stops * sigma, grid.stops)
    target_at, target_move = _first(best / sigma, scaled["open"], grid.targets * sigma, grid.targets)
    held = scaled["close"][:, -1]
    stops, targets, last = (_net(moves, side=side, fee=fee) for moves in (-stop_move, target_move, held[:, None]))
    return _tables(ordered.group, (stop_at, stops), (target_at, targets), last)


def _net(move: Floats, *, side: Floats, fee: float) -> Floats:
    opened, closed = 1.0 + side * fee, (1.0 + side * move) * (1.0 - side * fee)
    net: Floats = side * (closed / opened - 1.0)
    return net


def _first(reached: Floats, opened: Floats, levels: Floats, grid: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return twice the candle of the first touch of each level, plus one if inside it, and the move it fills at."""
    n = len(reached)
    running = np.minimum(np.maximum(np.maximum.accumulate(reached, axis=1), 0.0), 99.0)
    # Rows are told apart by an offset, so that one search over the flat array answers for all.
    offset = 100.0 * np.arange(n)[:, None]
    found = np.searchsorted((running + offset).reshape(-1), (grid[None, :] + offset).reshape(-1)).reshape(n, -1)
    found -= HORIZON * np.arange(n)[:, None]
    at_open = np.take_along_axis(opened, np.minimum(found, HORIZON - 1), axis=1)
    inside = at_open < levels
    return np.where(found < HORIZON, 2 * found + inside, 2 * _NEVER), np.maximum(at_open, levels)


def _tables(group: NDArray[np.int64], stops: Any, targets: Any, held: Floats) -> Floats:
    out = np.zeros((4, GROUPS, stops[0].shape[1], targets[0].shape[1]))
    bounds = np.searchsorted(group, np.arange(GROUPS + 1))
    for number in range(GROUPS):
        own = slice(bounds[number], bounds[number + 1])
        stop_at, target_at = stops[0][own, :, None], targets[0][own, None, :]
        outcome = np.where(stop_at <= target_at, stops[1][own, :, None], targets[1][own, None, :])
        outcome = np.where(np.minimum(stop_at, target_at) == 2 * _NEVER, held[own, :, None], outcome)
        out[0, number], out[1, number] = outcome.sum(axis=0), np.einsum("kst,kst->st", outcome, outcome)
        out[2, number], out[3, number] = (outcome > 0.0).sum(axis=0), np.maximum(outcome, 0.0).sum(axis=0)
    return out


def pandas_cell(frame: pd.DataFrame, *, rate: float, is_short: bool, stop_move: float, target_move: float, fee: float) -> float:
    """Return one trade's outcome under one stop and target, row by row, as most people write it."""
    side = -1.0 if is_short else 1.0
    move = 0.0
    for _, candle in frame.iterrows():
        opened, worst, best = (side * (candle[name] / rate - 1.0) for name in ("open", "low", "high"))
        worst, best, move = min(worst, best), max(worst, best), side * (candle["close"] / rate - 1.0)
        if opened <= -stop_move or opened >= target_move:
            move = opened
            break
        if worst <= -stop_move:
            move = -stop_move
            break
        if best >= target_move:
            move = target_move
            break
    return side * ((1.0 + side * move) * (1.0 - side * fee) / (1.0 + side * fee) - 1.0)
