"""Groups of trades for learning, and the rules that decide from which trades is learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot3.trading.horizons import Horizon
from bot3.trading.leverage_bins import LeverageBins, is_outside
from bot3.trading.parameters import ANY
from bot3.trading.trade_classes import bin_of, class_label, class_parts, horizon_of
from bot3.trading.trades import DIRECTIONS, ExitReason, OrderPattern

Group = tuple[str, str, str]
"""(pair, direction, label of a leverage bin and a horizon), "*" for all pairs, directions and bins.

A group contains trades of one horizon (`trading.trade_classes`). A cell is a group without "*"; the root is the group of all trades of
24 h.
"""

ROOT: Group = (ANY, ANY, ANY)
STATIC = "static"

OUTSIDE_BINS_REASON = "leverage outside the bins"

CONTROL_BOTS = ("BOT1", "BOT2")
_FORCED = frozenset(
    {ExitReason.FORCE_EXIT, ExitReason.EMERGENCY_EXIT, ExitReason.LIQUIDATION, "force_sell", "emergency_sell", "sold_on_exchange"}
)

OUTSIDE_CANDLES = (
    "without orders, and most of the bot's trades without orders have rates outside the candle of their entry: "
    "several entries, dates in another time zone, or candles of another market"
)
SEVERAL_ORDERS = "several entries or exits (their rates do not describe the whole trade)"


def is_learned(leverage_bin: str) -> bool:
    """Return whether trades with this label in the record are learned from: not those with a leverage outside the bins."""
    return not is_outside(bin_of(leverage_bin))


def group_key(group: Group) -> str:
    """Return "pair|direction|bin"."""
    return "|".join(group)


def group_of_key(key: str) -> Group:
    """Parse a group from "pair|direction|bin"; only the pair may itself contain a bar."""
    pair, side, leverage_bin = key.rsplit("|", 2)
    return pair, side, leverage_bin


def parent_of(group: Group) -> Group | None:
    """Return the parent of a group; None for the root.

    The parent of a cell is its pair and direction, of that the direction, of a direction or a leverage bin the group of all trades of its
    horizon, and of that the root.
    """
    pair, side, label = group
    leverage_bin, horizon = class_parts(label)
    if group == ROOT:
        return None
    if side == ANY:
        return ROOT if leverage_bin == ANY else horizon_group(horizon)
    every = class_label(ANY, horizon)
    if leverage_bin != ANY:
        return pair, side, every
    return (ANY, side, every) if pair != ANY else horizon_group(horizon)


def level_of(group: Group) -> str:
    """Return "cell", "pair", "direction", "bin", "horizon" (all trades of a horizon other than 24 h) or "root"."""
    pair, side, label = group
    leverage_bin = bin_of(label)
    if group == ROOT:
        return "root"
    if side == ANY:
        return "horizon" if leverage_bin == ANY else "bin"
    if leverage_bin != ANY:
        return "cell"
    return "pair" if pair != ANY else "direction"


def bin_group(label: str) -> Group:
    """Return the group of all trades of one leverage bin and horizon, given as a label."""
    return ANY, ANY, label


def horizon_group(horizon: Horizon) -> Group:
    """Return the group of all trades of a horizon; the root for 24 h."""
    return ANY, ANY, class_label(ANY, horizon)


def parent_groups(cells: Iterable[Group], *, bins: LeverageBins) -> list[Group]:
    """Return all groups above some cells, root first: root, both directions, pairs x directions, then one group per bin.

    Those of every other horizon that the cells have follow in the same order.
    """
    pairs = sorted({(pair, side, horizon_of(label)) for pair, side, label in cells})
    others = {horizon for _, _, horizon in pairs} - {Horizon.DAY}
    found: list[Group] = []
    for own in (Horizon.DAY, *(horizon for horizon in Horizon if horizon in others)):
        every = class_label(ANY, own)
        found += [horizon_group(own), *((ANY, side, every) for side in DIRECTIONS)]
        found += [(pair, side, every) for pair, side, horizon in pairs if horizon is own]
        found += [bin_group(class_label(name, own)) for name in bins.names]
    return found


def members_by_group(cells: Iterable[Group]) -> dict[Group, list[Group]]:
    """Return the cells of each group that contains some of them, sorted, so that sums do not depend on the order of arrival."""
    found: dict[Group, list[Group]] = {}
    for cell in sorted(cells):
        pair, side, label = cell
        horizon = horizon_of(label)
        every = class_label(ANY, horizon)
        for group in (cell, (pair, side, every), (ANY, side, every), bin_group(label), horizon_group(horizon)):
            found.setdefault(group, []).append(cell)
    return found


def ended_by_hand(trade: Mapping[str, Any]) -> str | None:
    """Return the reason if a forced or manual exit, an exit on the exchange or a liquidation ended a trade; None otherwise."""
    return f"ended by {trade['exit_reason']}" if trade["exit_reason"] in _FORCED else None


def left_out_reason(trade: Mapping[str, Any]) -> str | None:
    """Return the reason why a trade is not learned from; None if it is learned from.

    Left out are trades that a person, the platform or the exchange ended, that have several entries or exits, or a leverage outside the
    bins. They still count for risk and in the realised figures.
    """
    if not is_learned(trade.get("leverage_bin", "")):
        return OUTSIDE_BINS_REASON
    if (reason := ended_by_hand(trade)) is not None:
        return reason
    return SEVERAL_ORDERS if trade.get("order_pattern") == OrderPattern.MULTIPLE else None


def has_unknown_orders(trade: Mapping[str, Any]) -> bool:
    """Return whether the source of a trade has no orders for it, so that only candles can show whether it had a single entry."""
    return "order_pattern" in trade and trade["order_pattern"] not in {OrderPattern.SINGLE, OrderPattern.MULTIPLE}


def signal_rank(trade: Mapping[str, Any], *, control_bots: Sequence[str] = CONTROL_BOTS) -> tuple[Any, ...]:
    """Return the sort key by which one of several trades represents their signal: earliest fill, then control bots, then the key."""
    return trade["open_us"], trade["bot"] not in control_bots, trade["bot"], trade["run_mode"], trade["trade_id"]
