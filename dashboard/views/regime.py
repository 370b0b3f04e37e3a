"""Page Regime: the market regime and its probabilities over time, and the factors on stop and target by regime."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from bot3.errors import CandleError
from bot3.market.regimes import Regime, RegimeState
from bot3.ports.control import ClockSource
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.trade_cache import known
from bot3.usecases.foreign_text import plain
from bot3.usecases.terms import TERMS, definitions
from dashboard import charts
from dashboard.cells import HUNDREDTH
from dashboard.home import DashboardHome
from dashboard.page import missing, not_known, table

WINDOWS = {"7 days": 7, "30 days": 30, "90 days": 90}


def render(home: DashboardHome) -> None:
    """Show the page Regime."""
    st.title("Regime")
    now = home.ports.clock.now()
    state = known(lambda: home.ports.record.regimes.as_of(now))
    if state.value is None:
        not_known(state, "No regime is known yet.", "Three days of candles are needed.")
        return
    _show_state(state.value, home, now=now)
    _show_ribbon(home, now=now)
    _show_factors(home, now=now)


def _show_state(state: RegimeState, home: DashboardHome, *, now: datetime) -> None:
    columns = st.columns(len(Regime) + 1)
    columns[0].metric("In force", state.regime.value.replace("_", " "), border=True, help=TERMS["regime"])
    for column, regime, probability in zip(columns[1:], Regime, state.probabilities, strict=True):
        column.metric(f"P({regime.value.replace('_', ' ')})", fmt.share(probability, 1), border=True)
    st.caption(
        f"Since {fmt.stamp(state.since)} ({fmt.span(now - state.since)}), as known at {fmt.stamp(state.known_at)} "
        f"({fmt.age(state.known_at, now=now)}, market time), computed "
        f"{fmt.age(state.computed_at, now=home.ports.clock.wall_now())} (wall time), by the detector {fmt.version(state.version)}; from "
        f"the record {home.ports.record.store_id[:8]}. The regime is the whole market's: of the equal-weight index of the pairs. "
        "Probabilities are those known at the time; another regime comes into force only after it had most of the probability for some "
        "hours.",
        help=definitions("known at", "market time", "wall time", "detector"),
    )


def _show_ribbon(home: DashboardHome, *, now: datetime) -> None:
    name = str(st.segmented_control("window", list(WINDOWS), default="30 days", required=True, key="window"))
    start = now - timedelta(days=WINDOWS[name])
    states = home.ports.record.regimes.frame(start=start, end=now + timedelta(microseconds=1))
    if states.empty:
        missing(f"No state lies in the last {name}.", "Choose a longer window.")
        return
    drawn = states.iloc[np.linspace(0, len(states) - 1, min(len(states), charts.LINE_POINTS)).astype(int)].drop_duplicates("known_at")
    index, problem = _index(home, start=max(start, states["known_at"].iloc[0].to_pydatetime()), now=now)
    if problem:
        st.warning(f"The market index cannot be drawn: {plain(problem)}")
    st.plotly_chart(
        charts.regime_chart(drawn, index), alt="Market index above the probabilities of the four regimes over time", key="regime_ribbon"
    )
    every = f", {len(drawn)} of them drawn" if len(drawn) < len(states) else ""
    st.caption(f"{len(states):,} states{every}. Index: equal weight of {len(home.ports.candles.pairs())} pairs, hourly.")


def _index(home: DashboardHome, *, start: datetime, now: datetime) -> tuple[pd.Series[Any] | None, str]:
    anchor = home.ports.control.anchor()
    is_simulated = not home.settings.candle_directories
    if anchor is not None and (anchor.source is ClockSource.SIMULATED) != is_simulated:
        return None, f"this home follows the {anchor.source.value} market, but BOT3_CANDLES here names another one."
    try:
        return _read_index(home, identity=home.ports.record.store_id, start=start, until=now.replace(minute=0, second=0, microsecond=0)), ""
    except CandleError as error:
        return None, str(error)


def _read_index(home: DashboardHome, *, identity: str, start: datetime, until: datetime) -> pd.Series[Any]:
    # Rounded to whole hours, so that repeated calls within an hour use the cache.
    index: pd.Series[Any] = _cached_index(home, identity, start.replace(minute=0, second=0, microsecond=0), until)
    return index


def _make_index(_home: DashboardHome, identity: str, start: datetime, until: datetime) -> pd.Series[Any]:
    from bot3.learning.regimes.index import hourly_index  # noqa: PLC0415  # imports a compiler; only this page needs it

    del identity
    timeframe = _home.settings.timeframe
    frames = {pair: _home.ports.candles.candles(pair, timeframe, start=start, end=until) for pair in _home.ports.candles.pairs()}
    log_index = hourly_index(frames)
    index: pd.Series[Any] = (log_index - log_index.iloc[0]).map(math.exp) * 100.0
    return index


_cached_index = st.cache_data(_make_index, max_entries=12, show_spinner="Reading candles")


def _show_factors(home: DashboardHome, *, now: datetime) -> None:
    st.subheader("What it changes")
    parameters = known(lambda: home.ports.record.parameters.as_of(now))
    if parameters.value is None:
        not_known(parameters, "No regime factors were learned.")
        return
    factors = parameters.value.regime_factors
    shown = pd.DataFrame(
        [
            {
                "regime": regime.value.replace("_", " "),
                "factor on the stop": factors[regime][0] if regime in factors else None,
                "factor on the target": factors[regime][1] if regime in factors else None,
            }
            for regime in Regime
        ]
    )
    cells = {"factor on the stop": HUNDREDTH, "factor on the target": HUNDREDTH}
    table(shown, cells=cells, alt="Factors on stop and target by regime", key="regime_factors")
    st.caption(f"Of parameters {fmt.version(parameters.value.version)}; 1.00 changes nothing. Factors carry no interval yet.")
