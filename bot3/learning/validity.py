"""Validate published learning against its bounds: the content of a store or a copy is untrusted until it was checked here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from bot3.errors import InvalidLearningError
from bot3.learning.value_rules import (
    FINITE,
    Rule,
    aware_time,
    bin_or_any,
    nonempty_text,
    number,
    one_of,
    optional_flag,
    text_or_empty,
    whole_number,
)
from bot3.market.regimes import Regime, RegimeState
from bot3.trading.leverage_bins import DEFAULT_BINS, HIGHEST_LEVERAGE, are_separate, bin_order, edges_of_bin
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet, ParameterState
from bot3.trading.recommendations import FeederScore, FeederTier, Recommendation
from bot3.trading.signals import FEEDER_IDS
from bot3.trading.trade_classes import bin_of
from bot3.trading.trades import DIRECTIONS

STOP_SIGMAS = (0.1, 4.0)
TARGET_SIGMAS = (0.1, 6.0)
"""Nearest and farthest level of the replay grid, in units of the volatility at entry."""
FACTOR_BOUNDS = (0.5, 2.0)
"""Bounds of a regime's factor on stop and on target."""
SIZE_BOUNDS = (0.25, 1.5)
"""Bounds of the recommended factor on size."""
NEAREST_STOP_LOSS, NEAREST_TAKE_PROFIT = -1e-4, 1e-5
"""Nearest valid stop and target, ratios of the stake: a nearer stop gives no protection, a nearer target no profit."""

Values = Mapping[str, Any]
"""A stored row by field, as returned by its driver; instants are aware times."""
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_SMALL = 1e-12
_LARGEST_FEE = 0.01
_SAME = 1e-6  # relative tolerance between two forms of one level, for rounding errors
_SHOWN = 60
_REMEDY = "it is refused as invalid, and the last valid values stay in force; publish again with `bot3 learn run`"


