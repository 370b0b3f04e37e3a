"""Trained feeders and their file format: one line of JSON, then the LightGBM texts of the boosters.

The parser does not verify who wrote a file: a caller must verify the digest before parsing it (`ModelStore.read` does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.errors import ModelError
from bot3.learning.feeders.calibration import Slope, WinRate
from bot3.learning.feeders.candidates import candidates
from bot3.learning.feeders.forest import Forest, forest_of
from bot3.learning.feeders.rules import Rule
from bot3.learning.feeders.specs import FeederSpec
from bot3.market.indicators import Floats
from bot3.trading.horizons import Horizon

FORMAT_VERSION = 2

_REMEDY = "restore the file, or train the model again: materialize its week of feeder_models in Dagster"


class Information(StrEnum):
    """What a feeder's forecasts rest on."""

    FORECAST = "forecast"  # the model's forecasts were informative out of fold
    RULE = "rule only"  # they were not: the forecast is the rule's pooled expectancy
    NONE = "no information"  # they were not, and there is no rule: the feeder makes no calls


@dataclass(frozen=True, slots=True, kw_only=True)
class SideTerms:
    """Terms of one direction.

    Parameters
    ----------
    expectancy_sigma : float
        What the rule's trades are worth before costs, pooled and shrunken, in sigma over the horizon; 0 without a rule.
    threshold : float
        The feeder calls where its forecast less the trade's cost exceeds this ratio of the price, at least 0.
    """

    expectancy_sigma: float
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederHeader:
    """Header of a model file: everything but the boosters.

    Parameters
    ----------
    rows : int
        Training rows of both directions.
    slope : Slope
        Share of the boosters' prediction that the forecast contains; its value is 0 without information.
    round_trip : float
        Fees and slippage of a trade, ratio of the price.
    log_loss_oof, base_log_loss_oof : float
        Log loss of the win rate out of fold, and of the base rate; None if less than two folds were tested.
    """

    spec: FeederSpec
    trained_from: datetime
    trained_until: datetime
    rows: int
    slope: Slope
    win_rate: WinRate
    long: SideTerms
    short: SideTerms
    round_trip: float
    log_loss_oof: float | None
    base_log_loss_oof: float | None

    @property
    def information(self) -> Information:
        """Return what the forecasts rest on."""
        if self.slope.value > 0.0:
            return Information.FORECAST
        return Information.NONE if self.spec.rule.is_none else Information.RULE

    def terms(self, *, is_short: bool) -> SideTerms:
        """Return the terms of a direction."""
        return self.short if is_short else self.long


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Predictions of a feeder on n candles, each for the better direction of the two.

    Parameters
    ----------
    is_called, is_short : bool of shape (n,)
        Whether the feeder signals a trade, and its direction.
    confidence : float64 of shape (n,)
        Calibrated probability that the trade earns more than its costs; NaN for candles that are no candidates.
    net_move : float64 of shape (n,)
        Expected net profit, ratio of the price: the forecast less the trade's cost; NaN for candles that are no candidates.
    """

    is_called: NDArray[np.bool_]
    is_short: NDArray[np.bool_]
    confidence: Floats
    net_move: Floats


class FeederModel:
    """A trained feeder: the forecast of a direction is sigma x (expectancy of the rule + slope x prediction of the boosters).

    Parameters
    ----------
    boosters : sequence of str
        LightGBM texts, whose predictions are averaged; empty if none could be trained.

    Raises
    ------
    ModelError
        If a booster is not readable, or the header states information without a booster.
    """

    def __init__(self, header: FeederHeader, boosters: Sequence[str]) -> None:
        if header.slope.value > 0.0 and not boosters:
            raise ModelError(f"the model of {header.spec.feeder_id} states information but contains no booster; {_REMEDY}")
        self.header = header
        self._forest: Forest | None = forest_of(boosters, features=len(header.spec.layout.names)) if boosters else None

    def calls(self, features: NDArray[np.float32]) -> Calls:
        """Predict on which candles the feeder signals a trade.

        Parameters
        ----------
        features : float32 of shape (n, features of the spec's layout)
            Rows of the warm-up (NaN) have no signal.
        """
        excess, net, confidence = (np.full((2, len(features)), fill) for fill in (-np.inf, np.nan, np.nan))
        for is_short in (False, True):
            rows, moves, sigma = self._net_moves(features, is_short=is_short)
            if not len(rows):
                continue
            net[int(is_short), rows] = moves
            excess[int(is_short), rows] = moves - self.header.terms(is_short=is_short).threshold
            confidence[int(is_short), rows] = self.header.win_rate.probability(moves / sigma)
        best = (excess[1] > excess[0]).astype(np.int64)
        every = np.arange(len(features))
        is_silent = self.header.information is Information.NONE
        return Calls(
            is_called=(excess[best, every] > 0.0) & (not is_silent),
            is_short=best.astype(np.bool_),
            confidence=confidence[best, every],
            net_move=net[best, every],
        )

    def _net_moves(self, features: NDArray[np.float32], *, is_short: bool) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return the candidates' rows, their expected net profits and their sigma."""
        header = self.header
        found = candidates(header.spec, features, is_short=is_short, round_trip=header.round_trip)
        if not len(found.rows):
            return found.rows, found.cost, found.sigma
        forecast = np.full(len(found.rows), header.terms(is_short=is_short).expectancy_sigma)
        if self._forest is not None and header.slope.value > 0.0:
            forecast += header.slope.value * self._forest.predict(found.inputs)
        return found.rows, found.sigma * forecast - found.cost, found.sigma


def write_model(header: FeederHeader, boosters: Sequence[str]) -> bytes:
    """Serialize a model to the content of its file."""
    texts = [text.encode() for text in boosters]
    line = asdict(header) | {
        "format": FORMAT_VERSION,
        "feature_names": header.spec.layout.names,
        "trained_from": header.trained_from.isoformat(),
        "trained_until": header.trained_until.isoformat(),
        "boosters": [len(text) for text in texts],
    }
    return json.dumps(line, sort_keys=True).encode() + b"\n" + b"".join(texts)


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
            raise ModelError(f"this model has format {line['format']}, this version reads {FORMAT_VERSION}; {_REMEDY}")
        header = _header(line)
        boosters = _boosters(line["boosters"], rest)
        names = tuple(line["feature_names"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the header of this model cannot be read ({type(error).__name__}: {error}); {_REMEDY}") from error
    if names != header.spec.layout.names:
        raise ModelError(f"model of {header.spec.feeder_id} was trained on other features than those of this version; {_REMEDY}")
    return FeederModel(header, boosters)


def _header(line: dict[str, Any]) -> FeederHeader:
    spec = dict(line["spec"])
    spec |= {"rule": Rule(spec["rule"]), "horizon": Horizon(spec["horizon"])}
    return FeederHeader(
        spec=FeederSpec(**spec),
        trained_from=datetime.fromisoformat(line["trained_from"]),
        trained_until=datetime.fromisoformat(line["trained_until"]),
        slope=Slope(**line["slope"]),
        win_rate=WinRate(**line["win_rate"]),
        long=SideTerms(**line["long"]),
        short=SideTerms(**line["short"]),
        **{name: line[name] for name in ("rows", "round_trip", "log_loss_oof", "base_log_loss_oof")},
    )


def _boosters(lengths: list[int], rest: bytes) -> list[str]:
    if len(rest) != sum(lengths):
        raise ValueError(f"the header declares boosters of {sum(lengths)} bytes, the file contains {len(rest)}")
    texts, at = [], 0
    for length in lengths:
        texts.append(rest[at : at + length].decode())
        at += length
    return texts
