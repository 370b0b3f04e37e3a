"""Trained feeders and their file format: one line of JSON, then the LightGBM texts of the two boosters.

LightGBM's parser does not validate its input: a caller must verify the digest of a file before parsing it (`ModelStore.read` does).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.errors import ModelError
from bot3.learning.feeders.calibration import Calibration
from bot3.learning.feeders.labels import Barriers
from bot3.learning.feeders.specs import FeederSpec, Setup
from bot3.market.features import FEATURE_NAMES
from bot3.market.indicators import Floats
from bot3.trading.horizons import Horizon

FORMAT_VERSION = 1
SETUP_MOVE = 0.25
"""Smallest recent move, in units of its own volatility, after which a feeder with a setup evaluates a candle."""

_REMEDY = "restore the file, or train the model again: materialize its week of feeder_models in Dagster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One direction of a feeder: its booster (LightGBM), calibration and threshold on the calibrated probability."""

    text: str
    calibration: Calibration
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Predictions of a feeder on n candles: whether it signals a trade, in which direction, and the confidence.

    The confidence is NaN for candles that the feeder does not evaluate in that direction (`in_setup`).
    """

    is_called: NDArray[np.bool_]
    is_short: NDArray[np.bool_]
    confidence: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederHeader:
    """Header of a model file: its metadata without the boosters."""

    spec: FeederSpec
    timeframe: str
    trained_from: datetime
    trained_until: datetime
    rows: int
    log_loss_oof: float
    base_log_loss_oof: float


class FeederModel:
    """A trained feeder.

    Parameters
    ----------
    header : FeederHeader
        Metadata of the model.
    sides : mapping of bool to Side
        One side per direction, by is_short.
    """

    def __init__(self, header: FeederHeader, sides: Mapping[bool, Side]) -> None:
        self.header = header
        self.sides = dict(sides)
        self._columns = np.array([FEATURE_NAMES.index(name) for name in header.spec.feature_names])
        self._boosters = {is_short: _booster(side.text, header.spec) for is_short, side in sides.items()}

    def calls(self, features: NDArray[np.float32]) -> Calls:
        """Predict on which candles the feeder signals a trade: where the confidence reaches the threshold of the direction.

        Parameters
        ----------
        features : float32 of shape (n, len(FEATURE_NAMES))
            Rows of `features.feature_matrix`; rows of the warm-up (NaN) have no signal.
        """
        excess, confidence = np.full((2, len(features)), -np.inf), np.full((2, len(features)), np.nan)
        for is_short, side in self.sides.items():
            rows = np.flatnonzero(in_setup(features, self.header.spec, is_short=is_short))
            if len(rows):
                score = np.asarray(self._boosters[is_short].predict(features[rows][:, self._columns], num_threads=1), dtype=np.float64)
                confidence[int(is_short), rows] = side.calibration.probability(score)
                excess[int(is_short), rows] = confidence[int(is_short), rows] - side.threshold
        is_short_best = excess[1] > excess[0]
        return Calls(
            is_called=excess.max(axis=0) >= 0.0,
            is_short=is_short_best,
            confidence=np.where(is_short_best, confidence[1], confidence[0]),
        )


def in_setup(features: NDArray[np.float32], spec: FeederSpec, *, is_short: bool) -> NDArray[np.bool_]:
    """Return for each row of features whether a feeder evaluates it for a direction: its recent move must suit the feeder's setup."""
    if spec.setup is Setup.ANY:
        known: NDArray[np.bool_] = ~np.isnan(features[:, FEATURE_NAMES.index("day_sine")])
        return known
    move = features[:, FEATURE_NAMES.index(spec.setup_feature)]
    wants_rise = (spec.setup is Setup.MOMENTUM) is not is_short
    looked_at: NDArray[np.bool_] = move >= SETUP_MOVE if wants_rise else move <= -SETUP_MOVE
    return looked_at


