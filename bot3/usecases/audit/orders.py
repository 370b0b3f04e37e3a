"""Replay, for an audit, trades with several entries or exits from their filled orders; nothing is learned from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bot3.learning.evaluation.comparison import Comparison, JudgedTrades, clustered_estimate, compare
from bot3.learning.parameters.learner import LearningSettings
from bot3.learning.replay.candle_arrays import WARM_UP_CANDLES, CandleArrays
from bot3.learning.replay.entry_fit import INSIDE, OUTSIDE, entry_fit
from bot3.learning.replay.funding import funding_missing
from bot3.learning.replay.groups import ended_by_hand
from bot3.learning.replay.order_replay import PositionOrder, PositionOutcome, PositionPath, replay_position
from bot3.learning.replay.paths import ReplayCandles
from bot3.learning.replay.trade_table import COMPLETE_SHARE
from bot3.market.instants import instant_us, microseconds
from bot3.ports.foreign_trades import FilledOrder, ForeignTrades
from bot3.trading.exit_law import HELD, LIQUIDATED, REACHED, STOPPED
from bot3.trading.parameters import ParameterSet
from bot3.usecases.audit.replay import AuditCandles, Levels, learned_levels_of, static_levels_of
from bot3.usecases.audit.report import SeveralOrders
from bot3.usecases.learning.left_out import unused_by_reason

_DUST = 0.01
"""Share of the largest position that may remain after the last exit because of fees in base and rounding to the exchange's steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Parameters learned from the trades before the split, and the time of the split in microseconds since 1970."""

    parameters: ParameterSet
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """Trades whose orders can be replayed: their frame, and their paths in its order; `unused` are the other trades' ids and reasons.

    The frame's column `sigma` is the volatility at entry, `ended_us` the time of the last order in microseconds since 1970.
    """

    frame: pd.DataFrame
    paths: tuple[PositionPath, ...]
    unused: tuple[tuple[int, str], ...]


def replay_several_orders(
    trades: pd.DataFrame,
    found: ForeignTrades,
    candles: AuditCandles,
    *,
    missing: Mapping[str, str],
    settings: LearningSettings,
    fit: Fit | None,
    horizon_days: int,
) -> SeveralOrders | None:
    """Replay trades with several orders under the static stop and target, and those after the split also under the learned ones.

    Parameters
    ----------
    trades : DataFrame
        The trade frame of trades with several entries or exits.
    missing : mapping
        Pairs without candles, and why.
    fit : Fit or None
        Learned parameters; None if too little was learned.
    horizon_days : int
        The horizon in days, rounded up; intervals are wider the longer trades overlap.

    Returns
    -------
    SeveralOrders or None
        None if `trades` is empty.
    """
    if not len(trades):
        return None
    traced = _traced(trades, found, candles, missing=missing)
    frame = traced.frame
    unused = unused_by_reason(traced.unused)
    if not len(frame):
        return SeveralOrders(n=0, trades=len(trades), unreplayed=unused)
    static = _replayed(traced, candles, static_levels_of(frame, settings=settings), settings=settings)
    opened, profit = microseconds(frame["open_date"]), frame["close_profit"].to_numpy(dtype=np.float64)
    leverage = frame["leverage"].to_numpy(dtype=np.float64)
    codes = np.array([outcome.code for outcome in static])
    return SeveralOrders(
        n=len(frame),
        trades=len(trades),
        unreplayed=unused,
        orders=sum(len(path.orders) for path in traced.paths),
        orders_done=sum(outcome.orders_done for outcome in static),
        realised_profit=float(profit.mean()),
        static=clustered_estimate(_net(static) * leverage, opened, horizon_days=horizon_days),
        stopped_share=float((codes == STOPPED).mean()),
        reached_share=float((codes == REACHED).mean()),
        held_share=float((codes == HELD).mean()),
        liquidated_share=float((codes == LIQUIDATED).mean()),
        outlived_share=float(_outlived(traced, static, candles).mean()),
        ambiguous_share=float(np.mean([outcome.is_ambiguous for outcome in static])),
        funding_missing_share=_funding_missing_share(frame, candles),
        judged=None if fit is None else _judged(traced, static, candles, settings=settings, fit=fit, horizon_days=horizon_days),
    )