def refusing(read: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Decorate a function that reads untrusted rows: exceptions caused by wrong types or values are raised as InvalidLearningError."""

    @wraps(read)
    def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        try:
            return read(*args, **kwargs)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InvalidLearningError(f"published learning cannot be read ({_shown(error)}): {_REMEDY}") from error

    return guarded


_SHARE = number(0.0, 1.0)
_MOVES = (-10.0, 10.0)
_MOVE = number(*_MOVES)
_LEVERAGE = number(1.0, HIGHEST_LEVERAGE)
_FACTOR = number(*FACTOR_BOUNDS)

_PARAMETERS: Mapping[str, Rule] = {
    "pair": text_or_empty,
    "direction": one_of((*DIRECTIONS, ANY)),
    "leverage_bin": bin_or_any,
    "stop_loss": number(-1.0, NEAREST_STOP_LOSS),
    "take_profit_target": number(NEAREST_TAKE_PROFIT, FINITE),
    "stop_move": number(-1.0, -_SMALL),
    "take_profit_move": number(_SMALL, FINITE),
    # The bounds of the grid times those of a regime's factor: a row beyond them cannot result from learning.
    "stop_sigma": number(-STOP_SIGMAS[1] * FACTOR_BOUNDS[1], -STOP_SIGMAS[0] * FACTOR_BOUNDS[0]),
    "take_profit_sigma": number(TARGET_SIGMAS[0] * FACTOR_BOUNDS[0], TARGET_SIGMAS[1] * FACTOR_BOUNDS[1]),
    "sigma_ref": number(_SMALL, FINITE),
    "leverage_ref": _LEVERAGE,
    "trades_count": whole_number(),
    "replays_count": whole_number(),
    "n_eff": number(0.0, FINITE),
    "win_rate": number(0.0, 1.0, is_optional=True),
    "avg_profit": number(-FINITE, FINITE, is_optional=True),
    "profit_factor": number(0.0, FINITE, is_optional=True),
    "expectancy": _MOVE,
    "lower_bound": _MOVE,
    "upper_bound": _MOVE,
    "confidence": _SHARE,
    "own_share": _SHARE,
    "parent": nonempty_text,
    "ambiguous_share": _SHARE,
    "state": one_of(ParameterState),
    "known_at": aware_time,
    "version": nonempty_text,
    "left_out_count": whole_number(is_optional=True),
    "late_count": whole_number(is_optional=True),
    "is_censored": optional_flag,
    "has_target": optional_flag,
    "deviation_move": number(0.0, _MOVES[1], is_optional=True),
    "worst_move": number(_MOVES[0], -_SMALL, is_optional=True),
    "notional_ratio": number(0.0, FINITE, is_optional=True),
    "utility": number(*_MOVES, is_optional=True),
}
_PUBLICATION: Mapping[str, Rule] = {
    "version": nonempty_text,
    "revision": whole_number(),
    "known_at": aware_time,
    "computed_at": aware_time,
    "expires_at": aware_time,
}
_SCORE: Mapping[str, Rule] = {
    "feeder_id": one_of(FEEDER_IDS),
    "regime": one_of((*Regime, ANY)),
    "n": whole_number(),
    "n_eff": number(0.0, FINITE),
    "mean_move": number(-FINITE, FINITE, is_optional=True),
    "expectancy": _MOVE,
    "lower_bound": _MOVE,
    "upper_bound": _MOVE,
    "confidence": _SHARE,
    "own_share": _SHARE,
    "win_rate": number(0.0, 1.0, is_optional=True),
    "n_window": whole_number(),
    "win_rate_window": number(0.0, 1.0, is_optional=True),
    "mean_move_window": number(-FINITE, FINITE, is_optional=True),
    "tier": one_of(FeederTier),
    "rank": whole_number(1),
    "open_directions": one_of(("", *DIRECTIONS, " ".join(DIRECTIONS))),
    "known_at": aware_time,
    "version": nonempty_text,
}
_STATE: Mapping[str, Rule] = {
    "regime": one_of(Regime),
    **{f"p_{regime.value}": _SHARE for regime in Regime},
    "since": aware_time,
    "known_at": aware_time,
    "computed_at": aware_time,
    "version": nonempty_text,
}
_RECOMMENDATION: Mapping[str, Rule] = {
    "regime": one_of(Regime),
    "suggested_leverage_low": _LEVERAGE,
    "suggested_leverage_high": _LEVERAGE,
    "suggested_position_size_multiplier": number(*SIZE_BOUNDS),
    "generated_at": aware_time,
    "expires_at": aware_time,
    "version": nonempty_text,
    "parameters_version": nonempty_text,
    "scores_version": nonempty_text,
    "known_at": aware_time,
    "computed_at": aware_time,
}


def problems_of(row: ExitParameters) -> dict[str, str]:
    """Return the problems of a row of parameters, by field; empty if the row is valid for readers."""
    return _parameter_problems({field.name: getattr(row, field.name) for field in fields(row)})


def require_readable(fact: FeederScore | RegimeState | Recommendation) -> None:
    """Raise InvalidLearningError if readers would refuse what is about to be published."""
    values = {field.name: getattr(fact, field.name) for field in fields(fact)}
    if isinstance(fact, FeederScore):
        feeder_score(values)
    elif isinstance(fact, RegimeState):
        regime_state(values | {f"p_{regime.value}": share for regime, share in zip(Regime, fact.probabilities, strict=True)})
    else:
        low, high = fact.suggested_leverage_range
        lists = {name: json.dumps(values[name]) for name in ("tiers", "top_feeders", "avoid_feeders", "open_feeders", "open_bins")}
        recommendation(values | lists | {"suggested_leverage_low": low, "suggested_leverage_high": high})


@refusing
def parameter_row(values: Values) -> ExitParameters:
    """Parse and validate a stored row of parameters.

    Raises
    ------
    InvalidLearningError
        If a value is out of bounds; the message contains row and field.
    """
    key = "|".join(str(values.get(name)) for name in ("pair", "direction", "leverage_bin"))
    _require(values, _parameter_problems(values), what=f"row {_shown(key)} of the parameters")
    given: dict[str, Any] = {field.name: values.get(field.name) for field in fields(ExitParameters)}
    return ExitParameters(**given | {"state": ParameterState(values["state"])})


def parameter_set(*, rows: Iterable[Values], factors: Iterable[tuple[Any, Any, Any]], publication: Values) -> ParameterSet:
    """Parse and validate a publication of parameters.

    Parameters
    ----------
    rows : iterable of mapping
        `ExitParameters` by field, oldest first: a later row of a group replaces an earlier one.
    factors : iterable of (regime, factor on the stop, factor on the target)
    publication : mapping
        version, revision, known_at, computed_at and expires_at.

    Raises
    ------
    InvalidLearningError
        If a row, a factor or the publication is invalid; the error has the publication's version.
    """
    version = publication["version"]
    try:
        _require(publication, _wrong_fields(publication, _PUBLICATION), what="the publication of parameters")
        found = {row.key: row for row in map(parameter_row, rows)}
        bins = {bin_of(row.leverage_bin) for row in found.values()} - {ANY}
        if not are_separate(sorted(bins, key=bin_order)):
            _require({"leverage_bin": sorted(bins)}, {"leverage_bin": "must not overlap another bin"}, what="bins of the rows")
        late = {row.key: "must not be known later than the publication" for row in found.values() if row.known_at > publication["known_at"]}
        _require({key: found[key].known_at for key in late}, late, what="known_at of rows")
        return ParameterSet(rows=found, regime_factors=_factors(factors), **{name: publication[name] for name in _PUBLICATION})
    except InvalidLearningError as error:
        raise InvalidLearningError(f"parameters {_shown(version)}: {error}", version=str(version)) from error


@refusing
def feeder_score(values: Values) -> FeederScore:
    """Parse and validate a stored score of a feeder. Raises InvalidLearningError, with row and field, if a value is out of bounds."""
    what = f"feeder scores {_shown(values.get('version'))}, row {_shown(values.get('feeder_id'))} in {_shown(values.get('regime'))}"
    # Older releases permitted no direction by evidence.
    values = {**values, "open_directions": values.get("open_directions") or ""}
    _require(values, _wrong_fields(values, _SCORE) or _wrong_interval(values), what=what)
    given: dict[str, Any] = {field.name: values.get(field.name) for field in fields(FeederScore)}
    return FeederScore(**given | {"tier": FeederTier(values["tier"])})


@refusing
def regime_state(values: Values) -> RegimeState:
    """Parse and validate a stored regime state with its four probabilities (`p_` and the regime). Raises InvalidLearningError."""
    what = f"regime state {_shown(values.get('version'))}"
    _require(values, _wrong_fields(values, _STATE), what=what)
    bull, bear, sideways, volatile = (values[f"p_{regime.value}"] for regime in Regime)
    if not math.isclose(bull + bear + sideways + volatile, 1.0, abs_tol=_SAME):
        _require(values, {"p_bull_trending": "must sum to 1 together with the other probabilities"}, what=what)
    if values["since"] > values["known_at"]:
        _require(values, {"since": "must not be later than known_at"}, what=what)
    return RegimeState(
        regime=Regime(values["regime"]),
        probabilities=(bull, bear, sideways, volatile),
        **{name: values[name] for name in ("since", "known_at", "computed_at", "version")},
    )


@refusing
def recommendation(values: Values) -> Recommendation:
    """Parse and validate a stored recommendation.

    A feeder without a tier, and one unknown to this release, has the tier `probe`. Without `open_bins` (older releases) the bins are those
    that overlap the leverage range.

    Parameters
    ----------
    values : mapping
        `Recommendation` by field, with suggested_leverage_low and suggested_leverage_high; tiers, top_feeders, avoid_feeders and
        open_bins as JSON texts.

    Raises
    ------
    InvalidLearningError
        If a value is out of bounds; the message contains the field.
    """
    what = f"recommendation {_shown(values.get('version'))}"
    _require(values, _wrong_fields(values, _RECOMMENDATION), what=what)
    low, high = values["suggested_leverage_low"], values["suggested_leverage_high"]
    lists = {name: _parsed(values, name, what=what) for name in ("tiers", "top_feeders", "avoid_feeders")}
    if low > high:
        _require(values, {"suggested_leverage_low": f"must not be above suggested_leverage_high ({high})"}, what=what)
    is_old = values.get("open_bins") is None
    lists["open_feeders"] = [] if values.get("open_feeders") is None else _parsed(values, "open_feeders", what=what)
    if is_old and high > DEFAULT_BINS.highest:
        _require(values, {"suggested_leverage_high": f"must not be above {DEFAULT_BINS.highest:g} without open_bins"}, what=what)
    lists["open_bins"] = list(DEFAULT_BINS.of_range(low, high)) if is_old else _parsed(values, "open_bins", what=what)
    problems = _wrong_lists(lists)
    if not problems and not is_old and not (_is_open(low, lists["open_bins"]) and _is_open(high, lists["open_bins"])):
        problems = {"open_bins": f"must contain suggested_leverage_low {low:g} and suggested_leverage_high {high:g}"}
    _require(lists, problems, what=what)
    return Recommendation(
        regime=Regime(values["regime"]),
        tiers=_tiers(lists["tiers"]),
        top_feeders=tuple(lists["top_feeders"]),
        avoid_feeders=tuple(lists["avoid_feeders"]),
        open_feeders=tuple(lists["open_feeders"]),
        top_tier=_top_tier(values, lists, what=what),
        open_bins=tuple(lists["open_bins"]),
        suggested_leverage_range=(low, high),
        **{name: values[name] for name in _RECOMMENDATION if name != "regime" and not name.startswith("suggested_leverage")},
    )


def _parameter_problems(values: Values) -> dict[str, str]:
    return _wrong_fields(values, _PARAMETERS) or _disagreements(values)


def _wrong_fields(values: Values, rules: Mapping[str, Rule]) -> dict[str, str]:
    return {name: problem for name, rule in rules.items() if (problem := rule(values.get(name)))}


def _wrong_interval(values: Values) -> dict[str, str]:
    if values["lower_bound"] <= values["expectancy"] <= values["upper_bound"]:
        return {}
    return {"expectancy": f"must lie from lower_bound {values['lower_bound']} to upper_bound {values['upper_bound']}"}


def _disagreements(values: Values) -> dict[str, str]:
    """Return inconsistencies between the forms of a level: sigma, move of the price, ratio of the stake."""
    sigma, leverage, target_move = values["sigma_ref"], values["leverage_ref"], values["take_profit_move"]
    pairs = (
        ("stop_move", values["stop_sigma"] * sigma, "stop_sigma x sigma_ref"),
        ("stop_loss", values["stop_move"] * leverage, "stop_move x leverage_ref"),
        ("take_profit_move", values["take_profit_sigma"] * sigma, "take_profit_sigma x sigma_ref"),
    )
    problems = {
        name: f"must be {said}, {expected:g}" for name, expected, said in pairs if not math.isclose(values[name], expected, rel_tol=_SAME)
    }
    # A profit after fees is at most the move, and at least the move minus the largest fee that can be configured.
    most, least = target_move * leverage, (target_move - _LARGEST_FEE * (2.0 + target_move)) * leverage
    if not least * (1.0 - _SAME) - _SMALL <= values["take_profit_target"] <= most * (1.0 + _SAME):
        problems["take_profit_target"] = f"must be take_profit_move x leverage_ref, {most:g}, less fees"
    return problems | _wrong_interval(values)


def _factors(rows: Iterable[tuple[Any, Any, Any]]) -> dict[Regime, tuple[float, float]]:
    found: dict[Regime, tuple[float, float]] = {}
    for name, stop, target in rows:
        values = {"regime": name, "factor on the stop": stop, "factor on the target": target}
        rules = {"regime": one_of(Regime), "factor on the stop": _FACTOR, "factor on the target": _FACTOR}
        _require(values, _wrong_fields(values, rules), what=f"regime factors of {_shown(name)}")
        found[Regime(name)] = (stop, target)
    return found


def _top_tier(values: Values, lists: Values, *, what: str) -> FeederTier:
    """Return the tier of the top feeders; without `top_tier` (older releases), the one that `tiers` has for the first of them."""
    stored = values.get("top_tier")
    if stored is not None:
        _require(values, _wrong_fields(values, {"top_tier": one_of(FeederTier)}), what=what)
        return FeederTier(stored)
    top = [FEEDER_IDS[number - 1] for number in lists["top_feeders"]]
    return _tiers(lists["tiers"]).get(top[0], FeederTier.PROBE) if top else FeederTier.SHADOW


def _wrong_lists(lists: Values) -> dict[str, str]:
    problems = {}
    if not isinstance(lists["tiers"], dict) or not set(map(str, _known(lists["tiers"]).values())) <= set(FeederTier):
        problems["tiers"] = f"must give feeders one of {', '.join(FeederTier)}"
    for name in ("top_feeders", "avoid_feeders"):
        if not isinstance(lists[name], list) or any(whole_number(1)(place) or place > len(FEEDER_IDS) for place in lists[name]):
            problems[name] = f"must be a list of feeders from 1 to {len(FEEDER_IDS)}"
    if not isinstance(lists["open_feeders"], list) or not all(isinstance(name, str) for name in lists["open_feeders"]):
        problems["open_feeders"] = "must be a list of feeders and directions such as F01 long"
    bins = lists["open_bins"]
    if not isinstance(bins, list) or not bins or not all(isinstance(name, str) for name in bins) or not are_separate(bins):
        problems["open_bins"] = f"must be leverage bins such as {DEFAULT_BINS.names[0]}, lowest first, none overlapping"
    return problems


def _is_open(leverage: float, open_bins: Iterable[str]) -> bool:
    """Return whether a leverage lies in an open bin: from its lower edge to below its upper one, which only the last open bin includes."""
    spans = [span for span in map(edges_of_bin, open_bins) if span is not None]
    return leverage == spans[-1][1] or any(low <= leverage < high for low, high in spans)


def _known(tiers: Mapping[str, Any]) -> dict[str, Any]:
    return {feeder: tiers[feeder] for feeder in FEEDER_IDS if feeder in tiers}


def _tiers(tiers: Mapping[str, Any]) -> dict[str, FeederTier]:
    return dict.fromkeys(tiers, FeederTier.PROBE) | {feeder: FeederTier(tier) for feeder, tier in _known(tiers).items()}


def _parsed(values: Values, name: str, *, what: str) -> Any:
    try:
        return json.loads(values[name])
    except (KeyError, ValueError, TypeError, RecursionError):
        _require(values, {name: "must be JSON"}, what=what)
        raise


def _require(values: Values, problems: Mapping[str, str], *, what: str) -> None:
    if problems:
        told = "; ".join(f"{name} {problem}, was {_shown(values.get(name))}" for name, problem in problems.items())
        raise InvalidLearningError(f"{what}: {told}: {_REMEDY}")


def _shown(value: object) -> str:
    """Format untrusted content as text of a bounded length, without line breaks."""
    text = value if isinstance(value, str) else repr(value)
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
