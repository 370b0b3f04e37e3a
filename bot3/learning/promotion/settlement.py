"""Settle margin accounts: trades enter and end in order of time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np

from bot3.learning.promotion.accounts import LARGEST_SHARE, Accounts, Bets, reserves


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
        (cash, reserved, shortfall),
        (node, opened_us, ended_us, net, worst, stakes),
        np.argsort(ended_us, kind="stable"),
        len(accounts.bets),
        until_us,
        LARGEST_SHARE,
    )
    stakes[(cash == 0.0)[node]] = 0.0
    still = ended_us > until_us
    names = zip(Bets.__slots__, (node, opened_us, ended_us, net, worst, stakes), strict=True)
    return replace(accounts, cash=cash, shortfall=shortfall, bets=Bets(**{name: column[still] for name, column in names}))


@numba.njit(cache=True)
def _settle_and_stake(money: Any, bets: Any, by_end: Any, first: int, until_us: int, largest: float) -> None:  # noqa: PLR0917  # no keywords in numba
    """Process entries (indices from `first` on) and ends in order of time; `stakes` of new trades change from asked shares to money."""
    cash, reserved, shortfall = money
    node, opened_us, ended_us, net, worst, stakes = bets
    done = 0
    for new in range(first, len(node) + 1):
        limit = opened_us[new] if new < len(node) else until_us + 1
        while done < len(by_end) and ended_us[by_end[done]] < limit:
            old = by_end[done]
            own = node[old]
            for s in range(cash.shape[1]):
                if cash[own, s] == 0.0:  # the account is closed
                    continue
                cash[own, s] += stakes[old, s] * net[old]
                reserved[own, s] -= stakes[old, s] * worst[old]
                if cash[own, s] < reserved[own, s] and net[old] < -worst[old]:
                    shortfall[own] += (reserved[own, s] - cash[own, s]) / cash.shape[1]
                    cash[own, s] = 0.0
            done += 1
        if new == len(node):
            break
        own = node[new]
        for s in range(cash.shape[1]):
            room = max(largest * cash[own, s] - reserved[own, s], 0.0) / worst[new]
            stakes[new, s] = min(stakes[new, s] * cash[own, s], room)
            reserved[own, s] += stakes[new, s] * worst[new]
