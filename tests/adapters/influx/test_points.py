"""Trades as points: many at once say what each alone would."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from bot3.adapters.influx.line_protocol import field_of, line, point_ns
from bot3.adapters.influx.points import TRADE_KINDS, TRADE_TAGS, TRADES, parameter_points, trade_lines
from bot3.ports.publisher import Origin, ParameterPublication
from tests.learned import a_row, a_set

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAY_LACK = {"enter_tag", "exit_reason", "min_rate", "max_rate", "initial_stop_loss_pct", "stop_loss_pct", "liquidation_price", "horizon"}
FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)', re.DOTALL)

# No lone surrogates and no NUL: no database holds them.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
tags = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "int": st.integers(0, 2**40),
    "bool": st.booleans(),
    "text": texts,
    "time": st.integers(0, 6_900_000_000_000_000).map(lambda us: EPOCH + timedelta(microseconds=us)),
}
FIELDS = {name: VALUES[kind] | st.none() if name in MAY_LACK else VALUES[kind] for name, kind in TRADE_KINDS.items()}
trades = st.fixed_dictionaries(dict.fromkeys(TRADE_TAGS, tags) | FIELDS | {"close_date": VALUES["time"]})


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    dtypes = {"float": "float64", "int": "int64", "bool": "bool", "text": "str", "time": "datetime64[us, UTC]"}
    kinds = {**dict.fromkeys(TRADE_TAGS, "text"), **TRADE_KINDS, "close_date": "time"}
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=dtypes[kind]) for name, kind in kinds.items()})


def said(text: str) -> tuple[str, dict[str, Any], str]:
    """Return a point's series, its fields and its time, as the server reads them."""
    series, held, at_ns = re.fullmatch(r"((?:[^ \\]|\\.)+) (.*) (\d+)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return series, {name: _value(name, told) for name, told in FIELD.findall(held)}, at_ns


def _value(name: str, told: str) -> Any:
    kind = TRADE_KINDS[name]
    if told.startswith('"'):
        return field_of(re.sub(r"\\(.)", r"\1", told[1:-1], flags=re.DOTALL), kind)
    return field_of(told.removesuffix("i") if kind == "int" else told, kind)


@given(rows=st.lists(trades, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_trade_lines_given_any_trades_then_say_what_each_alone_would(rows: list[dict[str, Any]]) -> None:
    expected = [
        line(
            TRADES,
            {name: row[name] for name in TRADE_TAGS},
            {name: row[name] for name in TRADE_KINDS},
            kinds=TRADE_KINDS,
            at_ns=point_ns(row["close_date"], row["trade_id"]),
        )
        for row in rows
    ]

    lines = trade_lines(frame_of(rows))

    assert [said(text) for text in lines] == [said(text) for text in expected]
    assert [said(text)[1] for text in lines] == [{name: row[name] for name in TRADE_KINDS if row[name] is not None} for row in rows]


def test_parameter_points_given_another_horizon_then_its_rows_are_in_a_measurement_of_their_own() -> None:
    rows = [a_row(leverage_bin=name) for name in ("*", "2.0-3.5", "*@7d", "2.0-3.5@7d")]
    publication = ParameterPublication(parameters=a_set("v1", *rows), seq=1, is_full=True, full_seq=1, full_known_at=EPOCH)

    points = parameter_points(publication, Origin(store_id="s", epoch="e"))

    found = sorted(re.sub(r" .*", "", text) for text in points.rows)
    assert found == [
        "adaptive_params,leverage_bin=2.0-3.5",
        "adaptive_params_by_horizon,direction=*,leverage_bin=*@7d,pair=*",
        "adaptive_params_by_horizon,direction=*,leverage_bin=2.0-3.5@7d,pair=*",
        "adaptive_params_by_pair,direction=*,leverage_bin=*,pair=*",
        "adaptive_params_by_pair,direction=*,leverage_bin=2.0-3.5,pair=*",
    ]
    assert (r"\"rows\":2" in points.head.replace(" ", ""), r"\"rows_of_other_horizons\":2" in points.head.replace(" ", "")) == (True, True)
