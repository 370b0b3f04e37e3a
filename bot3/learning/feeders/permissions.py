"""Decide by margin accounts which feeders may trade in which direction, from their shadow trades: a second family of nodes.

A node is a feeder and a direction. The rule is that of pairs and directions (`promotion.accounts`, `promotion.closed_testing`), with its
own nominal probability. All shadow trades are stored and never change, so the accounts are computed from all of them each time, and nothing
is stored. Each trade asks for the share of cash that would grow fastest if the node's earlier trades, as known before its UTC day began,
were right about its expectancy.

Drift: after each trade, the Page-Hinkley statistic of the node grows by how far the result lies below what the node's earlier trades
predicted, in standard deviations. Above `DRIFT_LIMIT` the node is begun again: its accounts (`Accounts.restarted`) and its predictions. So
drift closes a node at once, and never opens one; a false alarm costs power, and no alarm makes a wrong opening more likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numba
import numpy as np
import pandas as pd

from bot3.learning.feeders.specs import FEEDERS
from bot3.learning.promotion.accounts import GAP_SIGMA, SCALES, Accounts, Bets, first_cash, no_bets
from bot3.learning.promotion.closed_testing import needed, selected
from bot3.learning.promotion.permissions import Node, Progress
from bot3.learning.promotion.settlement import fold
from bot3.learning.replay.censoring import longest_wait_us
from bot3.market.instants import DAY_US, instant_of, instant_us, microseconds
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trades import DIRECTIONS

NODES: tuple[Node, ...] = tuple((feeder, side) for feeder in FEEDER_IDS for side in DIRECTIONS)
"""All nodes, from the first day on: none joins later."""
PRIOR_TRADES, PRIOR_DEVIATION = 100.0, 0.02
"""Number of trades without profit, and their standard deviation, that count before a node's own."""
_LONGEST_US = max(spec.horizon.duration for spec in FEEDERS.values()) // timedelta(microseconds=1)
DRIFT_SLACK, DRIFT_LIMIT = 0.05, 50.0
"""Loss below the prediction that is not counted as drift, and the sum that is an alarm; both in standard deviations of one trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederPermission:
    """Evidence of a feeder in one direction.

    Parameters
    ----------
    progress : Progress
        Evidence at the end of the last counted day, and the evidence that would open the node.
    is_open : bool
        Whether it may trade at full size if its lower bound is above 0.
    trades : int
        Number of its trades that were counted.
    drifted_at : datetime or None
        Market time of its last drift alarm; None without one.
    """

    progress: Progress
    is_open: bool
    trades: int
    drifted_at: datetime | None


def feeder_permissions(
    shadow_trades: pd.DataFrame, *, now: datetime, stop_loss: float, round_trip: float
) -> Mapping[Node, FeederPermission]:
    """Return the permission of every feeder in each direction, from the shadow trades known at a market time.

    Trades are known once they are closed: they are counted up to the end of the last UTC day after which the longest time that any trade
    was open has passed.

    Parameters
    ----------
    shadow_trades : DataFrame
        The record's shadow frame; rows known after `now` and those of other feeders are ignored.
    stop_loss : float
        Stop of shadow trades, ratio of the stake, below 0: with `GAP_SIGMA` it is the worst loss, at most the margin.
    round_trip : float
        Costs of an entry and an exit, ratio of the price.
    """
    known = shadow_trades[(shadow_trades["known_at"] <= pd.Timestamp(now)) & shadow_trades["feeder_id"].isin(FEEDER_IDS)]
    opened_us, ended_us = microseconds(known["open_date"]), microseconds(known["close_date"])
    # Shadow trades are known once they have ended: a day is counted when the longest of its trades must have.
    wait_us = max(_LONGEST_US, longest_wait_us(opened_us, ended_us))
    until_us = (instant_us(now) - wait_us) // DAY_US * DAY_US
    is_counted = (opened_us < until_us) & (ended_us > opened_us)
    known, order = known[is_counted], np.argsort(opened_us[is_counted], kind="stable")
    alarms, bets = _bets(known.iloc[order], stop_loss=stop_loss, round_trip=round_trip, until_us=until_us)
    accounts = _settled(bets, alarms, until_us=until_us)
    evidence, counts = accounts.evidence(), np.bincount(bets.node, minlength=len(NODES))
    rows = zip(np.log(evidence).tolist(), np.log(needed(evidence)).tolist(), selected(evidence).tolist(), counts.tolist(), strict=True)
    last = {place: instant_of(at) for at, place in alarms}
    return {
        node: FeederPermission(
            progress=Progress(log_evidence=own, log_needed=enough), is_open=is_open, trades=count, drifted_at=last.get(place)
        )
        for place, (node, (own, enough, is_open, count)) in enumerate(zip(NODES, rows, strict=True))
    }


def _bets(trades: pd.DataFrame, *, stop_loss: float, round_trip: float, until_us: int) -> tuple[list[tuple[int, int]], Bets]:
    """Return the drift alarms (time, node) in order of time, and the bets of trades that are sorted by entry."""
    node = np.array([NODES.index((feeder, DIRECTIONS[int(is_short)])) for feeder, is_short in _names(trades)], dtype=np.int64)
    opened_us, ended_us = microseconds(trades["open_date"]), microseconds(trades["close_date"])
    net, leverage, sigma = (trades[name].to_numpy(dtype=np.float64) for name in ("close_move", "leverage", "sigma"))
    by_end = np.argsort(ended_us, kind="stable")
    asked, is_alarm = np.zeros(len(node)), np.zeros(len(node), dtype=np.bool_)
    _predict(
        (node, opened_us, ended_us, net), by_end, until_us, (PRIOR_TRADES, PRIOR_DEVIATION**2), (DRIFT_SLACK, DRIFT_LIMIT), asked, is_alarm
    )
    bets = Bets(
        node=node,
        opened_us=opened_us,
        ended_us=ended_us,
        net=net,
        worst=np.minimum(-stop_loss / leverage + GAP_SIGMA * sigma, 1.0 / leverage) + round_trip,
        stakes=asked[:, None] * np.array(SCALES),
    )
    return sorted(zip(ended_us[is_alarm].tolist(), node[is_alarm].tolist(), strict=True)), bets


def _names(trades: pd.DataFrame) -> list[tuple[str, bool]]:
    return list(zip(trades["feeder_id"].astype(str).tolist(), trades["is_short"].tolist(), strict=True))


def _settled(bets: Bets, alarms: list[tuple[int, int]], *, until_us: int) -> Accounts:
    """Return the accounts after all bets, begun again at each alarm."""
    start, number = np.ones(len(NODES)), np.ones(len(NODES), dtype=np.int64)
    cash = np.repeat(first_cash(start, number)[:, None], len(SCALES), axis=1)
    accounts, done = Accounts(start=start, number=number, cash=cash, shortfall=np.zeros(len(NODES)), bets=no_bets()), 0
    for at, place in [*alarms, (until_us, -1)]:
        entered = int(np.searchsorted(bets.opened_us, at, side="right"))
        accounts = fold(accounts, bets.at(slice(done, entered)), until_us=at)
        done = entered
        if place >= 0:
            accounts = accounts.restarted(np.arange(len(NODES)) == place)
    return accounts


@numba.njit(cache=True)
def _predict(  # noqa: PLR0917  # no keywords in numba
    trades: Any, by_end: Any, until_us: int, prior: Any, drift: Any, asked: Any, is_alarm: Any
) -> None:
    """Fill the asked share of each trade, from its node's trades known before its day, and mark the trades whose end raised an alarm."""
    node, opened_us, ended_us, net = trades
    prior_n, prior_variance = prior
    slack, limit = drift
    nodes = node.max() + 1 if len(node) else 0
    n, total, squares, below = np.zeros(nodes), np.zeros(nodes), np.zeros(nodes), np.zeros(nodes)
    predicted, deviation = np.zeros(len(node)), np.zeros(len(node))
    done = 0
    for new in range(len(node) + 1):
        day = opened_us[new] // DAY_US * DAY_US if new < len(node) else until_us
        while done < len(by_end) and ended_us[by_end[done]] <= day:
            old = by_end[done]
            done += 1
            own = node[old]
            n[own], total[own], squares[own] = n[own] + 1.0, total[own] + net[old], squares[own] + net[old] ** 2
            below[own] = max(0.0, below[own] + (predicted[old] - net[old]) / deviation[old] - slack)
            if below[own] > limit:
                is_alarm[old] = True
                n[own], total[own], squares[own], below[own] = 0.0, 0.0, 0.0, 0.0
        if new == len(node):
            break
        own = node[new]
        count = n[own] + prior_n
        variance = (squares[own] + prior_n * prior_variance) / count
        predicted[new], deviation[new] = max(total[own] / count, 0.0), np.sqrt(variance)
        asked[new] = predicted[new] / (variance + variance / count)
