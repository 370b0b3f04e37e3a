"""How a trade ends inside a candle: the events that end it, in the order in which they are tested, with the rate and fee of the exit.

`EVENTS` is the table, `CASES` are worked cases of it, and `exit_event` is the function that matching, the paper exchange, the daemon and
the labels call. The replay kernel, the replay of orders, the freqtrade mixin and the numpy benchmark compute the same events in other
forms; tests check each of them against the same cases.

The open is the first rate of a candle, so a stop or target that it has reached or gapped over fills at the open. After the open the worst
rate of a candle is assumed to precede its best one. Rules that need the candle's close are tested last; their exits fill at the next open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numba

HELD, STOPPED, REACHED, LIQUIDATED, GAVE_BACK, TIMED_OUT = range(6)
"""Codes of the outcome of a candle for a trade; `HELD` means that the trade is still open after it."""


NO_RULE = (math.inf, 0.5, math.inf)
"""`ExitRule.numbers` of a trade without exit rules."""


class Moment(StrEnum):
    """Part of the candle in which an event is tested."""

    OPEN = "open"
    INSIDE = "inside"
    CLOSE = "close"


class Fill(StrEnum):
    """Rate at which an event fills, before slippage. `NEXT_OPEN` is the last close for replays and labels that end at their horizon."""

    OPEN = "open"
    LEVEL = "level"
    BANKRUPTCY = "bankruptcy"
    NEXT_OPEN = "next open"


class Fee(StrEnum):
    """Fee and slippage of an event.

    `STOP` is a market order with the slippage of stops in addition. `TARGET` is a market order; if the target is a limit order on the
    exchange and the candle trades through it, it costs the maker fee and no slippage. `NONE`: a liquidation costs exactly the stake.
    """

    MARKET = "taker fee, slippage"
    STOP = "taker fee, slippage of stops"
    TARGET = "taker fee and slippage, or maker fee"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitEvent:
    """One row of the table."""

    code: int
    moment: Moment
    fill: Fill
    fee: Fee


EVENTS = (
    ExitEvent(code=LIQUIDATED, moment=Moment.OPEN, fill=Fill.BANKRUPTCY, fee=Fee.NONE),
    ExitEvent(code=STOPPED, moment=Moment.OPEN, fill=Fill.OPEN, fee=Fee.STOP),
    ExitEvent(code=REACHED, moment=Moment.OPEN, fill=Fill.OPEN, fee=Fee.MARKET),
    # A stop at or beyond the liquidation rate cannot fill.
    ExitEvent(code=STOPPED, moment=Moment.INSIDE, fill=Fill.LEVEL, fee=Fee.STOP),
    ExitEvent(code=LIQUIDATED, moment=Moment.INSIDE, fill=Fill.BANKRUPTCY, fee=Fee.NONE),
    ExitEvent(code=REACHED, moment=Moment.INSIDE, fill=Fill.LEVEL, fee=Fee.TARGET),
    ExitEvent(code=GAVE_BACK, moment=Moment.CLOSE, fill=Fill.NEXT_OPEN, fee=Fee.MARKET),
    ExitEvent(code=TIMED_OUT, moment=Moment.CLOSE, fill=Fill.NEXT_OPEN, fee=Fee.MARKET),
)
"""The events in the order in which they are tested; the first that applies ends the trade."""


@numba.njit(cache=True)
def exit_event(side: float, candle: Any, levels: Any, state: Any, rule: Any) -> tuple[int, float]:  # noqa: PLR0911  # one return an event
    """Return the code of the first event of `EVENTS` in a candle and its rate before slippage; (`HELD`, 0) if the trade stays open.

    Parameters
    ----------
    side : float
        1.0 for a long, -1.0 for a short.
    candle : (open, high, low, close)
    levels : (stop, target, liquidation, bankruptcy)
        NaN for a stop or target that does not exist; liquidation 0 if there is none. Levels and candle are rates, or both are moves of the
        price (signed, with `side` 1.0 and without liquidation).
    state : (open_rate, best_rate, is_over)
        Rate of the entry, best rate from the entry to the end of this candle, and whether the horizon ends at its close or before.
    rule : tuple of float
        `ExitRule.numbers`, or `NO_RULE`.

    Notes
    -----
    A NaN level compares false, so it never triggers. Multiplying by `side` makes one comparison valid for longs and shorts. The fill of an
    event at the close is the close: a caller that knows the next open fills there.
    """
    opened, high, low, close = candle
    stop, target, liquidation, bankruptcy = levels
    open_rate, best_rate, is_over = state
    activation, share, _ = rule
    worst, best = (low, high) if side > 0.0 else (high, low)
    if liquidation > 0.0 and side * (opened - liquidation) <= 0.0:
        return LIQUIDATED, bankruptcy
    if side * (opened - stop) <= 0.0:
        return STOPPED, opened
    if side * (opened - target) >= 0.0:
        return REACHED, opened
    if side * (worst - stop) <= 0.0 and (liquidation == 0.0 or side * (stop - liquidation) > 0.0):
        return STOPPED, stop
    if liquidation > 0.0 and side * (worst - liquidation) <= 0.0:
        return LIQUIDATED, bankruptcy
    if side * (best - target) >= 0.0:
        return REACHED, target
    if gives_back(side, open_rate, best_rate, close, activation, share):
        return GAVE_BACK, close
    return (TIMED_OUT, close) if is_over else (HELD, 0.0)


@numba.njit(cache=True)
def slipped(side: float, code: int, fill: float, slippages: Any) -> float:
    """Return an event's fill rate with slippage (none at a liquidation); `slippages` are (of a market order, of a stop in addition)."""
    slippage, stop_slippage = slippages
    if code == LIQUIDATED:
        return fill
    rate: float = fill * (1.0 - side * (slippage + (stop_slippage if code == STOPPED else 0.0)))
    return rate