def _judged(
    traced: _Traced,
    static: Sequence[PositionOutcome],
    candles: AuditCandles,
    *,
    settings: LearningSettings,
    fit: Fit,
    horizon_days: int,
) -> Comparison | None:
    """Compare static and learned settings on the trades entered at or after the split; None if there is none."""
    opened = microseconds(traced.frame["open_date"])
    rows = np.flatnonzero(opened >= fit.at_us)
    if not len(rows):
        return None
    later = replace(traced, frame=traced.frame.iloc[rows], paths=tuple(traced.paths[row] for row in rows.tolist()))
    levels, _ = learned_levels_of(later.frame, parameters=fit.parameters, costs=settings.costs)
    outcomes = JudgedTrades(
        open_us=opened[rows],
        leverage=later.frame["leverage"].to_numpy(dtype=np.float64),
        close_profit=later.frame["close_profit"].to_numpy(dtype=np.float64),
        static_move=_net([static[row] for row in rows.tolist()]),
        learned_move=_net(_replayed(later, candles, levels, settings=settings)),
    )
    return compare(outcomes, horizon_days=horizon_days)


def _traced(trades: pd.DataFrame, found: ForeignTrades, candles: AuditCandles, *, missing: Mapping[str, str]) -> _Traced:
    rows, paths, ended, unused = [], [], [], []
    for row, trade in enumerate(trades.to_dict("records")):
        path = _path(trade, found.orders.get(trade["trade_id"], ()), candles, missing=missing)
        if isinstance(path, str):
            unused.append((int(trade["trade_id"]), path))
            continue
        rows.append(row)
        paths.append(path)
        ended.append(max(map(_us, found.orders[trade["trade_id"]])))
    frame = trades.iloc[rows].reset_index(drop=True).assign(sigma=[path.sigma for path in paths], ended_us=ended)
    return _Traced(frame=frame, paths=tuple(paths), unused=tuple(unused))


def _path(
    trade: Mapping[Any, Any], orders: Sequence[FilledOrder], candles: AuditCandles, *, missing: Mapping[str, str]
) -> PositionPath | str:
    """Return a trade's path, or the reason why it has none."""
    if (reason := ended_by_hand(trade)) is not None:
        return reason
    if (reason := _order_problem(orders)) is not None:
        return reason
    pair = trade["pair"]
    if pair not in candles.by_pair:
        return missing[pair]
    own = candles.by_pair[pair]
    before = sorted(orders, key=_us)[:-1]
    opened = np.array([_us(order) for order in before], dtype=np.int64)
    rates = np.array([order.rate for order in before], dtype=np.float64)
    if (reason := _candle_problem(own, candles, first_us=int(opened[0]))) is not None:
        return reason
    places = _places(own, candles, opened=opened, rates=rates)
    if places is None:
        return "the rate of an order is outside its candle: dates in another time zone, or candles of another market"
    return PositionPath(
        orders=tuple(
            PositionOrder(candle=int(place), is_entry=order.is_entry, rate=float(rate), amount=order.amount)
            for place, rate, order in zip(places, rates, before, strict=True)
        ),
        end=_end(own, candles, first_us=int(opened[0])),
        is_short=bool(trade["is_short"]),
        leverage=float(trade["leverage"]),
        sigma=float(own.sigma[places[0] - 1]),
    )


def _us(order: FilledOrder) -> int:
    """Return the time of an order's last fill, which must be known, in microseconds since 1970."""
    assert order.filled_at is not None  # noqa: S101  # orders without a time are rejected before
    return instant_us(order.filled_at)


def _order_problem(orders: Sequence[FilledOrder]) -> str | None:
    """Return why orders do not describe a whole trade; None if they do."""
    if not orders:
        return "several entries or exits, but the orders are not in the source"
    if any(order.rate is None or order.filled_at is None or not order.amount > 0.0 for order in orders):
        return "an order lacks its rate, amount or time"
    held = largest = 0.0
    for place, order in enumerate(sorted(orders, key=_us)):
        held += order.amount if order.is_entry else -order.amount
        largest = max(largest, held)
        is_last = place == len(orders) - 1
        if not is_last and not held > _DUST * largest:
            return "its orders do not add up: the position is closed before the last order"
        if is_last and (order.is_entry or abs(held) > _DUST * largest):
            return "its orders do not add up: the last order does not close the position"
    return None


