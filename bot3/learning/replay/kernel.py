"""The inner loops of replay, compiled by numba: the events of `trading.exit_law` for all stops and targets of a grid at once.

Rates are mirrored for shorts (times -1), so that a stop always lies below and a target above. Stops are touched in the order of their
distance, and so are targets. When a stop is touched, the targets touched before it are the first t* ones: in every cell of that stop from
t* on, the stop determines the outcome. So one addition at (stop, t*) represents a whole row, another at (s*, target) a whole column, and
one at the first levels that were never touched represents all cells that are open until the end. Prefix sums at the end of a group convert
these corners to cells: the cost of a trade is proportional to the length of its path plus the levels it touches, not to their product.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bot3.learning.replay.lanes import BLOCK, BLOCKS, first_block, first_in_block, soon
from bot3.trading.exit_law import GAVE_BACK, HELD, LIQUIDATED, REACHED, STOPPED

TOTAL, SQUARES, WINS, PROFIT, AMBIGUOUS = range(5)
"""Indices of the sums that `sum_paths` fills; AMBIGUOUS is an unweighted count, the others are weighted."""
OPEN, CLOSE, LOW, MINUS_HIGH, BLOCK_LOW, BLOCK_MINUS_HIGH = range(6)
"""Rows of the prices: highs are mirrored; the last two rows are the minima of LOW and MINUS_HIGH over a block from each candle on."""
ROWS = 6
NEVER = 2**40
"""Instant of a level that is never touched."""


@numba.njit(cache=True, error_model="numpy")
def sum_paths(candles: Any, paths: Any, grouped: Any, levels: Any, costs: Any, rule: Any, sums: Any) -> None:  # noqa: PLR0917  # numba supports no keywords
    """Replay all paths under all levels, and fill `sums`, of shape (groups, 5, stops, targets).

    Parameters
    ----------
    candles : (prices, funding)
        Prices of shape (6, n) in the rows above, flattened.
    paths : (entry, end, open_rate, is_short, leverage, sigma, weight, has_entry_candle)
    grouped : (order, starts)
        Paths of group g are order[starts[g]:starts[g + 1]].
    levels : (stops, targets)
        Distances in sigmas, ascending.
    costs : (taker_fee, maker_fee, slippage, stop_slippage, maintenance_margin_ratio, target_rests)
    rule : (giveback activation, giveback share, break-even activation)
        `ExitRules.numbers`; activations are in sigmas, an infinite one disables its rule.
    """
    order, starts = grouped
    n_stops, n_targets = len(levels[0]), len(levels[1])
    # `corners` has the kinds stop, target and end of the horizon, and four sums each. `both` counts touches of both levels in one candle as
    # differences along the stops. Both are reused for all groups.
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
    """Replay each path under its own stop and target; other parameters as for `sum_paths`.

    Parameters
    ----------
    levels : (stop_sigma, target_sigma)
        One stop and one target per path.
    left : (net, ended_at, code, is_ambiguous)
        Output arrays: net move, index of the candle in which the path ends, code of the end, whether both levels were touched inside it.
    """
    # A grid of one cell per path: exactly one of the three corners is set, so their sum is the outcome.
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
    """Fill `summary`, of shape (4, paths): worst, best and last move of the price over the whole path, and funding received as a move."""
    # Lows and mirrored highs are both minimised; for shorts the roles of worst and best are swapped afterwards.
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
    """Allocate buffers for one path: rates and instants of stops (row 0) and targets (row 1), one extra for NEVER, and block minima."""
    return np.empty((2, n + 1), np.float32), np.empty((2, n + 1), np.int64), np.empty(BLOCKS, np.float32)


@numba.njit(cache=True, error_model="numpy")
def _expect(candles: Any, paths: Any, k: int) -> None:
    """Prefetch the candles of the next path into the CPU cache while the current path is processed."""
    n = len(candles[1])
    for i in range(paths[0][k], paths[1][k], BLOCK):
        for row in (OPEN, LOW, MINUS_HIGH, BLOCK_LOW, BLOCK_MINUS_HIGH):
            soon(candles[0], row * n + i)
        soon(candles[1], i)
        soon(candles[1], i + BLOCK // 2)


@numba.njit(cache=True, error_model="numpy")
def _scatter(candles: Any, paths: Any, k: int, levels: Any, costs: Any, rule: Any, room: Any, corners: Any, both: Any) -> tuple[int, int]:  # noqa: PLR0917
    """Replay one path and add its corners; return the candle and the code of the end under the first stop and the first target."""
    entry, end, rate, leverage, sigma = paths[0][k], paths[1][k], paths[2][k], paths[4][k], paths[5][k]
    side = -1.0 if paths[3][k] else 1.0
    fee, maker, slip, stop_slip, maintenance, rests = costs
    n = len(candles[1])
    # A net move is factor * fill + paid * funding - side, with rates mirrored by `side` and `opened` as the entry value including its fee.
    opened = rate * (1.0 + side * fee)
    taker = (1.0 - side * fee) * (1.0 - side * slip) / opened
    paid = -side / opened
    first = entry if paths[7] else entry + 1
    # Default end: the last close of the horizon. A giveback shortens the path to the open at which it exits.
    held_code, last, closed = HELD, end - 1, side * candles[0][CLOSE * n + end - 1]
    if rule[0] < np.inf:
        given = _giveback_end(candles[0], n, first, end, side, rate, rule[0] * sigma, rule[1])
        if given < end:
            held_code, end, last, closed = GAVE_BACK, given, given, side * candles[0][OPEN * n + given]
    held = taker * closed + paid * (candles[1][last] - candles[1][entry]) - side
    # Isolated margin: it is lost at the rate where it no longer covers the maintenance margin of the position's value there.
    liquidation = np.float64(np.float32(side * rate - rate * (1.0 / leverage - maintenance) / (1.0 - side * maintenance)))
    # The loss is limited to the margin, without costs of an exit.
    floor = side * (rate * (1.0 - side / leverage) / opened - 1.0)
    window = (entry, first, end, n)
    worst_row, ladder = LOW if side > 0.0 else MINUS_HIGH, (side, side * rate, rate * sigma, liquidation)
    if rule[2] < np.inf:
        # The rate at which a stop's net move is 0; stops that are untouched when the rule becomes active are moved there.
        break_even = np.float32(side * opened / ((1.0 - side * fee) * (1.0 - side * (slip + stop_slip))))
        moved = _break_even_start(candles[0], n, first, end, side, rate, rule[2] * sigma, break_even)
        stopped = _touch(candles[0], (entry, first, moved, n), worst_row, levels[0], ladder, room, 0)
        stopped = _touch_moved(candles[0], (first, moved, end, n), worst_row, side, break_even, room, stopped, len(levels[0]))
    else:
        stopped = _touch(candles[0], window, worst_row, levels[0], ladder, room, 0)
    # Targets are mirrored once more, so that a touch is a fall to the level, as for stops.
    reached = _touch(
        candles[0], window, MINUS_HIGH if side > 0.0 else LOW, levels[1], (-side, -side * rate, rate * sigma, -np.inf), room, 1
    )
    # Factors of the net move for a stop, a market exit and a target (a limit order or not), then the other constants of `_merge`.
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
    # Cells whose stop and target are both untouched end at the horizon or by the giveback.
    if s < shape[0] and t < shape[1]:
        _add(corners, 2, s, t, held, paths[6][k])
    if s == 0 and t == 0:
        return last, held_code
    stop_at, target_at = room[1][0, 0], room[1][1, 0]
    if stop_at <= target_at:
        at = first + stop_at // 2
        fill = np.float64(room[0][0, 0]) if stop_at & 1 == 1 else side * np.float64(candles[0][OPEN * n + at])
        return at, LIQUIDATED if fill <= liquidation else STOPPED
    return first + target_at // 2, REACHED


@numba.njit(cache=True, error_model="numpy")
def _giveback_end(prices: Any, n: int, first: int, end: int, side: float, rate: float, activation: float, share: float) -> int:  # noqa: PLR0917
    """Return the candle at whose open the giveback exits; `end` if it does not exit before the horizon."""
    # `best` is the best move so far, from mirrored highs for a long and from lows for a short.
    best = -np.inf
    for i in range(first, end - 1):
        best = max(best, -np.float64(prices[(MINUS_HIGH if side > 0.0 else LOW) * n + i]) / rate - side)
        if best >= activation and side * prices[CLOSE * n + i] / rate - side <= (1.0 - share) * best:
            return i + 1
    return end


@numba.njit(cache=True, error_model="numpy")
def _break_even_start(prices: Any, n: int, first: int, end: int, side: float, rate: float, activation: float, break_even: Any) -> int:  # noqa: PLR0917
    """Return the candle from whose open on the stops are at the break-even rate; `end` if they never are (`exit_law.stop_at_open`)."""
    best = -np.inf
    for i in range(first, end - 1):
        best = max(best, -np.float64(prices[(MINUS_HIGH if side > 0.0 else LOW) * n + i]) / rate - side)
        if best >= activation and np.float32(side) * prices[OPEN * n + i + 1] > break_even:
            return i + 1
    return end


@numba.njit(cache=True, error_model="numpy")
def _touch_moved(prices: Any, window: Any, row: int, side: float, break_even: Any, room: Any, touched: int, count: int) -> int:  # noqa: PLR0917
    """Find the instant at which the stops moved to break-even are touched, all at once; return the number of touched stops.

    Stops up to `touched` were touched before they could move; the others of `count` are written to `room` as by `_touch`.
    """
    first, moved, end, n = window
    for i in range(moved, end):
        if prices[row * n + i] <= break_even:
            inside = int(np.float32(side) * prices[OPEN * n + i] > break_even)
            for level in range(touched, count):
                room[0][0, level] = break_even
                room[1][0, level] = 2 * (i - first) + inside
            room[1][0, count] = NEVER
            return count
    return touched


@numba.njit(cache=True, error_model="numpy")
def _touch(prices: Any, window: Any, row: int, distances: Any, ladder: Any, room: Any, kind: int) -> int:  # noqa: PLR0917
    """Find the instant at which each level is first touched, and write it to `room`; return the number of touched levels.

    An instant is twice the candle's index in the path, plus one if the touch is inside the candle and not at its open. `ladder` is (sign of
    the prices, rate at distance 0, step, lowest rate); a level is the float32 nearest to its rate, as for candles.

    Notes
    -----
    Levels are ascending by distance, so one pass over the candles suffices. For a batch of blocks, the running minimum shows whether the
    next level is touched at all, then in which block; only that block is searched for the candle.
    """
    entry, first, end, n = window
    sign, origin, step, lowest = ladder
    level, start = 0, first
    rate = _level_rate(origin - step * distances[0], lowest)
    while start < end and level < len(distances):
        # Running minima of the blocks from `start` on: room[2][b] is the minimum over blocks 0 to b.
        run = np.float32(np.inf)
        for block in range(min(BLOCKS, (end - start + BLOCK - 1) // BLOCK)):
            worst = prices[(row + 2) * n + start + block * BLOCK]
            run = min(run, worst)
            room[2][block] = run
        while run <= rate:
            at = start + BLOCK * first_block(room[2], 0, rate)
            at += first_in_block(prices, row * n + at, rate)
            # A block may extend beyond the end of the path.
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
    # Levels beyond the liquidation rate are replaced by it.
    return np.float32(max(rate, lowest))


@numba.njit(cache=True, error_model="numpy")
def _merge(  # noqa: PLR0917
    candles: Any, window: Any, side: float, room: Any, counts: Any, shape: Any, nets: Any, weight: float, corners: Any, both: Any
) -> tuple[int, int]:
    """Merge the touches of stops and targets by instant and add a corner for each; return how many of each kind were processed.

    The merge ends when all levels of one kind in the grid are touched, since no cell is open then, or no touches are left. The outcome of a
    touch is computed for both kinds and selected afterwards: the order of the kinds is unpredictable, and a mispredicted branch is slower
    than the arithmetic.
    """
    entry, first, _, n = window
    stop_net, taker_net, maker_net, paid, floor, liquidation = nets
    best_row = MINUS_HIGH if side > 0.0 else LOW
    s, t, clash_at, clash_from = 0, 0, -1, 0
    while (s < counts[0]) | (t < counts[1]):
        stop_at, target_at = room[1][0, s], room[1][1, t]
        # At equal instants the stop is assumed to be first.
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
        # The maker fee applies only if the price trades through the target inside the candle.
        net = maker_net if is_inside & (candles[0][best_row * n + i] < target) else taker_net
        won = net * (-target if is_inside else opened) + constant
        _add(corners, 1 - is_stop, s, t, lost if is_stop == 1 else won, weight)
        # Ambiguous cells: stops and targets touched inside the same candle. `clash_from` is the first such stop; +1 there and -1 after the
        # last one become counts by the prefix sums in `_finish`.
        opens_clash = is_inside & (is_stop == 1) & (clash_at != at)
        clash_at, clash_from = at if opens_clash else clash_at, s if opens_clash else clash_from
        if is_inside & (clash_at == at) & (is_stop == 0):
            both[clash_from, t] += 1.0
            both[s, t] -= 1.0
        s, t = s + is_stop, t + 1 - is_stop
        if (s == shape[0]) | (t == shape[1]):
            break
    # If the stops are used up in a candle, count its remaining ambiguous targets as well.
    while s == shape[0] and t < counts[1] and room[1][1, t] == clash_at:
        both[clash_from, t] += 1.0
        both[s, t] -= 1.0
        t += 1
    return s, t


@numba.njit(cache=True, error_model="numpy", inline="always")
def _add(corners: Any, kind: int, s: int, t: int, value: float, weight: float) -> None:  # noqa: PLR0917
    """Add one outcome to a corner: weighted value, square, win and gross profit."""
    weighted = weight * value
    corners[kind, s, t, 0] += weighted
    corners[kind, s, t, 1] += weighted * value
    corners[kind, s, t, 2] += weight if value > 0.0 else 0.0
    corners[kind, s, t, 3] += weighted if value > 0.0 else 0.0


@numba.njit(cache=True, error_model="numpy")
def _finish(corners: Any, both: Any, sums: Any) -> None:
    """Convert corners to cells by prefix sums: of stops along targets, of targets along stops, of open ends along both."""
    n_stops, n_targets = both.shape[0] - 1, both.shape[1]
    # `above` accumulates along the stops, `stopped` and `held` along the targets, so each cell is visited once.
    above = np.zeros((n_targets, 4))
    ambiguous = np.zeros(n_targets)
    for s in range(n_stops):
        for t in range(n_targets):
            ambiguous[t] += both[s, t]
            sums[AMBIGUOUS, s, t] = ambiguous[t]
        for j in range(4):
            stopped, held = 0.0, 0.0
            for t in range(n_targets):
                stopped += corners[0, s, t, j]
                held += corners[2, s, t, j]
                above[t, j] += corners[1, s, t, j] + held
                sums[j, s, t] = stopped + above[t, j]