@numba.njit(cache=True)
def gives_back(side: float, open_rate: float, best_rate: float, close_rate: float, activation: float, share: float) -> bool:  # noqa: PLR0917  # numba supports no keywords
    """Return whether a close gives back at least a share of the best open move, once that reached the activation (moves of the price)."""
    best = side * (best_rate / open_rate - 1.0)
    return bool(best >= activation and side * (close_rate / open_rate - 1.0) <= (1.0 - share) * best)


@numba.njit(cache=True)
def stop_at_open(side: float, stop: float, opened: float, state: Any, rule: Any) -> float:
    """Return the stop from the open of a candle on: the break-even rate if it is nearer and the rule moves the stop there.

    Parameters
    ----------
    opened : float
        Open of the candle.
    state : (open_rate, best_rate, break_even)
        Rate of the entry, best rate in the trade's earlier candles, and the rate that the rule moves the stop to.
    rule : tuple of float
        `ExitRule.numbers`, or `NO_RULE`.

    Notes
    -----
    At an open that is not beyond the break-even rate the stop is not moved, because an exchange rejects a stop that would trigger at once;
    the next open is tested again.
    """
    open_rate, best_rate, break_even = state
    _, _, activation = rule
    is_active = side * (best_rate / open_rate - 1.0) >= activation
    return break_even if is_active and side * (opened - break_even) > 0.0 and side * (break_even - stop) > 0.0 else stop


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitCase:
    """Worked case: a trade entered at a rate of 100 at 5x with a maintenance margin of 1 %, and the candle that may end it.

    Parameters
    ----------
    candle : (open, high, low, close)
    stop, target : float
        Rates of stop and target. The liquidation rate is about 80.8 for a long and 118.8 for a short, the bankruptcy rate 80 and 120.
    best_rate : float
        Best rate from the entry to the open of the candle.
    is_over : bool
        Whether the horizon ends at the candle's close.
    code : int
        The expected event; the giveback rule has an activation of 2 % and a share of one half.
    fill : float
        Fill rate before slippage; the close for events at the close, 0 without an event.
    moment : Moment
        Part of the candle in which the event is tested; `CLOSE` without an event.
    """

    name: str
    is_short: bool
    candle: tuple[float, float, float, float]
    stop: float
    target: float
    best_rate: float
    is_over: bool
    code: int
    fill: float
    moment: Moment


