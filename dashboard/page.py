"""Parts that all pages share: the bar with the platform's state, tables, messages about missing data, and error banners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from bot3.errors import Bot3Error, DataError, LearningError, StoreBusyError
from bot3.logs import redacted
from bot3.ports.control import ClockAnchor, ClockSource, Heartbeat
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.bot_state import STALE, daemon_beat, is_silent, state_in_force
from bot3.usecases.fleet.data_ages import read_data_ages
from bot3.usecases.fleet.status import ALL_ACTIVE, halted
from bot3.usecases.fleet.trade_cache import Known
from bot3.usecases.foreign_text import plain
from bot3.usecases.terms import definition
from dashboard.cells import Cells, scaled
from dashboard.home import DashboardHome

BAR_EVERY_S = 2.0
ROW_PX, MOST_ROWS_PX = 35, 560


@contextmanager
def banner(what: str) -> Iterator[None]:
    """Run a block that shows `what`; if it raises a Bot3Error, show the error as a banner where the rest of the block would be."""
    try:
        yield
    except StoreBusyError as error:
        st.warning(
            f"**{what} cannot be read now**: {plain(redacted(str(error)))}. The page tries again by itself; no number is shown meanwhile."
        )
    except LearningError as error:
        st.warning(f"**{what}**: {plain(redacted(str(error)))}.")
    except Bot3Error as error:
        st.error(f"**{what} cannot be read**: {plain(redacted(str(error)))}. `bot3 doctor` says what is wrong.")


def missing(what: str, remedy: str) -> None:
    """Show a message that data is missing, and how to create it."""
    st.info(f"**{what}** {remedy}", icon=":material/inbox:")


def not_known(found: Known[Any], what: str, remedy: str = "") -> None:
    """Show why a published value is not available: an error if it is out of bounds, else `what`, the reason and the remedy."""
    problem = plain(found.problem)
    if found.is_refused:
        st.error(f"**What was published is refused**: {problem}.")
    else:
        missing(what, f"{problem}. {remedy}".rstrip())


def table(
    frame: pd.DataFrame, *, alt: str, key: str, cells: Mapping[str, Cells] | None = None, select: Callable[[list[int]], None] | None = None
) -> None:
    """Show a frame as a table: unknown values as en dashes, headings that are terms with their definition as tooltip.

    Parameters
    ----------
    alt, key : str
        Description for screen readers, and the unique key of the widget.
    cells : mapping, optional
        Format of the number columns, by name.
    select : callable, optional
        Called with the positions of the selected rows (one or none) when the selection changes; None: rows cannot be selected.
    """
    cells = cells or {}
    config: dict[str, Any] = {name: st.column_config.Column(help=definition(name)) for name in map(str, frame.columns)}
    config |= {name: st.column_config.NumberColumn(format=one.text, help=definition(name)) for name, one in cells.items()}
    # The first column identifies the row, so it is pinned while the reader scrolls to the right.
    first = str(frame.columns[0])
    config[first] = st.column_config.Column(pinned=True, help=definition(first))
    same = {
        "hide_index": True,
        "height": min(ROW_PX * (len(frame) + 1) + 3, MOST_ROWS_PX),
        "placeholder": fmt.DASH,
        "alt": alt,
        "key": key,
        "column_config": config,
    }
    if select is None:
        st.dataframe(scaled(frame, cells), **same)
        return

    def tell() -> None:
        select([int(position) for position in st.session_state[key]["selection"]["rows"]])

    st.dataframe(scaled(frame, cells), on_select=tell, selection_mode="single-row", **same)


def _guarded_bar(home: DashboardHome) -> None:
    """Show the bar: mode, age of the daemon's heartbeat and of the newest data, states of the bots, market and wall time, market source."""
    if not home.is_current():
        st.rerun()  # the home was seeded meanwhile, or deleted and seeded again: the whole page is outdated
    with banner("The control store"):
        _show_bar(home)


show_bar = st.fragment(_guarded_bar, run_every=BAR_EVERY_S)


def _show_bar(home: DashboardHome) -> None:
    control, clock = home.ports.control, home.ports.clock
    anchor = control.anchor()
    if anchor is None:
        missing("This home was never seeded.", f"`bot3 init` (or `make run`) seeds {home.settings.home}.")
        return
    wall_now = clock.wall_now()
    beats = control.heartbeats()
    beat = daemon_beat(beats)
    halt = halted({bot: state_in_force(control, bot, wall_now=wall_now) for bot in home.ports.bot_names})
    silent = is_silent(beat, wall_now=wall_now)
    daemon = "daemon never seen" if beat is None else f"daemon beat {fmt.span(wall_now - beat.wall_at)} ago"
    speed = f"{anchor.speed:g}x" if anchor.is_running else "standing still"
    ended = "" if anchor.ends_at is None or clock.now() < anchor.ends_at else ", ended"
    st.markdown(
        f":orange-badge[{home.settings.trading_mode.upper()}] "
        f":{'red' if silent else 'blue'}-badge[{'STALE: ' if silent else ''}{daemon}] "
        f"{_age_badges(home, anchor=anchor, beats=beats, wall_now=wall_now)} "
        f":{'blue' if halt == ALL_ACTIVE else 'red'}-badge[{halt}] "
        f":gray-badge[market {fmt.stamp(clock.now())} UTC, {speed}{ended}] "
        f":gray-badge[wall {fmt.stamp(wall_now)} UTC] "
        f"**{fmt.sentence(fmt.market_source(anchor.source))}**"
    )


def _age_badges(home: DashboardHome, *, anchor: ClockAnchor, beats: Sequence[Heartbeat], wall_now: datetime) -> str:
    """Return badges with the ages of `DataAges`; the candle's is red if unknown, or if too old for entries and older than `STALE`."""
    try:
        ages = read_data_ages(home, anchor=anchor, beats=beats, wall_now=wall_now)
    except DataError:
        return ":red-badge[newest candle, close and publication: unknown, the record cannot be read]"
    limit = timedelta(minutes=home.settings.max_candle_age_minutes) / (1.0 if anchor.source is ClockSource.WALL else anchor.speed)
    is_old = ages.candle is None or ages.candle > max(limit, STALE)
    return (
        f":{'red' if is_old else 'blue'}-badge[newest candle {_age(ages.candle)}] "
        f":blue-badge[newest close {_age(ages.close)}] :blue-badge[newest publication {_age(ages.publication)}]"
    )


def _age(span: timedelta | None) -> str:
    return "none yet" if span is None else fmt.ago(span)