def write_model(header: FeederHeader, sides: Mapping[bool, Side]) -> bytes:
    """Serialize a model to the content of its file."""
    texts = {_name(is_short): side.text.encode() for is_short, side in sides.items()}
    line = {
        "format": FORMAT_VERSION,
        "feeder_id": header.spec.feeder_id,
        "spec": asdict(header.spec),
        "timeframe": header.timeframe,
        "feature_names": header.spec.feature_names,
        "trained_from": header.trained_from.isoformat(),
        "trained_until": header.trained_until.isoformat(),
        "rows": header.rows,
        "log_loss_oof": header.log_loss_oof,
        "base_log_loss_oof": header.base_log_loss_oof,
        "calibration": {_name(is_short): asdict(side.calibration) for is_short, side in sides.items()},
        "thresholds": {_name(is_short): side.threshold for is_short, side in sides.items()},
        "boosters": {name: len(text) for name, text in texts.items()},
    }
    return json.dumps(line, sort_keys=True).encode() + b"\n" + texts["long"] + texts["short"]


def read_model(text: bytes) -> FeederModel:
    """Parse a model from the content of a file whose digest was verified before.

    Raises
    ------
    ModelError
        If the content is not a model file of this format, or the model's features differ from those of this release.
    """
    first, found, rest = text.partition(b"\n")
    if not found:
        raise ModelError(f"this is not a feeder model: its first line has no end; {_REMEDY}")
    try:
        line = json.loads(first)
        if line["format"] != FORMAT_VERSION:
            raise ModelError(f"model of {line['feeder_id']} has format {line['format']}, this version reads {FORMAT_VERSION}; {_REMEDY}")
        header = _header(line)
        sides = _sides(line, rest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the header of this model cannot be read ({type(error).__name__}: {error}); {_REMEDY}") from error
    names = tuple(line["feature_names"])
    if names != header.spec.feature_names or not set(names) <= set(FEATURE_NAMES):
        raise ModelError(f"model of {header.spec.feeder_id} was trained on other features than those of this version; {_REMEDY}")
    return FeederModel(header, sides)


def _header(line: dict[str, Any]) -> FeederHeader:
    spec = dict(line["spec"])
    spec |= {"families": tuple(spec["families"]), "barriers": Barriers(**spec["barriers"]), "setup": Setup(spec["setup"])}
    # Models of earlier releases have no horizon: their trades were open for 24 h at most.
    spec["horizon"] = Horizon(spec.get("horizon", Horizon.DAY))
    return FeederHeader(
        spec=FeederSpec(**spec),
        trained_from=datetime.fromisoformat(line["trained_from"]),
        trained_until=datetime.fromisoformat(line["trained_until"]),
        **{name: line[name] for name in ("timeframe", "rows", "log_loss_oof", "base_log_loss_oof")},
    )


def _sides(line: dict[str, Any], rest: bytes) -> dict[bool, Side]:
    lengths = line["boosters"]
    if len(rest) != lengths["long"] + lengths["short"]:
        raise ValueError(f"the header declares boosters of {lengths['long']} and {lengths['short']} bytes, the file contains {len(rest)}")
    texts = {"long": rest[: lengths["long"]], "short": rest[lengths["long"] :]}
    return {
        is_short: Side(
            text=texts[_name(is_short)].decode(),
            calibration=Calibration(**line["calibration"][_name(is_short)]),
            threshold=float(line["thresholds"][_name(is_short)]),
        )
        for is_short in (False, True)
    }


def _name(is_short: bool) -> str:  # noqa: FBT001  # converts the value itself
    return "short" if is_short else "long"


def _booster(text: str, spec: FeederSpec) -> Any:
    import lightgbm  # noqa: PLC0415  # the import takes 0.3 s, and only predictions need it

    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise ModelError(f"a booster of {spec.feeder_id} cannot be read ({error}); {_REMEDY}") from error
    if booster.num_feature() != len(spec.feature_names):
        raise ModelError(f"a booster of {spec.feeder_id} has {booster.num_feature()} features, not {len(spec.feature_names)}; {_REMEDY}")
    return booster
