"""Convert points in InfluxDB to published learning; a missing required field is an error and never replaced by a default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from bot3.adapters.influx.points import RECOMMENDATION_KINDS, REGIME_KINDS
from bot3.errors import InvalidLearningError
from bot3.learning.validity import feeder_score, recommendation, regime_state
from bot3.market.regimes import RegimeState
from bot3.trading.parameters import ExitParameters
from bot3.trading.recommendations import FeederScore, Recommendation

# Metrics that are undefined without trades, and fields that older releases did not publish.
_OPTIONAL = {"win_rate", "avg_profit", "profit_factor", "left_out_count", "late_count", "is_censored"} | {
    "has_target",
    "deviation_move",
    "worst_move",
    "notional_ratio",
    "utility",
}
_OPTIONAL_SCORES = {"mean_move", "win_rate", "win_rate_window", "mean_move_window", "open_directions"}
_PARAMETERS = frozenset(field.name for field in fields(ExitParameters)) - _OPTIONAL
_SCORES = frozenset(field.name for field in fields(FeederScore)) - _OPTIONAL_SCORES
# Points of older releases lack these.
_RECOMMENDATION = frozenset(RECOMMENDATION_KINDS) - {"open_bins", "top_tier", "open_feeders"}


def parameter_values(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row of parameters as it was read, by field. Raises InvalidLearningError if a required field is missing."""
    return _complete(values, _PARAMETERS, what="row of the parameters")


def score_of(values: Mapping[str, Any]) -> FeederScore:
    """Return a feeder's score. Raises InvalidLearningError if a field is missing or invalid."""
    return feeder_score(_complete(values, _SCORES, what="feeder score"))


def state_of(values: Mapping[str, Any], *, known_at: datetime) -> RegimeState:
    """Return a regime state. Raises InvalidLearningError if a field is missing or invalid."""
    return regime_state({**_complete(values, REGIME_KINDS, what="regime state"), "known_at": known_at})


def recommendation_of(values: Mapping[str, Any], *, known_at: datetime) -> Recommendation:
    """Return a recommendation. Raises InvalidLearningError if a field is missing or invalid."""
    return recommendation({**_complete(values, _RECOMMENDATION, what="recommendation"), "known_at": known_at})


def _complete(values: Mapping[str, Any], required: Iterable[str], *, what: str) -> Mapping[str, Any]:
    missing = sorted(set(required) - set(values))
    if missing:
        raise InvalidLearningError(f"a {what} in InfluxDB lacks {', '.join(missing)}: run `bot3 publish run --all`")
    return values
