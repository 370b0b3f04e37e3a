"""Points of the copy as what was learned; a field that is missing, and must be there, is an error, never a default."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from bot3.adapters.influx_lines import Kind
from bot3.adapters.influx_points import PROBABILITIES, RECOMMENDATION_KINDS, REGIME_KINDS
from bot3.errors import LearningError
from bot3.market.regimes import Regime, RegimeState
from bot3.trading.leverage_bins import bins_of_range
from bot3.trading.parameters import ExitParameters, ParameterState
from bot3.trading.recommendations import FeederScore, FeederTier, Recommendation

_OF_PARAMETERS = ("win_rate", "avg_profit", "profit_factor", "left_out_count", "late_count", "is_censored")
"""What a row may lack: figures of no trade, and what older releases did not publish."""


def _given(of: type[Any], values: Mapping[str, Any], *, optional: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of a row; a field that is not there, and must be, is an error, never a default."""
    names = [field.name for field in fields(of)]
    missing = sorted(set(names) - set(values) - set(optional))
    if missing:
        raise LearningError(f"a point of {of.__name__} in InfluxDB lacks {', '.join(missing)}: run `bot3 publish run --all`")
    return {name: values.get(name) for name in names}


def parameters_of(values: Mapping[str, Any]) -> ExitParameters:
    """Return a learned row."""
    given = _given(ExitParameters, values, optional=_OF_PARAMETERS)
    return ExitParameters(**given | {"state": ParameterState(given["state"])})


def score_of(values: Mapping[str, Any]) -> FeederScore:
    """Return a feeder's score."""
    given = _given(FeederScore, values, optional=("mean_move", "win_rate", "win_rate_window", "mean_move_window"))
    return FeederScore(**given | {"tier": FeederTier(given["tier"])})


def state_of(values: Mapping[str, Any], *, known_at: datetime) -> RegimeState:
    """Return a regime state."""
    _require_fields(values, REGIME_KINDS, what="regime state")
    bull, bear, sideways, volatile = (values[name] for name in PROBABILITIES)
    return RegimeState(
        regime=Regime(values["regime"]),
        probabilities=(bull, bear, sideways, volatile),
        since=values["since"],
        known_at=known_at,
        computed_at=values["computed_at"],
        version=values["version"],
    )


def recommendation_of(values: Mapping[str, Any], *, known_at: datetime) -> Recommendation:
    """Return a recommendation."""
    # Points written before `open_bins` existed hold the leverage range alone.
    required = {name: kind for name, kind in RECOMMENDATION_KINDS.items() if name != "open_bins"}
    _require_fields(values, required, what="recommendation")
    low, high = values["suggested_leverage_low"], values["suggested_leverage_high"]
    kept = {name: values[name] for name in required if not name.startswith("suggested_leverage")}
    return Recommendation(
        **kept
        | {
            "regime": Regime(values["regime"]),
            "tiers": {feeder: FeederTier(tier) for feeder, tier in json.loads(values["tiers"]).items()},
            "top_feeders": tuple(json.loads(values["top_feeders"])),
            "avoid_feeders": tuple(json.loads(values["avoid_feeders"])),
            "open_bins": tuple(json.loads(values["open_bins"])) if "open_bins" in values else bins_of_range(low, high),
            "suggested_leverage_range": (low, high),
            "known_at": known_at,
        }
    )


def _require_fields(values: Mapping[str, Any], kinds: Mapping[str, Kind], *, what: str) -> None:
    missing = sorted(set(kinds) - set(values))
    if missing:
        raise LearningError(f"a {what} in InfluxDB lacks {', '.join(missing)}: run `bot3 publish run --all`")
