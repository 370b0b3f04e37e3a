"""Rivals that replay one stop and one target: vectorbt, and a loop over pandas rows.

Each implements the kernel's rule as far as possible: the stop counts before the target inside a candle, a level beyond which a candle opens
fills at the open, and a trade without either ends at the horizon's last close. Both charge fewer costs than the kernel (`replay.CHARGES`);
numpy, which charges them all, is in `replay_numpy`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.replay_world import HORIZON, ReplayWorld

Floats = NDArray[np.float64]


def has_vectorbt() -> bool:
    """Return whether vectorbt can be imported."""
    return find_spec("vectorbt") is not None


def windows(world: ReplayWorld) -> dict[str, Floats]:
    """Return the candle columns of each trade's path, which begins after the entry's candle, by name, of shape (trades, horizon)."""
    places = world.paths.entry[:, None] + 1 + np.arange(HORIZON)[None, :]
    return {name: column[places] for name, column in world.plain.items()}


def vectorbt_windows(world: ReplayWorld) -> dict[str, Any]:
    """Return the inputs of vectorbt: candles of shape (horizon + 1, trades), entries at the first close and exits at the last.

    The first candle has the entry's price in every column.
    """
    before = world.paths.open_rate[None, :]
    columns = {name: np.ascontiguousarray(np.vstack([before, window.T])) for name, window in windows(world).items()}
    first, last = np.zeros((2, HORIZON + 1, len(world.paths)), dtype=np.bool_)
    first[0], last[-1] = True, True
    shorts = world.paths.is_short[None, :]
    signals = {"entries": first & ~shorts, "exits": last & ~shorts, "short_entries": first & shorts, "short_exits": last & shorts}
    return columns | signals


def vectorbt_cell(prepared: dict[str, Any], *, stop_move: Floats, target_move: Floats, engine: str) -> Floats:
    """Return every trade's net move under its stop and target (ratios of the price, one for each trade), without costs."""
    import vectorbt  # noqa: PLC0415  # a rival that need not be installed

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


def pandas_cell(frame: pd.DataFrame, *, rate: float, is_short: bool, stop_move: float, target_move: float, fee: float) -> float:
    """Return one trade's net move under one stop and target, with one fee on both sides, in a plain loop over rows."""
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
