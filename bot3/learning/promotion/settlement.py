"""Settle margin accounts: trades enter and end in order of time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np

from bot3.learning.promotion.accounts import LARGEST_CASH, LARGEST_SHARE, SMALLEST_CASH, Accounts, Bets, reserves


def fold(accounts: Accounts, entered: Bets, *, until_us: int) -> Accounts:
    """Return the accounts after some trades entered, and after all trades ended that end by a time.

    A trade that ends at the instant of an entry is settled after that entry.

    Parameters
    ----------
    entered : Bets
        New trades in the order of their entries, all after the last fold and before `until_us`; `stakes` are the asked shares.
    until_us : int
        Microseconds since 1970 up to which trades are settled.
    """
    parts = [(getattr(accounts.bets, name), getattr(entered, name)) for name in Bets.__slots__]
    node, opened_us, ended_us, net, worst, stakes = (np.concatenate(part) for part in parts)
    cash, shortfall = accounts.cash.copy(), accounts.shortfall.copy()
    reserved = reserves(cash.shape, accounts.bets)
    _settle_and_stake(
        (cash, reserved, shortfall, np.bincount(accounts.bets.node, minlength=len(cash))),
        (node, opened_us, ended_us, net, worst, stakes),
        np.argsort(ended_us, kind="stable"),
        len(accounts.bets),
        until_us,
        (LARGEST_SHARE, SMALLEST_CASH, LARGEST_CASH),
    )
    stakes[(cash == 0.0)[node]] = 0.0
    still = ended_us > until_us
    names = zip(Bets.__slots__, (node, opened_us, ended_us, net, worst, stakes), strict=True)
    return replace(accounts, cash=cash, shortfall=shortfall, bets=Bets(**{name: column[still] for name, column in names}))


@numba.njit(cache=True)
def _settle_and_stake(money: Any, bets: Any, by_end: Any, first: int, until_us: int, limits: Any) -> None:  # noqa: PLR0917  # no keywords in numba
    """Process entries (indices from `first` on) and ends in order of time; `stakes` of new trades change from asked shares to money."""
    cash, reserved, _, held = money
    node, opened_us, ended_us, _, worst, stakes = bets
    done = 0
    for new in range(first, len(node) + 1):
        limit = opened_us[new] if new < len(node) else until_us + 1
        while done < len(by_end) and ended_us[by_end[done]] < limit:
            _settle(money, bets, by_end[done], limits)
            done += 1
        if new == len(node):
            break
        own = node[new]
        held[own] += 1
        for s in range(cash.shape[1]):
            room = max(limits[0] * cash[own, s] - reserved[own, s], 0.0) / worst[new]
            stakes[new, s] = min(stakes[new, s] * cash[own, s], room)
            reserved[own, s] += stakes[new, s] * worst[new]


@numba.njit(cache=True)
def _settle(money: Any, bets: Any, ended: int, limits: Any) -> None:
    """Add the result of a trade to the accounts of its node that are not closed, and free its reserve."""
    cash, reserved, shortfall, held = money
    node, _, _, net, worst, stakes = bets
    _, smallest_cash, largest_cash = limits
    own = node[ended]
    held[own] -= 1
    for s in range(cash.shape[1]):
        if cash[own, s] == 0.0:
            continue
        cash[own, s] = min(cash[own, s] + stakes[ended, s] * net[ended], largest_cash)
        # Exactly 0 without open trades: rounding errors of large reserves would matter once the cash is small.
        reserved[own, s] = reserved[own, s] - stakes[ended, s] * worst[ended] if held[own] else 0.0
        if cash[own, s] < reserved[own, s] and net[ended] < -worst[ended]:
            shortfall[own] += (reserved[own, s] - cash[own, s]) / cash.shape[1]
            cash[own, s] = 0.0
        if cash[own, s] < smallest_cash:
            cash[own, s] = 0.0
