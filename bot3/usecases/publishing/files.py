"""Write the published parameters to one JSON file, and the recommendation with the feeder scores to another, for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bot3.errors import StoreError
from bot3.file_replacement import replacing
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation

PARAMETERS_FILE = "adaptive_params.json"
RECOMMENDATIONS_FILE = "meta_learner_recommendations.json"


def write_published_files(
    directory: Path,
    *,
    parameters: ParameterSet,
    scores: Sequence[FeederScore],
    recommendation: Recommendation,
    parameters_file: Path = Path(PARAMETERS_FILE),
    recommendations_file: Path = Path(RECOMMENDATIONS_FILE),
) -> tuple[Path, Path]:
    """Write both JSON files, each atomically (a reader sees the old contents or the new ones); return their paths, parameters first.

    Parameters
    ----------
    directory : Path
        Directory of files with a relative path; missing directories are created.

    Raises
    ------
    StoreError
        If a file cannot be written.
    """
    written = (
        (directory / parameters_file, _parameters(parameters)),
        (directory / recommendations_file, _recommendation(recommendation, scores)),
    )
    for path, content in written:
        _write(path, content)
    return written[0][0], written[1][0]


def _parameters(parameters: ParameterSet) -> dict[str, Any]:
    return {
        "version": parameters.version,
        "generated_at": parameters.known_at,
        "expires_at": parameters.expires_at,
        "regime_factors": {str(regime): list(factors) for regime, factors in parameters.regime_factors.items()},
        "rows": [asdict(row) for _, row in sorted(parameters.rows.items()) if row.horizon is Horizon.DAY],
        # Apart from "rows", in which readers that know no horizons would refuse their labels.
        "rows_of_other_horizons": [asdict(row) for _, row in sorted(parameters.rows.items()) if row.horizon is not Horizon.DAY],
    }


def _recommendation(recommendation: Recommendation, scores: Sequence[FeederScore]) -> dict[str, Any]:
    return {
        "regime": recommendation.regime,
        "top_feeders": list(recommendation.top_feeders),
        "avoid_feeders": list(recommendation.avoid_feeders),
        "open_feeders": list(recommendation.open_feeders),
        "top_tier": str(recommendation.top_tier),
        "open_bins": list(recommendation.open_bins),
        "suggested_leverage_range": list(recommendation.suggested_leverage_range),
        "suggested_position_size_multiplier": recommendation.suggested_position_size_multiplier,
        "generated_at": recommendation.generated_at,
        "expires_at": recommendation.expires_at,
        "version": recommendation.version,
        "parameters_version": recommendation.parameters_version,
        "scores_version": recommendation.scores_version,
        "tiers": {feeder: str(tier) for feeder, tier in recommendation.tiers.items()},
        "scores": [asdict(score) for score in scores],
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, default=_plain, indent=2, allow_nan=False)
    try:
        with replacing(path) as fresh:
            fresh.write_text(text + "\n", encoding="utf-8")
            fresh.chmod(0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}): free space or correct its permissions") from error


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be converted to JSON")