def _candle_problem(own: CandleArrays, candles: AuditCandles, *, first_us: int) -> str | None:
    """Return why candles do not cover the path from an entry on; None if they do."""
    first = int(np.searchsorted(own.open_us, first_us, side="right")) - 1
    if first < WARM_UP_CANDLES or own.open_us[first] + candles.step_us <= first_us:
        return "no candles before and at the entry"
    if not (np.isfinite(own.sigma[first - 1]) and own.sigma[first - 1] > 0.0):
        return "no volatility is known at the entry"
    if own.open_us[-1] < _last_open_us(candles, first_us=first_us):
        return "candles end before the horizon"
    if _end(own, candles, first_us=first_us) - first - 1 < COMPLETE_SHARE * candles.horizon_candles:
        return "too many candles of the horizon are missing"
    return None


def _places(own: CandleArrays, candles: AuditCandles, *, opened: NDArray[np.int64], rates: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Return the index of each order's candle; None if the rate of an order is outside its candle.

    A bot records a fill when it queries the exchange: if the rate of an order after the first is only in the candle before its timestamp,
    the order was filled in that candle.
    """
    # An order after the last candle is after every horizon that the candles cover.
    places = np.where(opened >= own.open_us[-1] + candles.step_us, len(own), np.searchsorted(own.open_us, opened, side="right") - 1)
    is_outside, was_inside = (
        entry_fit(own, open_us=opened - shift, open_rate=rates, candle_us=candles.step_us) == wanted
        for shift, wanted in ((0, OUTSIDE), (candles.step_us, INSIDE))
    )
    is_earlier = is_outside & was_inside & (places > places[0])
    if bool((is_outside & ~is_earlier).any()):
        return None
    moved: NDArray[np.int64] = np.maximum.accumulate(places - is_earlier)
    return moved


def _last_open_us(candles: AuditCandles, *, first_us: int) -> int:
    return first_us // candles.step_us * candles.step_us + candles.horizon_candles * candles.step_us


def _end(own: CandleArrays, candles: AuditCandles, *, first_us: int) -> int:
    return int(np.searchsorted(own.open_us, _last_open_us(candles, first_us=first_us), side="right"))


def _replayed(traced: _Traced, candles: AuditCandles, levels: Levels, *, settings: LearningSettings) -> list[PositionOutcome]:
    walked = {pair: ReplayCandles.of(candles.by_pair[pair]) for pair in sorted(set(traced.frame["pair"]))}
    places = zip(traced.frame["pair"].tolist(), traced.paths, levels.stop_move, levels.take_profit_move, strict=True)
    return [
        replay_position(walked[pair], path, stop_sigma=-stop / path.sigma, target_sigma=target / path.sigma, costs=settings.costs)
        for pair, path, stop, target in places
    ]


def _outlived(traced: _Traced, outcomes: Sequence[PositionOutcome], candles: AuditCandles) -> NDArray[np.bool_]:
    """Return which simulated exits are in a candle that opened after the trade's real last order."""
    pairs, ended = traced.frame["pair"].tolist(), traced.frame["ended_us"].tolist()
    opens = [candles.by_pair[pair].open_us[outcome.ended_at] for pair, outcome in zip(pairs, outcomes, strict=True)]
    return np.array([opened > real for opened, real in zip(opens, ended, strict=True)], dtype=np.bool_)


def _funding_missing_share(trades: pd.DataFrame, candles: AuditCandles) -> float:
    """Return the share of trades whose funding is not known over their whole horizon; trades of spot pairs are never among them."""
    without = 0
    for pair, own in trades.groupby("pair"):
        opened = microseconds(own["open_date"])
        ends = opened + candles.horizon_candles * candles.step_us
        without += funding_missing(str(pair), candles.by_pair[str(pair)].funding_us, opened, ends)
    return without / len(trades)


def _net(outcomes: Sequence[PositionOutcome]) -> NDArray[np.float64]:
    return np.array([outcome.net for outcome in outcomes], dtype=np.float64)
