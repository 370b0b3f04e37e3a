"""Compare the field types that this platform writes to InfluxDB with those that a bucket contains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot3.adapters.influx.line_protocol import Kind
from bot3.adapters.influx.points import (
    BY_BIN,
    BY_HORIZON,
    BY_PAIR,
    HEADS,
    MANIFEST,
    PARAMETER_KINDS,
    RECOMMENDATION_KINDS,
    RECOMMENDATIONS,
    REGIME_KINDS,
    REGIMES,
    SCORE_KINDS,
    SCORES,
    TRADE_KINDS,
    TRADES,
)

_WRITTEN: Mapping[str, Mapping[str, Kind]] = {
    BY_PAIR: PARAMETER_KINDS,
    BY_HORIZON: PARAMETER_KINDS,
    BY_BIN: PARAMETER_KINDS,
    SCORES: SCORE_KINDS,
    REGIMES: REGIME_KINDS,
    RECOMMENDATIONS: RECOMMENDATION_KINDS,
    HEADS: MANIFEST,
    TRADES: TRADE_KINDS,
}
_NAMES: Mapping[Kind, str] = {"float": "float", "int": "integer", "bool": "boolean", "text": "string", "time": "string"}

FieldTypes = Mapping[str, Mapping[str, frozenset[str]]]
"""Types by measurement and field, in the server's spelling; a field may have several types, in different shards."""


def wrong_types(bucket: str, held: FieldTypes) -> Iterator[str]:
    """Yield a message for each measurement with a field of another type than this platform writes: the server rejects such points."""
    for measurement, fields in sorted(held.items()):
        kinds = _WRITTEN.get(measurement, {})
        others = [
            f"{name} is {' and '.join(sorted(types))}, written as {_NAMES[kinds[name]]}"
            for name, types in sorted(fields.items())
            if name in kinds and types != {_NAMES[kinds[name]]}
        ]
        if others:
            everything = "--start 1970-01-01T00:00:00Z --stop 2200-01-01T00:00:00Z"
            yield (
                f"bucket {bucket}, measurement {measurement}: field {'; '.join(others)}: find the program that writes another type, then "
                f"`influx delete --bucket {bucket} {everything} --predicate '_measurement=\"{measurement}\"'` and `bot3 publish run --all`"
            )
