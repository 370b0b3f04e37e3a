# Licensed under the Apache License, Version 2.0.
"""A freqtrade strategy mixin that trades with the parameters that BOT3 learned.

Put this file into `user_data/strategies` and derive a strategy that creates the entries:

    from BOT3MetaStrategyAdaptive import BOT3MetaStrategyAdaptive

    class MyFeeders(BOT3MetaStrategyAdaptive):
        def populate_entry_trend(self, dataframe, metadata):
            ...  # enter_long or enter_short, and enter_tag "F07" or "F07|c=0.73"

Leverage, stop, target, size and the permission to enter are computed from `adaptive_params.json` and `meta_learner_recommendations.json`
(or from InfluxDB), the giveback rule and the time exit from the section `bot3` of freqtrade's configuration; see docs/freqtrade.md. A move
is a ratio of the price, above 0 if the trade gains.
"""
# One file, so that it can be copied as one file: first the rules, then the sources of published data, then the strategy.
# No `from __future__ import annotations`: dataclasses resolve annotations that are strings in the registered module, and freqtrade loads a
# strategy's file without registering its module.

import json
import logging
import math
import os
import re
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import pandas as pd

try:
    from freqtrade import __version__ as freqtrade_version
    from freqtrade.strategy import IStrategy
except ModuleNotFoundError:  # the rules below can be imported and tested without freqtrade
    IStrategy, freqtrade_version = object, None

log = logging.getLogger(__name__)

TESTED_WITH = ((2026, 9),)  # releases of freqtrade that this file was tested with (docs/freqtrade.md)
OLDEST = (2024, 3)  # the first release with `order_filled` and a trade's custom data, which stores the plan
PARAMETERS_FILES = "adaptive_params*.json"
RECOMMENDATIONS_FILES = "meta_learner_recommendations*.json"
PLAN = "bot3_plan"  # key of a trade's custom data
CANDLE = timedelta(minutes=5)
DAY_CANDLES = 288
DEFAULT_EDGES = (1.0, 2.0, 3.5, 5.0, 7.5, 10.0)  # of the leverage bins, if the published rows name none
HIGHEST_LEVERAGE = 125.0
LEVERAGE_STEPS = 100  # leverage is chosen in hundredths
HORIZONS = ((8.0, "@8h"), (24.0, ""), (72.0, "@3d"), (168.0, "@7d"))  # hours, and what follows the bin in the keys of their rows
OTHER_ROWS = "rows_of_other_horizons"
# Bounds of published values, which are untrusted: the same as in the platform's own readers (`bot3/learning/validity.py`).
FACTORS, SIZES = (0.5, 2.0), (0.25, 1.5)
STATES = ("trade", "probe", "shadow")
FINITE, SMALL = sys.float_info.max, 1e-12
SHARE, MOVE = (0.0, 1.0), (-10.0, 10.0)
ROW_NUMBERS: Mapping[str, tuple[float, float]] = {
    "stop_loss": (-1.0, -1e-4),
    "take_profit_target": (1e-5, FINITE),
    "stop_move": (-1.0, -SMALL),
    "take_profit_move": (SMALL, FINITE),
    "stop_sigma": (-8.0, -0.05),
    "take_profit_sigma": (0.05, 12.0),
    "sigma_ref": (SMALL, FINITE),
    "leverage_ref": (1.0, HIGHEST_LEVERAGE),
    "n_eff": (0.0, FINITE),
    **dict.fromkeys(("expectancy", "lower_bound", "upper_bound"), MOVE),
    **dict.fromkeys(("confidence", "own_share", "ambiguous_share"), SHARE),
}
ROW_OPTIONAL_NUMBERS = {
    "win_rate": SHARE,
    "avg_profit": (-FINITE, FINITE),
    "profit_factor": (0.0, FINITE),
    "deviation_move": (0.0, 10.0),
    "worst_move": (-10.0, -SMALL),
    "notional_ratio": (0.0, FINITE),
    "utility": MOVE,
}
ROW_COUNTS, ROW_OPTIONAL_COUNTS = ("trades_count", "replays_count"), ("left_out_count", "late_count")
ROW_OPTIONAL_FLAGS = ("is_censored", "has_target")
LARGEST_FEE = 0.01
FEEDER_TAG = re.compile(r"F(0[1-9]|10)(?:\||$)")
LARGEST_FALL = 0.99  # farthest target of a short, as a move of the price


class EntryRefusedError(Exception):
    """An entry is refused; the first argument is the reason, such as "no_edge", the second the value on which the refusal is based."""


