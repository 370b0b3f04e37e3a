"""Convert publications and trades to points: measurements, tags, fields and their types, and the head that completes a publication."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import chain, repeat
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bot3.adapters.influx.line_protocol import PLACES, Kind, field_parts, joined, line, point_ns, require_time, tag_texts, tag_value
from bot3.market.regimes import Regime, RegimeState
from bot3.ports.publisher import Head, Origin, ParameterPublication, PublicationKind, RecommendationPublication, ScorePublication
from bot3.trading.horizons import Horizon
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet
from bot3.trading.recommendations import FeederScore

HEADS = "publications"
BY_PAIR, BY_BIN = "adaptive_params_by_pair", "adaptive_params"
BY_HORIZON = "adaptive_params_by_horizon"
"""Rows of horizons other than 24 h, apart from the others: readers that know no horizons would count them, and refuse their labels."""
SCORES, REGIMES, RECOMMENDATIONS, TRADES = "feeder_scores", "regime_state", "meta_recommendations", "trades"
OTHER_ROWS = "rows_of_other_horizons"
"""Number of rows in `BY_HORIZON`, in the head of a publication of parameters; heads of earlier releases lack it and have none."""
MANIFEST: Mapping[str, Kind] = {"manifest": "text"}
"""One field, so that a head is written as a whole or not at all."""


def _kinds(of: type[Any], *, tags: Sequence[str]) -> dict[str, Kind]:
    kinds = {"float": "float", "float | None": "float", "int": "int", "int | None": "int", "bool | None": "bool", "datetime": "time"}
    return {field.name: kinds.get(str(field.type), "text") for field in fields(of) if field.name not in tags}


PARAMETER_TAGS = ("pair", "direction", "leverage_bin")
PARAMETER_KINDS: Mapping[str, Kind] = _kinds(ExitParameters, tags=PARAMETER_TAGS) | {"expires_at": "time"}
SCORE_TAGS = ("feeder_id", "regime")
SCORE_KINDS: Mapping[str, Kind] = _kinds(FeederScore, tags=SCORE_TAGS)
PROBABILITIES = tuple(f"p_{regime.value}" for regime in Regime)
REGIME_KINDS: Mapping[str, Kind] = (
    {"regime": "text", "since": "time"} | dict.fromkeys(PROBABILITIES, "float") | {"computed_at": "time", "version": "text"}
)
RECOMMENDATION_KINDS: Mapping[str, Kind] = {
    "regime": "text",
    "tiers": "text",
    "top_feeders": "text",
    "avoid_feeders": "text",
    "top_tier": "text",
    "open_feeders": "text",
    "open_bins": "text",
    "suggested_leverage_low": "float",
    "suggested_leverage_high": "float",
    "suggested_position_size_multiplier": "float",
    "generated_at": "time",
    "expires_at": "time",
    "computed_at": "time",
    "version": "text",
    "parameters_version": "text",
    "scores_version": "text",
}
TRADE_TAGS = ("bot", "run_mode", "pair", "direction", "leverage_bin", "feeder_id")
TRADE_KINDS: Mapping[str, Kind] = (
    {"trade_id": "int", "account": "text", "is_short": "bool", "open_date": "time", "enter_tag": "text", "exit_reason": "text"}
    | dict.fromkeys(("leverage", "open_rate", "amount", "stake_amount", "fee_open", "fee_close", "close_rate", "close_profit"), "float")
    | dict.fromkeys(("close_profit_abs", "funding_fees", "min_rate", "max_rate", "initial_stop_loss_pct", "stop_loss_pct"), "float")
    | {"liquidation_price": "float", "digest": "text", "horizon": "text"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """One publication: its rows, the head that is written after all of them, and their time in nanoseconds since 1970."""

    at_ns: int
    rows: tuple[str, ...]
    head: str


def parameter_points(publication: ParameterPublication, origin: Origin) -> Points:
    """Return the points of a publication of parameters.

    They are a row for each pair, direction, leverage bin and horizon, the rows of whole leverage bins of 24 h once more in the measurement
    that older readers read, and the head.
    """
    parameters = publication.parameters
    at_ns = point_ns(parameters.known_at, publication.seq)
    ending = {"expires_at": parameters.expires_at}
    rows = [
        line(
            BY_PAIR if row.horizon is Horizon.DAY else BY_HORIZON,
            _tags(row, PARAMETER_TAGS),
            _fields(row, PARAMETER_KINDS) | ending,
            kinds=PARAMETER_KINDS,
            at_ns=at_ns,
        )
        for row in parameters.rows.values()
    ]
    bins = [
        line(BY_BIN, {"leverage_bin": row.leverage_bin}, _fields(row, PARAMETER_KINDS) | ending, kinds=PARAMETER_KINDS, at_ns=at_ns)
        for row in parameters.rows.values()
        if (row.pair, row.direction) == (ANY, ANY) and row.leverage_bin != ANY and row.horizon is Horizon.DAY
    ]
    return Points(
        at_ns=at_ns, rows=(*rows, *bins), head=_head_line(PublicationKind.PARAMETERS, at_ns, _parameter_manifest(publication), origin)
    )


def score_points(publication: ScorePublication, origin: Origin) -> Points:
    """Return the points of a publication of feeder scores, one per score, and its head."""
    at_ns = point_ns(publication.known_at, publication.seq)
    rows = tuple(
        line(SCORES, _tags(score, SCORE_TAGS), _fields(score, SCORE_KINDS), kinds=SCORE_KINDS, at_ns=at_ns) for score in publication.scores
    )
    manifest = {"seq": publication.seq, "version": publication.scores[0].version, "rows": len(rows)}
    return Points(at_ns=at_ns, rows=rows, head=_head_line(PublicationKind.FEEDER_SCORES, at_ns, manifest, origin))


def regime_points(state: RegimeState, origin: Origin) -> Points:
    """Return the point of a regime state, and its head."""
    at_ns = point_ns(state.known_at, 0)
    values = {"regime": state.regime, "since": state.since, "computed_at": state.computed_at, "version": state.version}
    row = line(REGIMES, {}, values | dict(zip(PROBABILITIES, state.probabilities, strict=True)), kinds=REGIME_KINDS, at_ns=at_ns)
    return Points(
        at_ns=at_ns, rows=(row,), head=_head_line(PublicationKind.REGIME, at_ns, {"seq": 0, "version": state.version, "rows": 1}, origin)
    )


def recommendation_points(publication: RecommendationPublication, origin: Origin) -> Points:
    """Return the point of a recommendation, and its head."""
    made = publication.recommendation
    at_ns = point_ns(made.known_at, publication.seq)
    low, high = made.suggested_leverage_range
    values = {name: getattr(made, name) for name in RECOMMENDATION_KINDS if hasattr(made, name)} | {
        "tiers": json.dumps({feeder: tier.value for feeder, tier in sorted(made.tiers.items())}),
        "top_feeders": json.dumps(list(made.top_feeders)),
        "avoid_feeders": json.dumps(list(made.avoid_feeders)),
        "open_feeders": json.dumps(list(made.open_feeders)),
        "open_bins": json.dumps(list(made.open_bins)),
        "suggested_leverage_low": low,
        "suggested_leverage_high": high,
    }
    row = line(RECOMMENDATIONS, {}, values, kinds=RECOMMENDATION_KINDS, at_ns=at_ns)
    manifest = {"seq": publication.seq, "version": made.version, "rows": 1}
    return Points(at_ns=at_ns, rows=(row,), head=_head_line(PublicationKind.RECOMMENDATION, at_ns, manifest, origin))


def trade_lines(trades: pd.DataFrame) -> list[str]:
    """Return the points of closed trades as lines, one per trade, at the times of `trade_times`.

    They are formatted column by column, which is faster for many trades.

    Raises
    ------
    UnwritableError
        If a trade contains a value that no point can represent.
    """
    closed = trades["close_date"].dt.as_unit("us").astype("int64")
    for at_us in (closed.min(), closed.max()) if len(closed) else ():
        require_time(int(at_us))
    tags = [tag_texts(name, trades[name]) for name in sorted(TRADE_TAGS)]
    leads = (" ", *repeat(",", len(TRADE_KINDS) - 1))
    held = [field_parts(name, trades[name], kind, lead=lead) for lead, (name, kind) in zip(leads, TRADE_KINDS.items(), strict=True)]
    times = pc.cast(pa.array(trade_times(trades)), pa.large_string())
    lines: list[str] = joined(TRADES, *tags, *chain.from_iterable(held), " ", times).to_pylist()
    return lines


def trade_times(trades: pd.DataFrame) -> NDArray[np.int64]:
    """Return the time of each trade's point in nanoseconds since 1970: its close date, plus its trade id modulo 1000."""
    closed = trades["close_date"].dt.as_unit("us").astype("int64").to_numpy(dtype="int64")
    ids = trades["trade_id"].to_numpy(dtype="int64")
    at_ns: NDArray[np.int64] = closed * PLACES + ids % PLACES
    return at_ns