CASE_RATE, CASE_LEVERAGE, CASE_MAINTENANCE = 100.0, 5.0, 0.01
CASE_ACTIVATION, CASE_SHARE = 0.02, 0.5
_Candle = tuple[float, float, float, float]


def _cases(
    name: str,
    candle: _Candle,
    code: int,
    fill: float = 0.0,
    *,
    moment: Moment,
    stop: float = 96.0,
    target: float = 106.0,
    best_rate: float = 100.5,
    is_over: bool = False,
) -> tuple[ExitCase, ExitCase]:
    """Return a case of a long trade, and the same of a short trade on rates mirrored at the entry."""
    opened, high, low, close = candle
    own = ExitCase(
        name=name,
        is_short=False,
        candle=candle,
        stop=stop,
        target=target,
        best_rate=best_rate,
        is_over=is_over,
        code=code,
        fill=fill,
        moment=moment,
    )
    mirrored = ExitCase(
        name=f"{name}, short",
        is_short=True,
        candle=(200.0 - opened, 200.0 - low, 200.0 - high, 200.0 - close),
        stop=200.0 - stop,
        target=200.0 - target,
        best_rate=200.0 - best_rate,
        is_over=is_over,
        code=code,
        fill=200.0 - fill if code != HELD else 0.0,
        moment=moment,
    )
    return own, mirrored


CASES = (
    *_cases("a quiet candle", (100.0, 101.0, 99.0, 100.0), HELD, moment=Moment.CLOSE),
    *_cases("an open beyond liquidation", (79.0, 107.0, 78.0, 90.0), LIQUIDATED, 80.0, moment=Moment.OPEN),
    *_cases("an open beyond liquidation, a farther stop", (79.0, 90.0, 60.0, 85.0), LIQUIDATED, 80.0, moment=Moment.OPEN, stop=70.0),
    *_cases("an open beyond the stop", (95.0, 99.0, 94.0, 98.0), STOPPED, 95.0, moment=Moment.OPEN),
    *_cases("an open at the stop", (96.0, 99.0, 96.0, 98.0), STOPPED, 96.0, moment=Moment.OPEN),
    *_cases("an open beyond the stop, the target touched later", (95.0, 107.0, 94.0, 98.0), STOPPED, 95.0, moment=Moment.OPEN),
    *_cases("an open beyond the stop, liquidation touched later", (95.0, 99.0, 75.0, 98.0), STOPPED, 95.0, moment=Moment.OPEN),
    *_cases("an open beyond the target", (107.0, 108.0, 106.5, 107.0), REACHED, 107.0, moment=Moment.OPEN),
    *_cases("an open at the target", (106.0, 108.0, 105.0, 107.0), REACHED, 106.0, moment=Moment.OPEN),
    *_cases("an open beyond the target, the stop touched later", (107.0, 108.0, 95.0, 96.0), REACHED, 107.0, moment=Moment.OPEN),
    *_cases("the stop touched", (100.0, 101.0, 95.0, 98.0), STOPPED, 96.0, moment=Moment.INSIDE),
    *_cases("the stop touched exactly", (100.0, 101.0, 96.0, 98.0), STOPPED, 96.0, moment=Moment.INSIDE),
    *_cases("stop and target touched", (100.0, 107.0, 95.0, 98.0), STOPPED, 96.0, moment=Moment.INSIDE),
    *_cases("stop and liquidation touched", (100.0, 101.0, 75.0, 98.0), STOPPED, 96.0, moment=Moment.INSIDE),
    *_cases("a stop beyond liquidation, both touched", (100.0, 101.0, 65.0, 98.0), LIQUIDATED, 80.0, moment=Moment.INSIDE, stop=70.0),
    *_cases("liquidation and target touched", (100.0, 107.0, 75.0, 98.0), LIQUIDATED, 80.0, moment=Moment.INSIDE, stop=70.0),
    *_cases("the target touched", (100.0, 107.0, 99.0, 104.0), REACHED, 106.0, moment=Moment.INSIDE),
    *_cases("the target touched exactly", (100.0, 106.0, 99.0, 104.0), REACHED, 106.0, moment=Moment.INSIDE),
    *_cases("half of the best move given back", (103.0, 103.5, 101.0, 101.5), GAVE_BACK, 101.5, moment=Moment.CLOSE, best_rate=104.0),
    *_cases("the best move reached and given back in one candle", (100.0, 104.0, 99.0, 101.0), GAVE_BACK, 101.0, moment=Moment.CLOSE),
    *_cases("less than half given back", (103.0, 103.5, 102.0, 102.5), HELD, moment=Moment.CLOSE, best_rate=104.0),
    *_cases("all given back below the activation", (101.0, 101.5, 99.0, 99.5), HELD, moment=Moment.CLOSE, best_rate=101.5),
    *_cases("the horizon over", (100.0, 101.0, 99.0, 100.5), TIMED_OUT, 100.5, moment=Moment.CLOSE, is_over=True),
    *_cases(
        "given back at the horizon", (103.0, 103.5, 101.0, 101.5), GAVE_BACK, 101.5, moment=Moment.CLOSE, best_rate=104.0, is_over=True
    ),
    *_cases("the stop touched as the horizon ends", (100.0, 101.0, 95.0, 98.0), STOPPED, 96.0, moment=Moment.INSIDE, is_over=True),
    *_cases("the stop touched and half given back", (103.0, 103.5, 95.0, 99.0), STOPPED, 96.0, moment=Moment.INSIDE, best_rate=104.0),
)
"""Worked cases of `EVENTS`: every row, ties between rows, and candles without an event."""


