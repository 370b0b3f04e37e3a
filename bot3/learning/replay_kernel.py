"""The inner loops of replay, compiled.

Rates are mirrored for shorts (times -1), so that a stop always lies below and a target above. Stops are touched in the order of their
distance, and so are targets. When a stop is touched, the targets touched before it are the first t*: in every cell of that stop from t* on
it decides. So one addition at (stop, t*) tells the whole row, another at (s*, target) the whole column, and one at the first levels that
were never touched tells all cells held to the end. Prefix sums at the end of a group turn those corners into cells: a trade costs the
length of its path and the levels it touches, not their product.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bot3.learning.replay_lanes import BLOCK, BLOCKS, first_block, first_in_block, soon

TOTAL, SQUARES, WINS, PROFIT, AMBIGUOUS = range(5)
"""Places of the sums in what `sum_paths` fills; the last is counted, not weighted."""
HELD, STOPPED, REACHED, LIQUIDATED, GAVE_BACK = range(5)
"""How a path ended."""
OPEN, CLOSE, LOW, MINUS_HIGH, BLOCK_LOW, BLOCK_MINUS_HIGH = range(6)
"""Rows of the prices: highs are mirrored, and beside lows and highs stands their minimum over a block from each candle on."""
ROWS = 6
NEVER = 2**40
"""Instant of a touch that did not happen."""


@numba.njit(cache=True, error_model="numpy")
def sum_paths(candles: Any, paths: Any, grouped: Any, levels: Any, costs: Any, rule: Any, sums: Any) -> None:  # noqa: PLR0917  # numba knows no keywords
    """Fill `sums`, of shape (groups, 5, stops, targets).

    Parameters
    ----------
    candles : (prices, funding)
        Prices of shape (6, n) in the rows above, laid out flat.
    paths : (entry, end, open_rate, is_short, leverage, sigma, weight, has_entry_candle)
    grouped : (order, starts)
        Paths of group g are order[starts[g]:starts[g + 1]].
    levels : (stops, targets)
        In sigmas, ascending.
    costs : (taker_fee, maker_fee, slippage, stop_slippage, maintenance_margin_ratio, target_rests)
    rule : (activation_sigma, share)
        Of the giveback; an infinite activation is none.
    """
    order, starts = grouped
    n_stops, n_targets = len(levels[0]), len(levels[1])
    corners, both = np.zeros((3, n_stops, n_targets, 4)), np.zeros((n_stops + 1, n_targets))
    room = _room(max(n_stops, n_targets))
    for group in range(len(starts) - 1):
        if starts[group] == starts[group + 1]:
            continue
        corners[:] = 0.0
        both[:] = 0.0
        for place in range(starts[group], starts[group + 1]):
            if place + 1 < len(order):
                _expect(candles, paths, order[place + 1])
            _scatter(candles, paths, order[place], levels, costs, rule, room, corners, both)
        _finish(corners, both, sums[group])


@numba.njit(cache=True, error_model="numpy")
def leave_paths(candles: Any, paths: Any, levels: Any, costs: Any, rule: Any, left: Any) -> None:  # noqa: PLR0917
    """Replay each path under a stop and a target of its own.

    Parameters
    ----------
    levels : (stop_sigma, target_sigma)
        One of each a path.
    left : (net, ended_at, code, is_ambiguous)
        Filled: net move, candle it ended in, how, and whether stop and target lay in that candle.
    """
    corners, both = np.zeros((3, 1, 1, 4)), np.zeros((2, 1))
    room = _room(1)
    for k in range(len(paths[0])):
        corners[:] = 0.0
        both[:] = 0.0
        own = (levels[0][k : k + 1], levels[1][k : k + 1])
        at, code = _scatter(candles, paths, k, own, costs, rule, room, corners, both)
        left[0][k] = corners[0, 0, 0, 0] + corners[1, 0, 0, 0] + corners[2, 0, 0, 0]
        left[1][k], left[2][k], left[3][k] = at, code, both[0, 0] > 0.0


@numba.njit(cache=True, error_model="numpy")
def summarise_paths(candles: Any, paths: Any, summary: Any) -> None:
    """Fill `summary`, of shape (4, paths): worst, best and last move of the price over the whole path, and funding received."""
    prices, funding = candles
    n = len(funding)
    for k in range(len(paths[0])):
        entry, end, rate = paths[0][k], paths[1][k], paths[2][k]
        side = -1.0 if paths[3][k] else 1.0
        first = entry if paths[7] else entry + 1
        low, minus_high = np.float32(np.inf), np.float32(np.inf)
        for i in range(first, end):
            low, minus_high = min(low, prices[LOW * n + i]), min(minus_high, prices[MINUS_HIGH * n + i])
        lowest, highest = np.float64(low) / rate - 1.0, -np.float64(minus_high) / rate - 1.0
        summary[0, k], summary[1, k] = (lowest, highest) if side > 0.0 else (-highest, -lowest)
        summary[2, k] = side * (prices[CLOSE * n + end - 1] / rate - 1.0)
        summary[3, k] = -side * (funding[end - 1] - funding[entry]) / rate


@numba.njit(cache=True, error_model="numpy")
def _room(n: int) -> Any:
    """Return room for one path: rates and instants of stops (row 0) and targets, one more for "never", and minima of blocks."""
    return np.empty((2, n + 1), np.float32), np.empty((2, n + 1), np.int64), np.empty(BLOCKS, np.float32)


@numba.njit(cache=True, error_model="numpy")
def _expect(candles: Any, paths: Any, k: int) -> None:
    """Ask for the candles of the next path while this one is walked."""
    n = len(candles[1])
    for i in range(paths[0][k], paths[1][k], BLOCK):
        for row in (OPEN, LOW, MINUS_HIGH, BLOCK_LOW, BLOCK_MINUS_HIGH):
            soon(candles[0], row * n + i)
        soon(candles[1], i)
        soon(candles[1], i + BLOCK // 2)


@numba.njit(cache=True, error_model="numpy")
def _scatter(candles: Any, paths: Any, k: int, levels: Any, costs: Any, rule: Any, room: Any, corners: Any, both: Any) -> tuple[int, int]:  # noqa: PLR0917
    """Walk one path and add its corners; return the candle of its first touch and its kind."""
    entry, end, rate, leverage, sigma = paths[0][k], paths[1][k], paths[2][k], paths[4][k], paths[5][k]
    side = -1.0 if paths[3][k] else 1.0
    fee, maker, slip, stop_slip, maintenance, rests = costs
    n = len(candles[1])
    opened = rate * (1.0 + side * fee)
    taker = (1.0 - side * fee) * (1.0 - side * slip) / opened
    paid = -side / opened
    first = entry if paths[7] else entry + 1
    held_code, last, closed = HELD, end - 1, side * candles[0][CLOSE * n + end - 1]
    if rule[0] < np.inf:
        given = _giveback_end(candles[0], n, first, end, side, rate, rule[0] * sigma, rule[1])
        if given < end:
            held_code, end, last, closed = GAVE_BACK, given, given, side * candles[0][OPEN * n + given]
    held = taker * closed + paid * (candles[1][last] - candles[1][entry]) - side
    # Isolated margin: it is gone at the rate where it no longer covers the maintenance of the position's value there.
    liquidation = np.float64(np.float32(side * rate - rate * (1.0 / leverage - maintenance) / (1.0 - side * maintenance)))
    # No more than the margin is lost, and nothing is paid to leave.
    floor = side * (rate * (1.0 - side / leverage) / opened - 1.0)
    window = (entry, first, end, n)
    stopped = _touch(
        candles[0], window, LOW if side > 0.0 else MINUS_HIGH, levels[0], (side, side * rate, rate * sigma, liquidation), room, 0
    )
    # A target is mirrored once more, so that to touch it is to fall to it as well.
    reached = _touch(
        candles[0], window, MINUS_HIGH if side > 0.0 else LOW, levels[1], (-side, -side * rate, rate * sigma, -np.inf), room, 1
    )
    nets = (
        (1.0 - side * fee) * (1.0 - side * (slip + stop_slip)) / opened,
        taker,
        (1.0 - side * maker) / opened if rests else taker,
        paid,
        floor,
        liquidation,
    )
    shape = (len(levels[0]), len(levels[1]))
    s, t = _merge(candles, window, side, room, (stopped, reached), shape, nets, paths[6][k], corners, both)
    if s < shape[0] and t < shape[1]:
        _add(corners, 2, s, t, held, paths[6][k])
    if s == 0 and t == 0:
        return last, held_code
    stop_at, target_at = room[1][0, 0], room[1][1, 0]
    if stop_at <= target_at:
        return first + stop_at // 2, LIQUIDATED if room[0][0, 0] <= liquidation else STOPPED
    return first + target_at // 2, REACHED


@numba.njit(cache=True, error_model="numpy")
def _giveback_end(prices: Any, n: int, first: int, end: int, side: float, rate: float, activation: float, share: float) -> int:  # noqa: PLR0917
    """Return the candle at whose open the giveback leaves; `end` where it never does before the horizon."""
    best = -np.inf
    for i in range(first, end - 1):
        best = max(best, -np.float64(prices[(MINUS_HIGH if side > 0.0 else LOW) * n + i]) / rate - side)
        if best >= activation and side * prices[CLOSE * n + i] / rate - side <= (1.0 - share) * best:
            return i + 1
    return end


@numba.njit(cache=True, error_model="numpy")
def _touch(prices: Any, window: Any, row: int, distances: Any, ladder: Any, room: Any, kind: int) -> int:  # noqa: PLR0917
    """Note at which instant each level is touched first; return how many are touched.

    An instant is twice the candle's place in the path, plus one if the touch is inside the candle and not at its open. `ladder` is (sign of
    the prices, rate at distance 0, step, lowest rate); a level is the float32 next to its rate, as a candle is.
    """
    entry, first, end, n = window
    sign, origin, step, lowest = ladder
    level, start = 0, first
    rate = _level_rate(origin - step * distances[0], lowest)
    while start < end and level < len(distances):
        run = np.float32(np.inf)
        for block in range(min(BLOCKS, (end - start + BLOCK - 1) // BLOCK)):
            worst = prices[(row + 2) * n + start + block * BLOCK]
            run = min(run, worst)
            room[2][block] = run
        while run <= rate:
            at = start + BLOCK * first_block(room[2], 0, rate)
            at += first_in_block(prices, row * n + at, rate)
            if at >= end:
                break
            inside = int((at == entry) | (sign * prices[OPEN * n + at] > rate))
            room[0][kind, level] = rate
            room[1][kind, level] = 2 * (at - first) + inside
            level += 1
            if level == len(distances):
                break
            rate = _level_rate(origin - step * distances[level], lowest)
        start += BLOCK * BLOCKS
    room[1][kind, level] = NEVER
    return level


@numba.njit(cache=True, error_model="numpy", inline="always")
def _level_rate(rate: float, lowest: float) -> Any:
    return np.float32(max(rate, lowest))


@numba.njit(cache=True, error_model="numpy")
def _merge(  # noqa: PLR0917
    candles: Any, window: Any, side: float, room: Any, counts: Any, shape: Any, nets: Any, weight: float, corners: Any, both: Any
) -> tuple[int, int]:
    """Add the corner of every touch, in the order of their instants, until one kind is used up; return how many came of each.

    What is decided by a touch is computed for both kinds and chosen afterwards: which comes next is a coin's toss, and a wrong guess costs
    the processor more than the sums.
    """
    entry, first, _, n = window
    stop_net, taker_net, maker_net, paid, floor, liquidation = nets
    best_row = MINUS_HIGH if side > 0.0 else LOW
    s, t, clash_at, clash_from = 0, 0, -1, 0
    while (s < counts[0]) | (t < counts[1]):
        stop_at, target_at = room[1][0, s], room[1][1, t]
        is_stop = int(stop_at <= target_at)
        at = stop_at if is_stop == 1 else target_at
        is_inside = (at & 1) == 1
        i = first + (at >> 1)
        opened = side * np.float64(candles[0][OPEN * n + i])
        constant = paid * (candles[1][i] - candles[1][entry]) - side
        stop, target = np.float64(room[0][0, s]), np.float64(room[0][1, t])
        stop_fill = stop if is_inside else opened
        lost = stop_net * stop_fill + constant
        lost = lost if (lost > floor) & (stop_fill > liquidation) else floor
        net = maker_net if is_inside & (candles[0][best_row * n + i] < target) else taker_net
        won = net * (-target if is_inside else opened) + constant
        _add(corners, 1 - is_stop, s, t, lost if is_stop == 1 else won, weight)
        opens_clash = is_inside & (is_stop == 1) & (clash_at != at)
        clash_at, clash_from = at if opens_clash else clash_at, s if opens_clash else clash_from
        if is_inside & (clash_at == at) & (is_stop == 0):
            both[clash_from, t] += 1.0
            both[s, t] -= 1.0
        s, t = s + is_stop, t + 1 - is_stop
        if (s == shape[0]) | (t == shape[1]):
            break
    while s == shape[0] and t < counts[1] and room[1][1, t] == clash_at:
        both[clash_from, t] += 1.0
        both[s, t] -= 1.0
        t += 1
    return s, t


@numba.njit(cache=True, error_model="numpy", inline="always")
def _add(corners: Any, kind: int, s: int, t: int, value: float, weight: float) -> None:  # noqa: PLR0917
    """Add one outcome at a corner."""
    weighted = weight * value
    corners[kind, s, t, 0] += weighted
    corners[kind, s, t, 1] += weighted * value
    corners[kind, s, t, 2] += weight if value > 0.0 else 0.0
    corners[kind, s, t, 3] += weighted if value > 0.0 else 0.0


@numba.njit(cache=True, error_model="numpy")
def _finish(corners: Any, both: Any, sums: Any) -> None:
    """Turn corners into cells: a stop's run over targets, a target's over stops, what was held over both."""
    n_stops, n_targets = both.shape[0] - 1, both.shape[1]
    above = np.zeros((n_targets, 4))
    ambiguous = np.zeros(n_targets)
    for s in range(n_stops):
        ambiguous += both[s]
        sums[AMBIGUOUS, s] = ambiguous
        for j in range(4):
            stopped, held = 0.0, 0.0
            for t in range(n_targets):
                stopped += corners[0, s, t, j]
                held += corners[2, s, t, j]
                above[t, j] += corners[1, s, t, j] + held
                sums[j, s, t] = stopped + above[t, j]
