"""Page Learned: the published stop and target of each group of trades, with the number of trades and the interval of its expectancy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from bot3.learning.replay.groups import group_of_key, level_of
from bot3.trading.costs import Costs
from bot3.trading.figures import level_figures
from bot3.trading.parameters import ANY, ExitParameters, ParameterSet
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.trade_cache import known
from bot3.usecases.terms import definitions
from dashboard import charts
from dashboard.cells import COUNT, FINE_RATIO, FINE_SHARE, HUNDREDTH, RATIO, SHARE, TENTH
from dashboard.home import DashboardHome
from dashboard.page import missing, not_known, table

ALL_PAIRS = "all pairs"
_ORDER = ("root", "horizon", "direction", "bin", "pair", "cell")
_CELLS = {
    "stop": RATIO,
    "reward to risk": HUNDREDTH,
    "break-even wins": SHARE,
    "win rate": SHARE,
    "mean profit, unweighted": RATIO,
    "profit factor of ratios": HUNDREDTH,
    "costs at the stop": RATIO,
    "expectancy (price)": FINE_RATIO,
    "deviation of a trade (price)": RATIO,
    "size (wallet)": SHARE,
    "growth a trade (wallet)": FINE_RATIO,
    "P(expectancy > 0)": SHARE,
    "n": COUNT,
    "replayed": COUNT,
    "effective n": TENTH,
    "ambiguous": FINE_SHARE,
}


def render(home: DashboardHome) -> None:
    """Show the page Learned."""
    st.title("Learned")
    now = home.ports.clock.now()
    learned = known(lambda: home.ports.record.parameters.as_of(now))
    if learned.value is None:
        not_known(learned, "Nothing was learned yet.", "Until then bots are protected by the static set, on paper only.")
        return
    parameters = learned.value
    _show_version(parameters, home, now=now)
    _show_evidence(home, now=now)
    _show_censored(parameters, home)
    _show_bins(parameters, home)
    _show_cells(parameters, home)
    _show_factors(parameters)
    _show_history(parameters, home)


def _show_version(parameters: ParameterSet, home: DashboardHome, *, now: datetime) -> None:
    life = fmt.expiry(parameters.expires_at, now=now, anchor=home.ports.control.anchor())
    if now >= parameters.expires_at:
        st.error(f"**These values are not in force: {life}.** Entries stop.")
    revision = home.ports.record.revision()
    st.markdown(
        f"Version **{fmt.version(parameters.version)}** from the record {home.ports.record.store_id[:8]}: "
        f"{life}; computed {fmt.age(parameters.computed_at, now=home.ports.clock.wall_now())} at "
        f"{fmt.stamp(parameters.computed_at)} UTC (wall time), known at {fmt.stamp(parameters.known_at)} "
        f"({fmt.age(parameters.known_at, now=now)}, market time). "
        f"Learned from the record up to revision {parameters.revision:,}; it is at {revision:,} now."
    )
    settings = home.settings
    static = level_figures(stop_loss=settings.stop_loss, take_profit_target=settings.take_profit, leverage=1.0, costs=home.ports.costs)
    st.caption(
        f"Learned from {' and '.join(settings.learn_from)} trades together (BOT3_LEARN_FROM). Stop: a distance of the price, as a ratio of "
        "the stake, before costs. Target: profit of the stake after fees. Reward to risk and the break-even win rate are after costs, "
        "counting exits at stop and target only. Expectancy: net, ratio of the price, with its 90 % posterior interval. Mean profit and "
        "profit factor of ratios count each trade alike, whatever its stake; figures of money are on the page Trades. The static set "
        f"({fmt.ratio(settings.stop_loss)} / {fmt.ratio(settings.take_profit)}) at 1x has reward to risk {static.reward_to_risk:.2f} "
        f"and breaks even at {fmt.share(static.break_even)}.",
        help=definitions(
            "expectancy",
            "reward to risk",
            "profit factor",
            "sigma",
            "leverage bin",
            "static set",
            "horizon",
            "revision",
            "market time",
            "wall time",
        ),
    )


def _show_evidence(home: DashboardHome, *, now: datetime) -> None:
    from bot3.usecases.learning.evidence import evidence_of_nodes, evidence_text  # noqa: PLC0415  # loads numba

    st.subheader("Evidence of each pair and direction")
    found = known(lambda: evidence_of_nodes(home.ports.record.gates, now=now))
    if found.value is None:
        not_known(found, "No evidence is known.", "No row begins to trade until the next review.")
        return
    if not found.value:
        missing("No day was reviewed yet.", "The first review follows the first published parameters.")
        return
    frame = pd.DataFrame(
        {
            "pair and direction": [fmt.group(node.pair, node.direction, ANY) for node in found.value],
            "permission": ["open" if node.is_open else "closed" for node in found.value],
            "log evidence": [evidence_text(node) for node in found.value],
            "open trades": [node.open_trades for node in found.value],
        }
    )
    table(frame, cells={"open trades": COUNT}, alt="Evidence of each pair and direction, and the evidence needed", key="learned_evidence")
    st.caption(
        f"Trades until {found.value[0].counted_until} are counted. Log evidence of the log that would open the pair and direction if the "
        "others stayed the same; a bin of an open one trades if its own lower bound is above 0.",
        help=definitions("log evidence"),
    )


def _show_censored(parameters: ParameterSet, home: DashboardHome) -> None:
    rows = parameters.censored()
    if not rows:
        return
    st.subheader("May not trade: too many closes are missing")
    st.warning(fmt.why_censored(home.settings.max_censored_share))
    frame = pd.DataFrame(
        {
            "pair and direction": [fmt.group(row.pair, row.direction, row.leverage_bin) for row in rows],
            "closes missing": [fmt.missing_closes(row) for row in rows],
            "n": [row.trades_count for row in rows],
        }
    )
    table(frame, cells={"n": COUNT}, alt="Pairs and directions that may not trade, with their missing closes", key="learned_censored")


def _show_bins(parameters: ParameterSet, home: DashboardHome) -> None:
    rows = _of_levels(parameters, "bin")
    st.subheader("By leverage bin")
    if not rows:
        missing("No row per bin was published.", "`bot3 learn run` publishes them.")
        return
    covered = sum(row.trades_count > 0 for row in rows)
    settings = home.settings
    figure = charts.levels_chart(rows, stop_loss=settings.stop_loss, take_profit=settings.take_profit)
    st.plotly_chart(figure, alt="Learned stop and target of each leverage bin beside the static set", key="learned_bins")
    table(parameter_frame(rows, home), cells=_CELLS, alt="Learned values of each leverage bin with n and interval", key="learned_bin_rows")
    st.caption(f"{covered} of {len(rows)} bins have closes of their own.")


def _of_levels(parameters: ParameterSet, *levels: str) -> list[ExitParameters]:
    named = [(_ORDER.index(level), row) for key, row in parameters.rows.items() if (level := level_of(group_of_key(key))) in levels]
    return [row for _, row in sorted(named, key=lambda item: (item[0], item[1].order))]


def _show_cells(parameters: ParameterSet, home: DashboardHome) -> None:
    st.subheader("By pair, direction and leverage bin")
    cells = _of_levels(parameters, "cell")
    pairs = sorted({row.pair for row in _of_levels(parameters, "cell", "pair")})
    pair = st.selectbox("pair", [ALL_PAIRS, *pairs], key="pair", bind="query-params")
    parents = [
        row for row in _of_levels(parameters, "root", "horizon", "direction", "pair") if pair in (ALL_PAIRS, row.pair) or row.pair == "*"
    ]
    shown = [row for row in cells if pair in (ALL_PAIRS, row.pair)]
    if shown:
        table(parameter_frame(shown, home), cells=_CELLS, alt="Learned values of each pair, direction and bin", key="learned_cells")
    else:
        missing("No cell has trades of its own.", "Rows appear with the first closes of a pair, direction and bin.")
    st.caption("Their parents, which a cell is pooled to, and which a trade falls back on:")
    table(parameter_frame(parents, home), cells=_CELLS, alt="Learned values of the parents", key="learned_parents")
    drawn = shown if pair != ALL_PAIRS else parents
    if drawn:
        figure = charts.expectancy_chart([fmt.group(row.pair, row.direction, row.leverage_bin) for row in drawn], drawn)
        st.plotly_chart(figure, alt="Expectancy of each group with its 90 % interval", key="learned_expectancy")


def parameter_frame(rows: Sequence[ExitParameters], home: DashboardHome) -> pd.DataFrame:
    """Return a row per parameter row: its levels, the numbers of trades, the interval of its expectancy and the source of its data."""
    settings = home.settings
    return pd.DataFrame([_cells(row, minimum=settings.min_trades_per_bin, costs=home.ports.costs) for row in rows])


def _cells(row: ExitParameters, *, minimum: int, costs: Costs) -> dict[str, object]:
    levels = level_figures(stop_loss=row.stop_loss, take_profit_target=row.take_profit_target, leverage=row.leverage_ref, costs=costs)
    return {
        "group": fmt.group(row.pair, row.direction, row.leverage_bin),
        "state": row.state.value,
        "stop": row.stop_loss,
        "target": fmt.NO_TARGET if row.has_target is False else fmt.ratio(row.take_profit_target),
        "n": row.trades_count,
        "effective n": row.n_eff,
        "expectancy (price)": row.expectancy,
        "90 % interval": fmt.interval(row.lower_bound, row.upper_bound, 3),
        "P(expectancy > 0)": row.confidence,
        "rests on": fmt.standing(row, minimum=minimum),
        "reward to risk": None if row.has_target is False else levels.reward_to_risk,
        "break-even wins": None if row.has_target is False else levels.break_even,
        "deviation of a trade (price)": row.deviation_move,
        "size (wallet)": row.notional_ratio,
        "growth a trade (wallet)": row.utility,
        "win rate": row.win_rate,
        "mean profit, unweighted": row.avg_profit,
        "profit factor of ratios": row.profit_factor,
        "costs at the stop": levels.costs,
        "stop, target in sigma": f"{row.stop_sigma:.2f}, {fmt.NO_TARGET if row.has_target is False else f'{row.take_profit_sigma:+.2f}'}",
        "at leverage": f"{row.leverage_ref:.1f}x",
        "replayed": row.replays_count,
        "closes missing": fmt.missing_closes(row),
        "ambiguous": row.ambiguous_share,
        "parent": fmt.key(row.parent),
        "known at": fmt.stamp(row.known_at),
        "version": fmt.version(row.version),
    }


def _show_factors(parameters: ParameterSet) -> None:
    if not parameters.regime_factors:
        return
    st.subheader("Regime adjustment")
    shown = pd.DataFrame(
        {
            "regime": [regime.value.replace("_", " ") for regime in parameters.regime_factors],
            "factor on the stop": [stop for stop, _ in parameters.regime_factors.values()],
            "factor on the target": [target for _, target in parameters.regime_factors.values()],
        }
    )
    cells = {"factor on the stop": HUNDREDTH, "factor on the target": HUNDREDTH}
    table(shown, cells=cells, alt="Factors on stop and target by regime", key="learned_factors")
    st.caption("Pooled towards 1; a factor is published without n or interval, so read it as a point.")


def _show_history(parameters: ParameterSet, home: DashboardHome) -> None:
    st.subheader("How one row moved")
    keys = [row.key for row in _of_levels(parameters, *_ORDER)]
    key = str(st.selectbox("row", keys, format_func=fmt.key, key="row", bind="query-params"))
    history = home.ports.record.parameters.history(key=key)
    if history.empty:
        missing("This row was never published.", "`bot3 learn run` publishes all rows.")
        return
    st.plotly_chart(charts.history_chart(history), alt="Published stop and target of the row over time", key="learned_history")
    last = history.iloc[-1]
    st.caption(
        f"{len(history):,} publications from {fmt.stamp(history['known_at'].iloc[0])} to {fmt.stamp(last['known_at'])} (market time); "
        f"the newest rests on {fmt.evidence(int(last['trades_count']), float(last['n_eff']))}."
    )