class UnreadableLearningError(Exception):
    """Published data is unusable: a value is out of bounds, a time has no zone, or a publication is missing or incomplete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules of the trades, from the section `bot3` of freqtrade's configuration; an unknown name there is an error.

    `giveback_activation_sigma` is in units of the volatility at entry, `giveback_share` a share of the best move, each `max_*_ratio` is of
    the equity, and `fee` is a ratio of a side's value. `static_stop_loss` (before fees) and `static_take_profit` (after fees) are ratios of
    the stake, for trades that were opened without this mixin.
    """

    target_volatility: float = 0.12
    leverage_cap: float = 10.0
    horizon_hours: float = 24.0
    giveback_share: float = 0.5
    giveback_activation_sigma: float = 1.0
    max_stake_ratio: float = 0.10
    max_pair_notional_ratio: float = 1.0
    max_gross_notional_ratio: float = 3.0
    fee: float = 0.0005
    only_top_feeders: bool = False
    static_stop_loss: float = -0.03
    static_take_profit: float = 0.03
    max_candle_age_minutes: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Learned stop and target of one group of trades, "pair|direction|bin".

    `stop_sigma` (below 0) and `take_profit_sigma` are in units of the volatility at entry; a trade's own levels are computed from them.
    `take_profit_sigma` is infinite if trades have no target. `lower_bound` is the lower bound of the expected profit, a ratio of the price.
    `deviation_sigma` is the standard deviation of a trade's net move in units of the volatility, and `costs_move` what a stopped trade
    loses beyond its stop, a ratio of the price; both are None in rows of older releases.
    """

    key: str
    stop_sigma: float
    take_profit_sigma: float
    lower_bound: float
    state: str
    known_at: datetime
    deviation_sigma: float | None = None
    costs_move: float | None = None

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Self:
        """Parse a published row.

        Raises UnreadableLearningError if a value is missing or out of bounds; for `known_at`, other errors if it is missing or malformed.
        """
        _require_row(published)
        deviation, worst = published.get("deviation_move"), published.get("worst_move")
        return cls(
            key=f"{published['pair']}|{published['direction']}|{published['leverage_bin']}",
            stop_sigma=published["stop_sigma"],
            take_profit_sigma=math.inf if published.get("has_target") is False else published["take_profit_sigma"],
            lower_bound=published["lower_bound"],
            state=published["state"],
            known_at=instant(published["known_at"]),
            deviation_sigma=None if deviation is None or worst is None else deviation / published["sigma_ref"],
            costs_move=None if deviation is None or worst is None else published["stop_move"] - worst,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """One version of the learned parameters; `regime_factors` are (factor of the stop, factor of the target).

    `edges` are those of the leverage bins, taken from the keys of the rows of whole bins ("*|*|1.0-2.0").
    """

    version: str
    known_at: datetime
    expires_at: datetime
    rows: Mapping[str, Row]
    regime_factors: Mapping[str, tuple[float, float]]
    edges: tuple[float, ...] = DEFAULT_EDGES

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Self:
        """Parse the contents of `adaptive_params.json`.

        Raises UnreadableLearningError if a value is out of bounds, leverage bins overlap, or a row became known later than the version;
        other errors if the contents have another form.
        """
        rows = [Row.of(row) for row in (*published["rows"], *published.get(OTHER_ROWS, ()))]
        bins = {row["leverage_bin"] for row in published["rows"]} - {"*"}
        if not _are_separate(sorted(bins, key=_edges_of_bin)):
            raise UnreadableLearningError(f"the leverage bins of the rows overlap: {sorted(bins)}")
        parameters = cls(
            version=str(published["version"]),
            known_at=instant(published["generated_at"]),
            expires_at=instant(published["expires_at"]),
            rows={row.key: row for row in rows},
            regime_factors={regime: (float(stop), float(target)) for regime, (stop, target) in published["regime_factors"].items()},
            edges=_edges_of(name for name in bins if any(row.key == f"*|*|{name}" for row in rows)),
        )
        for regime, factors in parameters.regime_factors.items():
            for factor in factors:
                _require_within(FACTORS, factor, what=f"regime_factors of {regime}")
        later = [row.key for row in rows if row.known_at > parameters.known_at]
        if later:
            raise UnreadableLearningError(f"version {parameters.version} contains rows that became known later than itself: {later[:3]}")
        return parameters

    def find(self, *, pair: str, is_short: bool, leverage: float, horizon_hours: float = 24.0) -> Row:
        """Return the row of a trade: of its pair, direction and leverage bin, else of pair and direction, of the direction, or of all.

        Rows of the horizon are used; without any of it, the row of all trades of 24 h. Raises EntryRefusedError if there is none, or the
        leverage is outside the bins.
        """
        side, at = "short" if is_short else "long", horizon_covering(horizon_hours)[1]
        own = leverage_bin(leverage, edges=self.edges)
        for key in (f"{pair}|{side}|{own}{at}", f"{pair}|{side}|*{at}", f"*|{side}|*{at}", f"*|*|*{at}", "*|*|*"):
            if key in self.rows:
                return self.rows[key]
        raise EntryRefusedError("missing_parameters", f"version {self.version} has no global row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A recommendation of the meta-learner.

    `tiers` is empty if only `top_feeders` and `avoid_feeders` were published. `open_bins` are the leverage bins that may be used; if they
    were not published, they are computed from the published leverage range.
    """

    version: str
    known_at: datetime
    expires_at: datetime
    regime: str
    tiers: Mapping[int, str]
    top_feeders: tuple[int, ...]
    avoid_feeders: tuple[int, ...]
    open_feeders: tuple[str, ...]
    open_bins: tuple[str, ...]
    size_multiplier: float

    @classmethod
    def of(cls, published: Mapping[str, Any]) -> Self:
        """Parse the contents of `meta_learner_recommendations.json`.

        Raises UnreadableLearningError if a value is out of bounds, other errors if the contents have another form.
        """
        low, high = (float(edge) for edge in published["suggested_leverage_range"])
        # Without open bins it was published by a release that had only the default bins.
        highest = HIGHEST_LEVERAGE if published.get("open_bins") else DEFAULT_EDGES[-1]
        if not 1.0 <= low <= high <= highest:
            raise UnreadableLearningError(f"suggested_leverage_range {low} to {high} is not within 1 to {highest:g}")
        multiplier = float(published["suggested_position_size_multiplier"])
        _require_within(SIZES, multiplier, what="suggested_position_size_multiplier")
        tiers = {int(feeder[1:]): str(tier) for feeder, tier in published.get("tiers", {}).items() if FEEDER_TAG.fullmatch(feeder)}
        if not set(tiers.values()) <= set(STATES):
            raise UnreadableLearningError(f"tiers must be of {', '.join(STATES)}, were {tiers}")
        open_bins = tuple(str(name) for name in published.get("open_bins") or bins_of_range(low, high))
        if not open_bins or not _are_separate(open_bins):
            raise UnreadableLearningError(f"open_bins must be bins such as 1.0-2.0, lowest first, none overlapping, were {open_bins}")
        return cls(
            version=str(published["version"]),
            known_at=instant(published["generated_at"]),
            expires_at=instant(published["expires_at"]),
            regime=str(published["regime"]),
            tiers=tiers,
            top_feeders=tuple(int(feeder) for feeder in published["top_feeders"]),
            avoid_feeders=tuple(int(feeder) for feeder in published["avoid_feeders"]),
            open_feeders=tuple(str(name) for name in published.get("open_feeders") or ()),
            open_bins=open_bins,
            size_multiplier=multiplier,
        )

    def is_open(self, enter_tag: str | None, *, is_short: bool) -> bool:
        """Return whether the evidence of the entry's feeder in a direction permits full size; False for older recommendations."""
        return f"F{feeder_of(enter_tag):02d} {'short' if is_short else 'long'}" in self.open_feeders

    def tier(self, feeder: int) -> str:
        """Return what a feeder may do: "trade", "probe" (without evidence: enter with the smallest order) or "shadow" (not enter)."""
        if feeder in self.avoid_feeders:
            return "shadow"
        return self.tiers.get(feeder, "trade" if feeder in self.top_feeders else "probe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stop, target and exit rules of one trade, decided at its entry and stored with it; moves are relative to the entry's fill rate.

    `stop_move` is below 0; `take_profit_move` and `giveback_activation_move` are None if the trade has no target or the giveback rule does
    not apply to it; `is_smallest` requests the smallest order. `deviation_move` is the standard deviation of the trade's net move, and
    `worst_move`, below 0, the net move at the stop; both are None in plans without learned levels or of older releases.
    """

    pair: str
    is_short: bool
    enter_tag: str | None
    leverage: float
    stop_move: float
    take_profit_move: float | None
    giveback_activation_move: float | None
    expires_at: str
    size_multiplier: float = 1.0
    lower_bound: float = 0.0
    is_smallest: bool = True
    sigma: float | None = None
    deviation_move: float | None = None
    worst_move: float | None = None
    parameters_key: str = "static"
    parameters_version: str | None = None
    parameters_known_at: str | None = None
    recommendation_version: str | None = None
    recommendation_known_at: str | None = None

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """Parse the plan stored with a trade, by any release of this file: unknown fields are ignored, missing ones get their defaults."""
        return cls(**{name: kept[name] for name in cls.__dataclass_fields__ if name in kept})

    @property
    def side(self) -> float:
        """Return -1.0 for a short, 1.0 for a long."""
        return -1.0 if self.is_short else 1.0

    def rate(self, move: float, *, open_rate: float) -> float:
        """Return the rate at a move from the entry's fill rate."""
        return open_rate * (1.0 + self.side * move)

    def stop_rate(self, *, open_rate: float, liquidation_rate: float | None) -> float:
        """Return the rate of the stop, at most half as far from the entry as `liquidation_rate` (None or 0: without this limit)."""
        move = self.stop_move
        if liquidation_rate:
            move = max(move, self.side * (liquidation_rate / open_rate - 1.0) / 2.0)
        return self.rate(move, open_rate=open_rate)

    def is_activated(self, best_rate: float, *, open_rate: float) -> bool:
        """Return whether the best rate has reached the move from which the giveback rule applies; False if the plan has no such move."""
        return self.giveback_activation_move is not None and self.side * (best_rate / open_rate - 1.0) >= self.giveback_activation_move

    def gives_back(self, *, open_rate: float, best_rate: float, close_rate: float, share: float) -> bool:
        """Return whether the giveback rule applies and a close has lost at least a share of the best move."""
        best = self.side * (best_rate / open_rate - 1.0)
        is_activated = self.is_activated(best_rate, open_rate=open_rate)
        return is_activated and self.side * (close_rate / open_rate - 1.0) <= (1.0 - share) * best


def _require_within(bounds: tuple[float, float], value: Any, *, what: str) -> None:
    # NaN compares false with both bounds.
    if not isinstance(value, int | float) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
        raise UnreadableLearningError(f"{what} must be a number from {bounds[0]:g} to {bounds[1]:g}, was {str(value)[:60]}")


def _require_row(row: Mapping[str, Any]) -> None:
    """Raise UnreadableLearningError if any field of a published row is missing or out of bounds, or its levels contradict each other."""
    name = "|".join(str(row.get(part))[:60] for part in ("pair", "direction", "leverage_bin"))
    for field, bounds in ROW_NUMBERS.items():
        _require_within(bounds, row.get(field), what=f"{name}: {field}")
    for field, bounds in ROW_OPTIONAL_NUMBERS.items():
        if row.get(field) is not None:
            _require_within(bounds, row[field], what=f"{name}: {field}")
    wrong = [field for field in ROW_COUNTS if not _is_count(row.get(field))]
    wrong += [field for field in ROW_OPTIONAL_COUNTS if row.get(field) is not None and not _is_count(row[field])]
    wrong += [field for field in ("parent", "version") if not isinstance(row.get(field), str) or not row[field]]
    wrong += [] if isinstance(row.get("pair"), str) else ["pair"]
    wrong += [field for field in ROW_OPTIONAL_FLAGS if row.get(field) is not None and not isinstance(row[field], bool)]
    leverage_bin = _without_suffix(row.get("leverage_bin"))
    wrong += [] if leverage_bin == "*" or _edges_of_bin(leverage_bin) else ["leverage_bin"]
    names = {"direction": ("long", "short", "*"), "state": STATES}
    wrong += [field for field, known in names.items() if not isinstance(row.get(field), str) or row[field] not in known]
    wrong = wrong or _contradictions(row)
    if wrong:
        raise UnreadableLearningError(f"{name}: invalid: {', '.join(f'{field} {str(row.get(field))[:60]!r}' for field in wrong)}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _contradictions(row: Mapping[str, Any]) -> list[str]:
    """Return the fields that contradict others: a stop or target is given in sigma, as a move and as a ratio of the stake."""
    sigma, leverage, move = row["sigma_ref"], row["leverage_ref"], row["take_profit_move"]
    forms = {
        "stop_move": row["stop_sigma"] * sigma,
        "stop_loss": row["stop_move"] * leverage,
        "take_profit_move": row["take_profit_sigma"] * sigma,
    }
    wrong = [field for field, expected in forms.items() if not math.isclose(row[field], expected, rel_tol=1e-6)]
    # A profit after fees is at most the move, and at least the move minus the largest fee.
    most, least = move * leverage, (move - LARGEST_FEE * (2.0 + move)) * leverage
    if not least * (1.0 - 1e-6) - SMALL <= row["take_profit_target"] <= most * (1.0 + 1e-6):
        wrong.append("take_profit_target")
    return wrong if row["lower_bound"] <= row["expectancy"] <= row["upper_bound"] else [*wrong, "expectancy"]


def instant(text: str) -> datetime:
    """Parse an ISO 8601 time as aware UTC. Raises UnreadableLearningError if it has no time zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise UnreadableLearningError(f"{text} has no time zone")
    return at.astimezone(UTC)


def feeder_of(enter_tag: str | None) -> int:
    """Return the number of the feeder in an entry's tag ("F07", "F07|c=0.73"). Raises EntryRefusedError for any other text."""
    found = FEEDER_TAG.match(enter_tag or "")
    if found is None:
        raise EntryRefusedError("unknown_feeder", enter_tag)
    return int(found[1])


def bin_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Return the names of the leverage bins that some edges divide, lowest first."""
    return tuple(f"{low}-{high}" for low, high in pairwise(edges))


def leverage_bin(leverage: float, *, edges: tuple[float, ...]) -> str:
    """Return the bin of a leverage; a bin includes its lower edge but not its upper one, except that the last bin includes both.

    Raises EntryRefusedError if it is outside the bins.
    """
    if not edges[0] <= leverage <= edges[-1]:
        raise EntryRefusedError("leverage_range", leverage)
    return bin_names(edges)[sum(leverage >= edge for edge in edges[1:-1])]


def bins_of_range(low: float, high: float) -> tuple[str, ...]:
    """Return the default bins that a leverage range overlaps; a range that ends on an edge does not overlap the bin above it."""
    own, spans = leverage_bin(low, edges=DEFAULT_EDGES), zip(bin_names(DEFAULT_EDGES), pairwise(DEFAULT_EDGES), strict=True)
    return tuple(name for name, (edge, top) in spans if name == own or (low < top and edge < high))


def leverage_spans(bins: Collection[str], *, edges: tuple[float, ...], highest: float) -> list[tuple[float, float]]:
    """Return the lowest and highest leverage of each given bin, in whole hundredths and at most `highest`; bins above it are left out."""
    highest = min(highest, edges[-1])
    count = round(highest * LEVERAGE_STEPS)
    capped = (count if count / LEVERAGE_STEPS <= highest else count - 1) / LEVERAGE_STEPS
    spans = []
    for name, (low, high) in zip(bin_names(edges), pairwise(edges), strict=True):
        if name in bins and low <= highest:
            top = high if high == edges[-1] else (round(high * LEVERAGE_STEPS) - 1) / LEVERAGE_STEPS
            spans.append((low, min(top, capped)))
    return spans


def horizon_covering(horizon_hours: float) -> tuple[float, str]:
    """Return the shortest published horizon that is not shorter, else the longest: its hours, and the suffix of its rows' bins."""
    return next((horizon for horizon in HORIZONS if horizon[0] >= horizon_hours), HORIZONS[-1])


def _without_suffix(name: object) -> object:
    """Return the bin of a published row's `leverage_bin`, without the horizon."""
    bin_name, at, horizon = name.partition("@") if isinstance(name, str) else (name, "", "")
    return bin_name if f"{at}{horizon}" in dict(HORIZONS).values() else name


def _edges_of_bin(name: object) -> tuple[float, float] | None:
    """Return the edges in the name of a leverage bin; None if it is no such name."""
    try:
        low, high = map(float, str(name).split("-"))
    except ValueError:
        return None
    if not 1.0 <= low < high <= HIGHEST_LEVERAGE or f"{low}-{high}" != name:
        return None
    counts = (low * LEVERAGE_STEPS, high * LEVERAGE_STEPS)
    return (low, high) if all(math.isclose(count, round(count), rel_tol=0.0, abs_tol=1e-9) for count in counts) else None


def _are_separate(names: Iterable[str]) -> bool:
    """Return whether texts are names of leverage bins, lowest first, of which no two overlap."""
    edges = [_edges_of_bin(name) for name in names]
    found = [one for one in edges if one is not None]
    return len(found) == len(edges) and all(before[1] <= after[0] for before, after in pairwise(found))


def _edges_of(names: Iterable[str]) -> tuple[float, ...]:
    """Return the edges of leverage bins with the given names; the default edges if there are none.

    Raises UnreadableLearningError if the bins leave a gap between them.
    """
    spans = sorted(span for span in map(_edges_of_bin, names) if span is not None)
    if not spans:
        return DEFAULT_EDGES
    if any(before[1] != after[0] for before, after in pairwise(spans)):
        raise UnreadableLearningError(f"the rows' leverage bins do not follow each other: {spans}")
    return (*(low for low, _ in spans), spans[-1][1])


def expected_sigma(close: pd.Series, *, horizon_hours: float) -> pd.Series:
    """Return the standard deviation of the log price over the horizon as expected at each 5m close, from past moves (half-life 24 h)."""
    squared = np.log(close).diff() ** 2
    mean = squared.ewm(halflife=DAY_CANDLES, min_periods=12).mean()
    return np.sqrt(mean * (timedelta(hours=horizon_hours) // CANDLE))


def profit_of_move(move: float, *, leverage: float, is_short: bool, fee: float) -> float:
    """Return the profit after fees, as a ratio of the stake, of an exit at a move from the entry."""
    side = -1.0 if is_short else 1.0
    opened, closed = 1.0 + side * fee, (1.0 + side * move) * (1.0 - side * fee)
    return side * (closed / opened - 1.0) * leverage


def move_of_profit(profit: float, *, leverage: float, is_short: bool, fee: float) -> float:
    """Return the move from the entry at which an exit earns a given profit after fees, a ratio of the stake."""
    side = -1.0 if is_short else 1.0
    return side * ((1.0 + side * fee) * (1.0 + side * profit / leverage) / (1.0 - side * fee) - 1.0)


def stop_ratio(stop_rate: float, *, current_rate: float, is_short: bool, leverage: float) -> float | None:
    """Convert a stop rate to what `custom_stoploss` returns: the loss from the current rate to the stop as a ratio of the stake, above 0.

    None if the current rate has reached the stop.
    """
    side = -1.0 if is_short else 1.0
    distance = side * (1.0 - stop_rate / current_rate)
    return distance * leverage if distance > 0.0 else None


def draft_plan(
    *,
    pair: str,
    is_short: bool,
    enter_tag: str | None,
    sigma: float,
    max_leverage: float,
    now: datetime,
    parameters: Parameters,
    recommendation: Recommendation,
    rules: Rules,
) -> Plan:
    """Compute the plan of an entry from published parameters and recommendation. Raises EntryRefusedError if it may not be made.

    `sigma` is the volatility over the horizon at the last close, a ratio of the price.
    """
    require_fresh(parameters, recommendation, now=now)
    tier = permitted_tier(enter_tag, recommendation=recommendation, rules=rules)
    leverage = choose_leverage(sigma, recommendation=recommendation, edges=parameters.edges, rules=rules, max_leverage=max_leverage)
    row = parameters.find(pair=pair, is_short=is_short, leverage=leverage, horizon_hours=rules.horizon_hours)
    if row.state == "shadow":
        raise EntryRefusedError("bin_shadow", row.key)
    factors = parameters.regime_factors.get(recommendation.regime)
    if factors is None:
        raise EntryRefusedError("missing_regime_factors", recommendation.regime)
    is_full = tier == "trade" and recommendation.is_open(enter_tag, is_short=is_short)
    # Rows of older releases do not tell the risk of their levels.
    is_smallest = not is_full or row.state != "trade" or row.deviation_sigma is None
    if not is_smallest and not row.lower_bound > 0.0:
        raise EntryRefusedError("no_edge", row.key)
    target = row.take_profit_sigma * factors[1] * sigma if math.isfinite(row.take_profit_sigma) else None
    target = min(target, LARGEST_FALL) if is_short and target is not None else target
    if target is not None and not profit_of_move(target, leverage=leverage, is_short=is_short, fee=rules.fee) > 0.0:
        raise EntryRefusedError("target_below_costs", row.key)
    stop_move = row.stop_sigma * factors[0] * sigma
    return Plan(
        pair=pair,
        is_short=is_short,
        enter_tag=enter_tag,
        leverage=leverage,
        stop_move=stop_move,
        take_profit_move=target,
        giveback_activation_move=rules.giveback_activation_sigma * sigma,
        expires_at=(now + timedelta(hours=rules.horizon_hours)).isoformat(),
        size_multiplier=recommendation.size_multiplier,
        lower_bound=row.lower_bound,
        is_smallest=is_smallest,
        sigma=sigma,
        deviation_move=None if row.deviation_sigma is None else row.deviation_sigma * sigma,
        worst_move=None if row.costs_move is None else stop_move - row.costs_move,
        parameters_key=row.key,
        parameters_version=parameters.version,
        parameters_known_at=parameters.known_at.isoformat(),
        recommendation_version=recommendation.version,
        recommendation_known_at=recommendation.known_at.isoformat(),
    )


def require_fresh(parameters: Parameters, recommendation: Recommendation, *, now: datetime) -> None:
    """Raise EntryRefusedError if `now` is at or after the expiry of the parameters or of the recommendation."""
    if now >= recommendation.expires_at:
        raise EntryRefusedError("expired_recommendation", recommendation.expires_at.isoformat())
    if now >= parameters.expires_at:
        raise EntryRefusedError("expired_parameters", parameters.expires_at.isoformat())


def permitted_tier(enter_tag: str | None, *, recommendation: Recommendation, rules: Rules) -> str:
    """Return the tier of the entry's feeder: "trade" or "probe".

    Raises EntryRefusedError if the feeder is unknown, may not enter, or is not a top feeder although only those may enter.
    """
    feeder = feeder_of(enter_tag)
    tier = recommendation.tier(feeder)
    if tier == "shadow":
        raise EntryRefusedError("feeder_shadow", feeder)
    if rules.only_top_feeders and feeder not in recommendation.top_feeders:
        raise EntryRefusedError("feeder_not_on_top", feeder)
    return tier


def choose_leverage(sigma: float, *, recommendation: Recommendation, edges: tuple[float, ...], rules: Rules, max_leverage: float) -> float:
    """Return the leverage nearest to target volatility / sigma that is in an open bin and within the caps, in hundredths.

    Of two equally near values the lower is returned. Raises EntryRefusedError if sigma is not a number above 0, or all open bins are above
    the caps.
    """
    if not 0.0 < sigma < math.inf:
        raise EntryRefusedError("no_volatility", sigma)
    highest = min(rules.leverage_cap, max_leverage)
    spans = leverage_spans(recommendation.open_bins, edges=edges, highest=highest)
    if not spans:
        raise EntryRefusedError("leverage_range", f"open bins {', '.join(recommendation.open_bins)} are above {highest}")
    wanted = min(max(rules.target_volatility / sigma, spans[0][0]), spans[-1][1])
    # Clamp both neighbouring hundredths of the target to each span: one of them is the nearest possible leverage.
    around = (math.floor(wanted * LEVERAGE_STEPS) / LEVERAGE_STEPS, math.ceil(wanted * LEVERAGE_STEPS) / LEVERAGE_STEPS)
    candidates = [min(max(leverage, low), high) for low, high in spans for leverage in around]
    return min(candidates, key=lambda leverage: (abs(leverage - wanted), leverage))


def static_plan(*, pair: str, is_short: bool, leverage: float, open_date: datetime, rules: Rules) -> Plan:
    """Return a plan with the configured static stop and target, for a trade that was opened without this mixin (manually, or before)."""
    return Plan(
        pair=pair,
        is_short=is_short,
        enter_tag=None,
        leverage=leverage,
        stop_move=rules.static_stop_loss / leverage,
        take_profit_move=move_of_profit(rules.static_take_profit, leverage=leverage, is_short=is_short, fee=rules.fee),
        giveback_activation_move=None,
        expires_at=(open_date + timedelta(hours=rules.horizon_hours)).isoformat(),
    )


def wanted_notional(plan: Plan, *, equity_abs: float, gross_notional_abs: float, rules: Rules) -> float:
    """Return the notional of an entry that is not limited to the smallest order, in stake currency.

    It is the minimum of the risk target, half Kelly at the lower bound of the expected profit, and the caps; at least 0. Raises
    EntryRefusedError if the plan has no deviation or worst move.
    """
    if plan.deviation_move is None or plan.worst_move is None:
        raise EntryRefusedError("no_risk", plan.parameters_key)
    risk = max(plan.deviation_move, -plan.worst_move / 2.0)
    target = equity_abs * rules.max_stake_ratio * rules.target_volatility / risk * plan.size_multiplier
    edge = max(plan.lower_bound, 0.0)
    kelly = 0.5 * edge / (plan.deviation_move**2 + edge**2) * equity_abs if edge > 0.0 else 0.0
    by_order = equity_abs * rules.max_stake_ratio * plan.leverage
    by_pair = equity_abs * rules.max_pair_notional_ratio
    by_gross = equity_abs * rules.max_gross_notional_ratio - gross_notional_abs
    return max(min(target, kelly, by_order, by_pair, by_gross), 0.0)


class LearningSource(Protocol):
    """Published learning as of a time; both read methods raise EntryRefusedError if nothing was known by then."""

    def refresh(self) -> None:
        """Read new publications; one that is unusable is logged, and the last usable one is still used."""
        ...

    def parameters(self, *, as_of: datetime) -> Parameters:
        """Return the newest parameters known by a time."""
        ...

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the newest recommendation known by a time."""
        ...


_Version = TypeVar("_Version", Parameters, Recommendation)


class Versions(Generic[_Version]):
    """All versions of the parameters or of the recommendation, sorted by the time from which they are known."""

    def __init__(self, versions: Iterable[_Version]) -> None:
        self._versions: list[_Version] = sorted(versions, key=lambda version: version.known_at)
        self._known_at: list[datetime] = [version.known_at for version in self._versions]

    def as_of(self, at: datetime) -> _Version | None:
        """Return the newest version known by a time; None if there is none."""
        count = bisect_right(self._known_at, at)
        return self._versions[count - 1] if count else None


class PublishedFiles:
    """Published JSON files of a directory and its subdirectories.

    In live trading the directory is the platform's home, where each publication replaces the file. For a backtest it contains all versions,
    in files whose names have the same prefix. An unusable file is logged, and its last usable contents are still used.

    A home contains thousands of other files, and freqtrade calls its loop every few seconds: all directories are searched at the start and
    then every `SEARCH_EVERY_S` seconds. In between, the known files are checked by modification time, inode and size, and their
    directories and the top one are listed again only if their modification time changed.
    """

    SEARCH_EVERY_S = 300.0

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._clock = directory, clock
        self._searched_at: float | None = None
        self._kinds: dict[Path, type[Parameters | Recommendation]] = {}
        self._listed: dict[Path, int | None] = {}
        self._read: dict[Path, tuple[tuple[int, ...], Parameters | Recommendation]] = {}
        self._broken: dict[Path, tuple[int, ...]] = {}
        self._parameters: Versions[Parameters] = Versions(())
        self._recommendations: Versions[Recommendation] = Versions(())

    def refresh(self) -> None:
        """Read the files that changed since the last call."""
        self._find_files()
        fresh = [self._take(path, kind) for path, kind in sorted(self._kinds.items())]
        if any(fresh):
            known = [version for _, version in self._read.values()]
            self._parameters = Versions(version for version in known if isinstance(version, Parameters))
            self._recommendations = Versions(version for version in known if isinstance(version, Recommendation))

    def parameters(self, *, as_of: datetime) -> Parameters:
        """Return the newest parameters known by a time."""
        return _found(self._parameters.as_of(as_of), missing="missing_parameters", where=self._directory)

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the newest recommendation known by a time."""
        return _found(self._recommendations.as_of(as_of), missing="missing_recommendation", where=self._directory)

    def _find_files(self) -> None:
        now = self._clock()
        if self._searched_at is None or now - self._searched_at >= self.SEARCH_EVERY_S:
            self._kinds = {path: kind for path, kind in self._kinds.items() if _is_there(path)}
            self._note_files(self._directory.rglob)
            self._searched_at = now
            for folder in {self._directory, *(path.parent for path in self._kinds)}:
                self._list(folder)
            return
        for folder, changed_at in list(self._listed.items()):
            if _changed_at(folder) != changed_at:
                self._list(folder)

    def _list(self, folder: Path) -> None:
        # Read before the listing, so that the next call notices a change during it.
        self._listed[folder] = _changed_at(folder)
        self._note_files(folder.glob)

    def _note_files(self, find: Callable[[str], Iterable[Path]]) -> None:
        self._kinds |= dict.fromkeys(find(PARAMETERS_FILES), Parameters)
        self._kinds |= dict.fromkeys(find(RECOMMENDATIONS_FILES), Recommendation)

    def _take(self, path: Path, kind: type[Parameters] | type[Recommendation]) -> bool:
        written: tuple[int, ...] = ()
        try:
            status = path.stat()
            # A file that is replaced within one tick of the file system's clock has the same time, but another inode.
            written = status.st_mtime_ns, status.st_ino, status.st_size
            if self._broken.get(path) == written or (path in self._read and self._read[path][0] == written):
                return False
            self._read[path] = written, kind.of(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:  # it was renamed after the listing
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UnreadableLearningError) as error:
            self._broken[path] = written
            log.error("BOT3: %s is unusable, its last good content stays in force: %r", path, error)  # noqa: TRY400  # a traceback adds nothing
            return False
        log.info("BOT3: read %s, version %s", path, self._read[path][1].version)
        return True


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except OSError:  # it was removed, or its directory cannot be read
        return False
    return True


def _changed_at(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except OSError:  # it was removed
        return None


def _found(version: _Version | None, *, missing: str, where: Path) -> _Version:
    if version is None:
        raise EntryRefusedError(missing, str(where))
    return version


class PublishedInflux:
    """Reads published learning from the InfluxDB bucket that BOT3 publishes to, through influxdb-client, at most twice a minute.

    A publication is found by its head (a point of the measurement `publications`), which is written after its rows; an incomplete
    publication is not used. While the server is unavailable, the last data read is used until it expires. For live trading and dry runs
    only: a backtest reads versions from files.
    """

    _HEADS = """from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop))
      |> filter(fn: (r) => r._measurement == "publications" and r.noun == noun)
      |> map(fn: (r) => ({at_ns: int(v: r._time), manifest: r._value})) |> group() |> sort(columns: ["at_ns"])"""
    _ROWS = """from(bucket: bucket) |> range(start: time(v: start), stop: time(v: stop))
      |> filter(fn: (r) => r._measurement == measurement)
      |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
      |> map(fn: (r) => ({r with at_ns: int(v: r._time)})) |> group() |> sort(columns: ["at_ns"])"""
    _PAUSE = timedelta(seconds=30)
    _TIMEOUT_MS = 5_000

    def __init__(self, environment: Mapping[str, str]) -> None:
        from influxdb_client import InfluxDBClient  # noqa: PLC0415  # needed only for InfluxDB

        token = environment.get("BOT3_INFLUX_TOKEN") or Path(environment["BOT3_INFLUX_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
        org = environment.get("BOT3_INFLUX_ORG", "freqtrade")
        self._client = InfluxDBClient(url=environment["BOT3_INFLUX_URL"], token=token, org=org, timeout=self._TIMEOUT_MS)
        self._bucket = environment.get("BOT3_INFLUX_BUCKET", "bot3_learning")
        self._asked_at: datetime | None = None
        self._parameters: Parameters | None = None
        self._recommendation: Recommendation | None = None

    def refresh(self) -> None:
        """Query the publications, unless the last query is less than 30 s old; an error is logged, and the last data is still used."""
        now = datetime.now(UTC)
        # If the wall clock was set back, query at once instead of after a longer pause.
        if self._asked_at is not None and timedelta(0) <= now - self._asked_at < self._PAUSE:
            return
        self._asked_at = now
        try:
            self._parameters, self._recommendation = self._read_parameters(), self._read_recommendation()
        except Exception as error:  # noqa: BLE001  # the client raises its own errors, urllib3's and the system's
            log.error("BOT3: InfluxDB could not be read, the last good data stays in force: %r", error)  # noqa: TRY400

    def parameters(self, *, as_of: datetime) -> Parameters:
        """Return the parameters read last. Raises EntryRefusedError if there are none, or they are known only after `as_of`."""
        if self._parameters is None or self._parameters.known_at > as_of:
            raise EntryRefusedError("missing_parameters", self._bucket)
        return self._parameters

    def recommendation(self, *, as_of: datetime) -> Recommendation:
        """Return the recommendation read last. Raises EntryRefusedError if there is none, or it is known only after `as_of`."""
        if self._recommendation is None or self._recommendation.known_at > as_of:
            raise EntryRefusedError("missing_recommendation", self._bucket)
        return self._recommendation

    def _read_parameters(self) -> Parameters:
        """Return the newest row of each group, from the last full publication on."""
        newest_ns, says = self._heads("parameters", start=0)[-1]
        heads = self._heads("parameters", start=int(says["full_ns"]))
        full_ns = max(at_ns for at_ns, head in heads if head["is_full"])
        rows = self._rows("adaptive_params_by_pair", start=full_ns, stop=newest_ns)
        if any(head.get(OTHER_ROWS) for _, head in heads):
            rows += self._rows("adaptive_params_by_horizon", start=full_ns, stop=newest_ns)
        for at_ns, head in heads:
            if at_ns >= full_ns:
                _require_complete(rows, at_ns=at_ns, count=int(head["rows"]) + int(head.get(OTHER_ROWS, 0)))
        complete = {at_ns for at_ns, _ in heads}
        newest = {(row["pair"], row["direction"], row["leverage_bin"]): row for row in rows if row["at_ns"] in complete}
        own, others = [], []
        for row in newest.values():
            (others if "@" in row["leverage_bin"] else own).append(row)
        return Parameters.of({**says, "generated_at": _instant_of(newest_ns), "rows": own, OTHER_ROWS: others})

    def _read_recommendation(self) -> Recommendation:
        newest_ns, _ = self._heads("recommendation", start=0)[-1]
        rows = self._rows("meta_recommendations", start=newest_ns, stop=newest_ns)
        _require_complete(rows, at_ns=newest_ns, count=1)
        lists = {
            name: json.loads(rows[0][name])
            for name in ("tiers", "top_feeders", "avoid_feeders", "open_feeders", "open_bins")
            if rows[0].get(name)
        }
        edges = [rows[0]["suggested_leverage_low"], rows[0]["suggested_leverage_high"]]
        return Recommendation.of({**rows[0], **lists, "suggested_leverage_range": edges, "generated_at": _instant_of(newest_ns)})

    def _heads(self, noun: str, *, start: int) -> list[tuple[int, dict[str, Any]]]:
        found = self._asked(self._HEADS, noun=noun, start=start, stop=_ns_of(datetime.now(UTC)))
        if not found:
            raise UnreadableLearningError(f"no publication of {noun} found in {self._bucket}")
        heads = [(int(row["at_ns"]), json.loads(row["manifest"])) for row in found]
        # Some are of another record, or were published before a restore: this reader cannot decide which ones are in force.
        origins = [says.get("origin") or {} for _, says in heads]
        epochs, stores = {origin.get("epoch", "") for origin in origins}, {origin["store"] for origin in origins if origin}
        if len(epochs) > 1 or len(stores) > 1:
            raise UnreadableLearningError(f"{self._bucket} contains publications of two records or epochs: run `bot3 publish run --all`")
        return heads

    def _rows(self, measurement: str, *, start: int, stop: int) -> list[dict[str, Any]]:
        return self._asked(self._ROWS, measurement=measurement, start=start, stop=stop + 1)

    def _asked(self, flux: str, **params: str | int) -> list[dict[str, Any]]:
        tables = self._client.query_api().query(flux, params={"bucket": self._bucket, **params})
        return [dict(record.values) for table in tables for record in table.records]


def _require_complete(rows: Iterable[Mapping[str, Any]], *, at_ns: int, count: int) -> None:
    found = sum(row["at_ns"] == at_ns for row in rows)
    if found != count:
        raise UnreadableLearningError(f"{found} of {count} rows of a publication found: it is incomplete")


def _ns_of(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


def _instant_of(at_ns: int) -> str:
    # The nanoseconds below a whole microsecond are the publication's number, not part of the time.
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1_000)).isoformat()


def open_source(settings: Mapping[str, Any], environment: Mapping[str, str]) -> LearningSource:
    """Open the source of published learning: InfluxDB if `parameters_from` is "influx", else the files of a directory.

    The directory is `learning_directory`, or BOT3_HOME if that is not set. Raises ValueError if it is not a directory.
    """
    if settings.get("parameters_from", "files") == "influx":
        return PublishedInflux(environment)
    directory = settings.get("learning_directory") or environment.get("BOT3_HOME")
    if not directory or not Path(directory).is_dir():
        raise ValueError(f"bot3.learning_directory (or BOT3_HOME) must be the directory of {PARAMETERS_FILES}, was {directory!r}")
    return PublishedFiles(Path(directory))


def require_freqtrade(version: str | None) -> None:
    """Check freqtrade's version, and log a warning if this file was not tested with it; None if freqtrade is not installed.

    Raises
    ------
    ValueError
        If the version is too old.
    """
    if version is None:
        return
    number = re.search(r"(\d{4})\.(\d+)", version)  # "2026.9", "2026.9-dev", "docker-2026.9-0123abcd"
    release = (int(number[1]), int(number[2])) if number else None
    if release is not None and release < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise ValueError(f"BOT3: freqtrade {version} is too old: it stores no custom data with a trade; install {needed} or newer")
    if release not in TESTED_WITH:
        tested = ", ".join(f"{year}.{month}" for year, month in TESTED_WITH)
        log.warning("BOT3: tested with freqtrade %s, running in %s: check a backtest and a dry run before trading", tested, version)


class BOT3MetaStrategyAdaptive(IStrategy):  # type: ignore[misc,unused-ignore]  # freqtrade ships no types
    """The mixin: derive from it, and set `enter_long` or `enter_short` with a feeder's `enter_tag` in `populate_entry_trend`."""

    INTERFACE_VERSION = 3
    bot3_freqtrade: str | None = freqtrade_version
    timeframe = "5m"
    can_short = True
    process_only_new_candles = True
    # Older candles would have a weight of a quarter of a percent in the mean square from which sigma is computed. Binance returns 2,494 at
    # most; a derived class for another exchange may request fewer.
    startup_candle_count = 2_490
    # Far away, because custom_stoploss can only tighten it; it is in force only between an entry's fill and the first learned stop.
    stoploss = -0.99
    use_custom_stoploss = True
    trailing_stop = False
    minimal_roi: ClassVar[dict[str, float]] = {"0": 100.0}
    use_custom_roi = True
    use_exit_signal = True
    exit_profit_only = False
    ignore_roi_if_entry_signal = False
    position_adjustment_enable = False
    order_types: ClassVar[dict[str, Any]] = {
        "entry": "limit",
        "exit": "limit",
        "emergency_exit": "market",
        "stoploss": "market",
        "stoploss_on_exchange": True,
    }

    def bot_start(self, **kwargs: Any) -> None:
        """Read the settings and the published learning. Raises ValueError for a configuration with which plans would not take effect."""
        del kwargs
        require_freqtrade(self.bot3_freqtrade)
        settings = dict(self.config.get("bot3", {}))
        if settings.get("parameters_from") == "influx" and not self._is_live:
            raise ValueError("BOT3: a backtest must read versions from files, because InfluxDB contains only the learning in force now")
        self.bot3_source = open_source(settings, os.environ)
        self.bot3_rules = Rules(
            **{name: value for name, value in settings.items() if name not in {"parameters_from", "learning_directory"}}
        )
        self.bot3_refusals: Counter[str] = Counter()
        self._drafts: dict[str, Plan] = {}
        self._reasons: dict[str, EntryRefusedError] = {}
        self._plans: dict[tuple[str, datetime], Plan] = {}
        self._require_setup()
        self.bot3_source.refresh()

    def _require_setup(self) -> None:
        wanted = {"trading_mode": "futures", "margin_mode": "isolated"}
        wrong = [f"{name} must be {value}" for name, value in wanted.items() if str(self.config.get(name)) != value]
        if self.timeframe != "5m":
            wrong.append("timeframe must be 5m, because sigma is learned on it")
        if not self.use_custom_stoploss or self.stoploss > -0.9 or self.trailing_stop:
            wrong.append("stoploss must be wide (-0.99), use_custom_stoploss on and trailing_stop off: a learned stop can only tighten it")
        if self.position_adjustment_enable:
            wrong.append("position_adjustment_enable must be off, because a plan covers one entry")
        if wrong:
            raise ValueError("BOT3: " + "; ".join(wrong))

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Read new publications in live trading and dry runs; a backtest has read all versions at its start."""
        del current_time, kwargs
        if self._is_live:
            self.bot3_source.refresh()

    def populate_indicators(self, dataframe: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
        """Add the column `bot3_sigma`, the volatility over the horizon of the learned rows; a derived strategy must call this first."""
        del metadata
        dataframe["bot3_sigma"] = expected_sigma(dataframe["close"], horizon_hours=horizon_covering(self._horizon_hours)[0])
        return dataframe

    def populate_exit_trend(self, dataframe: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
        """Return the frame unchanged: the plan decides the exits."""
        del metadata
        return dataframe

    def leverage(self, *, pair: str, current_time: datetime, max_leverage: float, entry_tag: str | None, side: str, **kwargs: Any) -> float:
        """Compute the plan of an entry and return its leverage; without a plan return 1.0, and `confirm_trade_entry` refuses the entry."""
        del kwargs
        self._drafts.pop(pair, None)
        self._reasons.pop(pair, None)
        try:
            plan = draft_plan(
                pair=pair,
                is_short=side == "short",
                enter_tag=entry_tag,
                sigma=self._sigma(pair, current_time=current_time),
                max_leverage=max_leverage,
                now=current_time,
                parameters=self.bot3_source.parameters(as_of=current_time),
                recommendation=self.bot3_source.recommendation(as_of=current_time),
                rules=self.bot3_rules,
            )
        except EntryRefusedError as error:
            self._reasons[pair] = error
            return 1.0
        self._drafts[pair] = plan
        return plan.leverage

    def custom_stake_amount(self, *, pair: str, min_stake: float | None, max_stake: float, leverage: float, **kwargs: Any) -> float:
        """Return the stake for the plan's notional; the smallest stake if the plan requests it, and for an entry without a plan."""
        del kwargs
        plan = self._drafts.get(pair)
        if plan is None:  # refused: `confirm_trade_entry` logs the reason, and freqtrade calls it only with a valid stake
            return min_stake or 0.0
        if plan.is_smallest:
            return min_stake or 0.0
        notional = wanted_notional(
            plan,
            equity_abs=float(self.wallets.get_total_stake_amount()),
            gross_notional_abs=sum(trade.stake_amount * trade.leverage for trade in self._open_trades()),
            rules=self.bot3_rules,
        )
        return min(notional / leverage, max_stake)

    def confirm_trade_entry(self, *, pair: str, current_time: datetime, entry_tag: str | None, side: str, **kwargs: Any) -> bool:
        """Return whether an entry has a plan and the published learning has not expired; if not, count and log the reason."""
        del kwargs
        try:
            self._confirm(pair, is_short=side == "short", enter_tag=entry_tag, now=current_time)
        except EntryRefusedError as error:
            self.bot3_refusals[str(error.args[0])] += 1
            log.log(logging.INFO if self._is_live else logging.DEBUG, "BOT3: no entry on %s: %s", pair, error.args)
            return False
        except Exception:  # freqtrade treats an exception here as acceptance
            log.exception("BOT3: no entry on %s", pair)
            return False
        return True

    def _confirm(self, pair: str, *, is_short: bool, enter_tag: str | None, now: datetime) -> None:
        if pair in self._reasons:
            raise self._reasons[pair]
        plan = self._drafts.get(pair)
        if plan is None or (plan.is_short, plan.enter_tag) != (is_short, enter_tag):
            raise EntryRefusedError("no_plan", enter_tag)
        require_fresh(self.bot3_source.parameters(as_of=now), self.bot3_source.recommendation(as_of=now), now=now)

    def order_filled(self, *, trade: Any, order: Any, **kwargs: Any) -> None:
        """Store the plan with the trade when an order of its entry is filled."""
        del kwargs
        if order.ft_order_side == trade.entry_side:
            self._plan_of(trade)

    def custom_stoploss(  # noqa: PLR0917  # freqtrade searches the positional arguments for `after_fill`
        self,
        pair: str,
        trade: Any,
        current_time: datetime,
        current_rate: float,
        current_profit: float,
        after_fill: bool,  # noqa: FBT001
        **kwargs: Any,
    ) -> float | None:
        """Return the plan's stop relative to the current rate, as freqtrade expects it; None if the rate has reached the stop already.

        It is not rounded here: freqtrade rounds to the tick, towards the entry.
        """
        del pair, current_time, current_profit, after_fill, kwargs
        stop_rate = self._plan_of(trade).stop_rate(open_rate=trade.open_rate, liquidation_rate=trade.liquidation_price)
        return stop_ratio(stop_rate, current_rate=current_rate, is_short=trade.is_short, leverage=trade.leverage)

    def custom_roi(self, *, trade: Any, **kwargs: Any) -> float | None:
        """Return the profit at the plan's target, a ratio of the stake, with freqtrade's own calculation of fees and funding.

        None without target: freqtrade then exits at no profit.
        """
        del kwargs
        plan = self._plan_of(trade)
        if plan.take_profit_move is None:
            return None
        target = plan.rate(plan.take_profit_move, open_rate=trade.open_rate)
        return float(trade.calc_profit_ratio(target))

    def custom_exit(self, *, pair: str, trade: Any, current_time: datetime, current_rate: float, **kwargs: Any) -> str | None:
        """Return the reason to exit: "giveback", "time_exit" after the horizon, "take_profit" at or beyond the target; None not to exit.

        In a release of freqtrade without `custom_roi` this is the only exit at a target.
        """
        del kwargs
        plan = self._plan_of(trade)
        # Giveback is checked at the last candle's close, which precedes the current rate.
        if self._gives_back(pair, trade, plan, current_time=current_time):
            return "giveback"
        if current_time >= datetime.fromisoformat(plan.expires_at):
            return "time_exit"
        if plan.take_profit_move is None:
            return None
        is_reached = plan.side * (current_rate - plan.rate(plan.take_profit_move, open_rate=trade.open_rate)) >= 0.0
        return "take_profit" if is_reached else None

    def _gives_back(self, pair: str, trade: Any, plan: Plan, *, current_time: datetime) -> bool:
        extreme = trade.min_rate if trade.is_short else trade.max_rate
        if not self._is_live and extreme and not plan.is_activated(extreme, open_rate=trade.open_rate):
            return False
        # The check above is the only use of freqtrade's extremes: in a backtest they include the candle that just opened, and live they
        # lack rates between two checks.
        candles = self._closed_candles(pair, current_time=current_time)
        first = pd.Timestamp(trade.open_date_utc).floor("5min")
        since = candles.iloc[int(candles["date"].searchsorted(first)) :]
        if since.empty:
            return False
        return plan.gives_back(
            open_rate=trade.open_rate,
            best_rate=float(since["low"].min() if trade.is_short else since["high"].max()),
            close_rate=float(since["close"].iloc[-1]),
            share=self.bot3_rules.giveback_share,
        )

    def _plan_of(self, trade: Any) -> Plan:
        """Return the plan of a trade: from memory, else from the trade's custom data (after a restart), else a new one, which is stored."""
        key = (trade.pair, trade.open_date_utc)
        plan = self._plans.get(key)
        if plan is None:
            kept = trade.get_custom_data(PLAN)
            plan = Plan.of(kept) if kept is not None else self._new_plan(trade)
            if kept is None:
                trade.set_custom_data(PLAN, asdict(plan))
            self._plans[key] = plan
        return plan

    def _new_plan(self, trade: Any) -> Plan:
        draft = self._drafts.pop(trade.pair, None)
        if draft is not None and (draft.is_short, draft.enter_tag) == (trade.is_short, trade.enter_tag):
            return draft
        log.warning("BOT3: %s was opened without a plan and gets the static plan", trade)
        return static_plan(
            pair=trade.pair, is_short=trade.is_short, leverage=trade.leverage, open_date=trade.open_date_utc, rules=self.bot3_rules
        )

    def _sigma(self, pair: str, *, current_time: datetime) -> float:
        candles = self._closed_candles(pair, current_time=current_time)
        if "bot3_sigma" not in candles:
            raise EntryRefusedError("no_volatility", "populate_indicators must call super().populate_indicators first")
        age = current_time - (candles["date"].iloc[-1].to_pydatetime() + CANDLE) if len(candles) else timedelta.max
        if age > timedelta(minutes=self.bot3_rules.max_candle_age_minutes):
            raise EntryRefusedError("stale_candles", str(age))
        return float(candles["bot3_sigma"].iloc[-1])

    def _closed_candles(self, pair: str, *, current_time: datetime) -> pd.DataFrame:
        candles, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
        if candles.empty:
            return candles
        # In a backtest freqtrade limits the rows by their index; this limit by time is correct in any case.
        return candles.iloc[: int(candles["date"].searchsorted(pd.Timestamp(current_time) - CANDLE, side="right"))]

    def _open_trades(self) -> list[Any]:
        from freqtrade.persistence import Trade  # noqa: PLC0415  # not installed if only the rules are tested

        return list(Trade.get_trades_proxy(is_open=True))

    @property
    def _horizon_hours(self) -> float:
        return float(self.config.get("bot3", {}).get("horizon_hours", Rules().horizon_hours))

    @property
    def _is_live(self) -> bool:
        return str(getattr(self.config["runmode"], "value", self.config["runmode"])) in {"live", "dry_run"}