def gone_points(gone: pd.DataFrame) -> Iterator[tuple[str, dict[str, str], int]]:
    """Yield for each trade whose point must be deleted its bot, the point's tags as stored, and its time in nanoseconds since 1970."""
    for row, at_ns in zip(gone.to_dict("records"), trade_times(gone).tolist(), strict=True):
        yield str(row["bot"]), {name: tag_value(str(row[name])) for name in TRADE_TAGS}, at_ns


def head_of(noun: str, known_at: datetime, manifest: str, *, own: Origin) -> Head:
    """Return the head that a point's manifest (JSON) describes; `own` is used as in `origin_of_manifest`."""
    said = json.loads(manifest)
    return Head(
        origin=origin_of_manifest(said, own=own),
        noun=PublicationKind(noun),
        known_at=known_at,
        seq=int(said["seq"]),
        version=said["version"],
        rows=int(said["rows"]) + int(said.get(OTHER_ROWS, 0)),
    )


def origin_of_manifest(said: Mapping[str, Any], *, own: Origin) -> Origin:
    """Return the record and epoch that a manifest names.

    The manifest of an old release names none: then the record of `own` with an empty epoch is returned.
    """
    found = said.get("origin")
    if found is None:
        return Origin(store_id=own.store_id, epoch="")
    return Origin(store_id=str(found["store"]), epoch=str(found["epoch"]))


