"""Plots in metadata: small enough to be shown in place, and always a picture."""

from __future__ import annotations

import base64
import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot3.trading.signals import FEEDER_IDS
from bot3_assets.assets.adaptive_params import adaptive_params_metadata
from bot3_assets.assets.feeder_scores import feeder_scores_metadata
from bot3_assets.plots import Interval, plot_intervals
from bot3_assets.resources import PlatformResource

SHOWN_IN_PLACE = 1_000
"""Dagster's pages show Markdown below so many characters where it stands, and longer one behind a click."""
_SVG = "{http://www.w3.org/2000/svg}"

ratios = st.floats(-0.99, 9.99)
intervals = st.tuples(ratios, ratios, ratios).map(sorted).map(lambda v: Interval(label="F10", low=v[0], mark=v[1], high=v[2]))


def drawn(markdown: str) -> ET.Element:
    found = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found, markdown
    return ET.fromstring(base64.b64decode(found[1]))  # noqa: S314  # our own


@given(rows=st.lists(intervals, min_size=1, max_size=10))
def test_plot_given_ten_feeders_then_is_shown_in_place(rows: list[Interval]) -> None:
    markdown = plot_intervals(rows, title="expectancy, 90 %").md_str

    picture = drawn(markdown)
    assert len(markdown) < SHOWN_IN_PLACE
    assert [text.text for text in picture.iter(f"{_SVG}text")][:-2] == ["F10"] * len(rows)


@given(rows=st.lists(intervals, min_size=1, max_size=10))
def test_plot_given_any_interval_then_lies_inside_the_picture_with_its_mark_in_the_bar(rows: list[Interval]) -> None:
    picture = drawn(plot_intervals(rows, title="x").md_str)

    bars, ticks = (path.get("d", "") for path in picture.iter(f"{_SVG}path"))
    ends = [(int(low), int(high)) for low, high in re.findall(r"M(\d+) \d+H(\d+)", bars)]
    marks = [int(at) for at in re.findall(r"M(\d+) \d+v8", ticks)]
    assert len(ends) == len(marks) == len(rows)
    assert all(0 <= low <= mark <= high <= int(picture.get("width", "0")) for (low, high), mark in zip(ends, marks, strict=True))


def test_plot_given_what_is_no_number_then_names_the_row_and_draws_the_others() -> None:
    rows = [Interval(label="F01", low=-0.1, mark=0.0, high=0.1), Interval(label="F02", low=math.nan, mark=0.0, high=0.1)]

    picture = drawn(plot_intervals(rows, title="x").md_str)

    bars = next(picture.iter(f"{_SVG}path")).get("d", "")
    assert bars.count("M") == 1
    assert [text.text for text in picture.iter(f"{_SVG}text")][:2] == ["F01", "F02"]


def test_plot_given_nothing_then_says_so() -> None:
    assert plot_intervals([], title="feeders").md_str == "feeders: nothing to show yet"


@pytest.mark.slow
def test_metadata_given_a_seeded_home_then_plots_are_shown_in_place_and_tables_have_whole_rows(seeded: PlatformResource) -> None:
    platform = seeded.platform()
    parameters, scores = adaptive_params_metadata(platform), feeder_scores_metadata(platform)

    for plot, rows in ((parameters["stop_to_target"], 6), (scores["intervals"], len(FEEDER_IDS))):
        assert len(plot.value) < SHOWN_IN_PLACE
        assert next(drawn(plot.value).iter(f"{_SVG}path")).get("d", "").count("M") == rows
    for table in (parameters["by_bin"], scores["ranking"]):
        assert len({line.count("|") for line in table.value.splitlines()}) == 1
    assert [line.split(" | ")[0] for line in parameters["by_bin"].value.splitlines()[2:4]] == ["| all", "| 1.0-2.0"]
