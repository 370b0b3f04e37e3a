"""Build a publication from rows; its version is a digest of its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from bot3.learning.parameters.settings import digest_of
from bot3.market.regimes import Regime
from bot3.trading.parameters import ExitParameters, ParameterSet

_FIELDS = tuple(field.name for field in fields(ExitParameters))


def publication(
    rows: Mapping[str, ExitParameters],
    *,
    rule: list[Any],
    regime_factors: Mapping[Regime, tuple[float, float]],
    now: datetime,
    computed_at: datetime,
    life: timedelta,
    revision: int,
) -> ParameterSet:
    """Build one publication from rows, in force from `now` on for `life`, and set its version in each row.

    Parameters
    ----------
    rule : list
        Further inputs of the rows that are part of the version (JSON): settings, half-life, the day last reviewed.
    """
    factors = {str(regime): pair for regime, pair in regime_factors.items()}
    expires_at = now + life
    version = digest_of([*rule, {key: _plain(row) for key, row in rows.items()}, factors, expires_at.isoformat()])
    return ParameterSet(
        rows={key: replace(row, version=version) for key, row in rows.items()},
        regime_factors=regime_factors,
        version=version,
        revision=revision,
        known_at=now,
        computed_at=computed_at,
        expires_at=expires_at,
    )


def _plain(row: ExitParameters) -> dict[str, Any]:
    values = ((name, getattr(row, name)) for name in _FIELDS)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values}