def origin_mark(origin: Origin) -> str:
    """Return a text that is part of every manifest of an origin, and of no other manifest."""
    return f'"origin":{_compact({"epoch": origin.epoch, "store": origin.store_id})}'


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _parameter_manifest(publication: ParameterPublication) -> dict[str, Any]:
    parameters: ParameterSet = publication.parameters
    others = sum(row.horizon is not Horizon.DAY for row in parameters.rows.values())
    return {
        "seq": publication.seq,
        "version": parameters.version,
        "rows": len(parameters.rows) - others,
        OTHER_ROWS: others,
        "is_full": publication.is_full,
        "full_ns": point_ns(publication.full_known_at, publication.full_seq),
        "learned_revision": parameters.revision,
        "computed_at": parameters.computed_at.isoformat(),
        "expires_at": parameters.expires_at.isoformat(),
        "regime_factors": {regime.value: list(factors) for regime, factors in parameters.regime_factors.items()},
    }


def _head_line(noun: PublicationKind, at_ns: int, manifest: Mapping[str, Any], origin: Origin) -> str:
    text = _compact({**manifest, "origin": {"store": origin.store_id, "epoch": origin.epoch}})
    return line(HEADS, {"noun": noun.value}, {"manifest": text}, kinds=MANIFEST, at_ns=at_ns)


def _tags(row: object, names: Sequence[str]) -> dict[str, str]:
    return {name: str(getattr(row, name)) for name in names}


def _fields(row: object, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in kinds if hasattr(row, name)}
