"""Cases of published parameter rows, for every reader of them: valid rows, and rows that each reader refuses."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from tests.learned import a_row

Change = dict[str, Any]


def row_values(**changes: Any) -> dict[str, Any]:
    """Return the fields of a valid row, with some changed."""
    row = a_row()
    return {field.name: getattr(row, field.name) for field in fields(row)} | changes


_NUMBERS = ("n_eff", "expectancy", "lower_bound", "upper_bound", "confidence", "own_share", "ambiguous_share", "sigma_ref", "leverage_ref")
_LEVELS = ("stop_loss", "stop_move", "stop_sigma", "take_profit_target", "take_profit_move", "take_profit_sigma")
_OPTIONAL_NUMBERS = ("win_rate", "avg_profit", "profit_factor")

INVALID_FIELDS: list[tuple[str, Any]] = [
    *((name, value) for name in (*_LEVELS, *_NUMBERS) for value in (None, "1", True, math.nan, math.inf, -math.inf)),
    *((name, value) for name in _OPTIONAL_NUMBERS for value in ("1", True, math.nan, math.inf, -math.inf)),
    *(("stop_loss", value) for value in (0.0, 0.02, -1.2, -0.99e-4)),
    *(("stop_move", value) for value in (0.0, 0.01, -1.1)),
    *(("stop_sigma", value) for value in (0.0, -500.0, -0.01, 1.0, -8.1)),
    *(("take_profit_target", value) for value in (0.0, -0.01, 0.99e-5)),
    *(("take_profit_move", value) for value in (0.0, -0.01)),
    *(("take_profit_sigma", value) for value in (1_000.0, 0.01, -1.2, 12.1)),
    *(("leverage_ref", value) for value in (0.5, 125.5)),
    *(("sigma_ref", value) for value in (0.0, -0.01)),
    *(("expectancy", value) for value in (0.5, -0.5)),
    *(("lower_bound", value) for value in (0.002, -10.1)),
    *(("upper_bound", value) for value in (-0.002, 10.1)),
    *((name, value) for name in ("confidence", "own_share", "ambiguous_share", "win_rate") for value in (-0.1, 1.1)),
    ("n_eff", -0.1),
    ("profit_factor", -0.1),
    *((name, value) for name in ("trades_count", "replays_count") for value in (None, -1, 2.5, True, "1", 2**63)),
    *((name, value) for name in ("left_out_count", "late_count") for value in (-1, 2.5, True, "1", 2**63)),
    *((name, value) for name in ("parent", "version") for value in (None, "", 17)),
    *(("pair", value) for value in (None, 17)),
    *(("direction", value) for value in ("up", "", None, 1)),
    *(("leverage_bin", value) for value in ("3.0-1.0", "1-3", "0.5-2.0", "1.0-1.0", "1.0-200.0", "1.001-2.0", "1.0-nan")),
    *(("leverage_bin", value) for value in ("10.0+", "<2.0", "", None, 1)),
    *(("state", value) for value in ("maybe", "", None, 1)),
    *((name, value) for name in ("is_censored", "has_target") for value in (0, 1, "true")),
    *((name, value) for name in ("deviation_move", "worst_move", "notional_ratio", "utility") for value in ("1", True, math.nan, math.inf)),
    *(("deviation_move", value) for value in (-0.001, 10.1)),
    *(("worst_move", value) for value in (0.0, 0.01, -10.1)),
    ("notional_ratio", -0.1),
    *(("utility", value) for value in (-10.1, 10.1)),
    *(("known_at", value) for value in (17, None)),
]
"""A field of a valid row, and a value with which the row is refused."""

CONTRADICTIONS: list[tuple[Change, str]] = [
    ({"stop_move": -0.02}, "stop_move"),
    ({"stop_loss": -0.06}, "stop_loss"),
    ({"take_profit_move": 0.02, "take_profit_target": 0.1}, "take_profit_move"),
    ({"take_profit_target": 0.07}, "take_profit_target"),
    (
        {"take_profit_target": 0.001, "sigma_ref": 0.1, "stop_move": -0.1, "stop_loss": -0.5, "take_profit_move": 0.12},
        "take_profit_target",
    ),
]
"""Changes after which the forms of one level contradict each other, and the field that is named."""

VALID_ROWS: list[Change] = [
    {},
    *({name: None} for name in (*_OPTIONAL_NUMBERS, "left_out_count", "late_count", "is_censored")),
    *({name: value} for name in ("confidence", "own_share", "ambiguous_share", "win_rate") for value in (0, 0.0, 1.0, 1)),
    {"lower_bound": -10.0, "upper_bound": 10.0},
    {"lower_bound": 0.0, "expectancy": 0.0, "upper_bound": 0.0},
    {"trades_count": 0, "replays_count": 2**63 - 1, "left_out_count": 0, "late_count": 7},
    {"is_censored": True},
    {"has_target": False},
    *({name: None} for name in ("has_target", "deviation_move", "worst_move", "notional_ratio", "utility")),
    {"deviation_move": 0.0, "worst_move": -1.5, "notional_ratio": 0.0, "utility": -0.01},
    {"pair": "", "direction": "short", "leverage_bin": "7.5-10.0"},
    *({"leverage_bin": name} for name in ("1.0-125.0", "1.25-1.26", "4.0-8.0")),
]
"""Changes of a valid row that leave it valid."""