@numba.njit(cache=True)
def walk_trade(candles: Any, entry: int, side: float, rates: Any, rule: Any, slippages: Any, candle_us: int) -> Any:  # noqa: PLR0917
    """Match a trade against its candles one by one.

    Return (code, index, close_us, rate, funding_ratio, min_rate, max_rate, stop_rate) as `matching.MatchedExit`; the code is HELD if the
    trade is still open after the last candle, or if its exit would fill at the open after it.

    Parameters
    ----------
    candles : (open_us, open, high, low, close, funding_sum)
    rates : (open_rate, stop, target, liquidation, bankruptcy)
    rule : (`ExitRule.numbers`, break-even rate, end of the horizon in microseconds since 1970)
    slippages : (slippage, stop_slippage)
    """
    open_us, opens, highs, lows, closes, funding_sum = candles
    open_rate, stop, target, liquidation, bankruptcy = rates
    numbers, break_even, expires_us = rule
    funding, lowest, highest = 0.0, open_rate, open_rate
    last = len(opens) - 1
    for i in range(entry, last + 1):
        if i > entry:
            # Funding is paid on the position's value at that time; the candle's open is used as the mark rate.
            funding -= side * (funding_sum[i] - funding_sum[i - 1]) * opens[i] / open_rate
            best = highest if side > 0.0 else lowest
            stop = stop_at_open(side, stop, opens[i], (open_rate, best, break_even), numbers)
        low, high = min(lowest, lows[i]), max(highest, highs[i])
        state = (open_rate, high if side > 0.0 else low, open_us[i] + candle_us >= expires_us)
        code, fill = exit_event(side, (opens[i], highs[i], lows[i], closes[i]), (stop, target, liquidation, bankruptcy), state, numbers)
        if code in (STOPPED, REACHED, LIQUIDATED):
            rate = slipped(side, code, fill, slippages)
            return code, i, open_us[i] + candle_us, rate, funding, min(lowest, rate), max(highest, rate), stop
        lowest, highest = low, high
        # Giveback and time exit at the next candle's open.
        if code != HELD and i < last:
            rate = slipped(side, code, opens[i + 1], slippages)
            funding -= side * (funding_sum[i + 1] - funding_sum[i]) * opens[i + 1] / open_rate
            return code, i + 1, open_us[i + 1], rate, funding, min(lowest, rate), max(highest, rate), stop
        # Without a next candle the exit has no rate yet, so the trade is returned as open.
        if code != HELD:
            break
    return HELD, last, open_us[last], open_rate, funding, lowest, highest, stop
