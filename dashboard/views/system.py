"""Page System: heartbeats, numbers of trades in the stores and in the record, publications, the market clock, and the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pandas as pd
import streamlit as st
from pydantic import SecretStr

from bot3.errors import DataError, StoreBusyError, StoreError
from bot3.logs import redacted
from bot3.market.regimes import RegimeState
from bot3.ports.control import ClockAnchor
from bot3.settings import Settings
from bot3.trading.parameters import ParameterSet
from bot3.trading.recommendations import FeederScore, Recommendation
from bot3.trading.trades import RunMode
from bot3.usecases import formatting as fmt
from bot3.usecases.fleet.bot_state import is_silent
from bot3.usecases.fleet.trade_cache import known
from bot3.usecases.fleet.watched_trades import WatchedReader
from bot3.usecases.learning.reconciled import recorded_count
from dashboard.cells import COUNT
from dashboard.home import DashboardHome, TradeJournal
from dashboard.page import banner, missing, table

Published = ParameterSet | Recommendation | FeederScore | RegimeState


def render(home: DashboardHome) -> None:
    """Show the page System."""
    st.title("System")
    with banner("Heartbeats"):
        _show_beats(home)
    with banner("The stores"):
        _show_stores(home)
    with banner("Published learning"):
        _show_published(home)
    with banner("The market clock"):
        _show_clock(home)
    _show_settings(home.settings)


def _show_beats(home: DashboardHome) -> None:
    st.subheader("Processes")
    beats = home.ports.control.heartbeats()
    if not beats:
        missing("No process ever gave a sign of life.", "`bot3 up` starts them all.")
        return
    wall_now = home.ports.clock.wall_now()
    shown = pd.DataFrame(
        {
            "process": [beat.process for beat in beats],
            "heartbeat (wall)": [fmt.age(beat.wall_at, now=wall_now) for beat in beats],
            "verdict": ["SILENT" if is_silent(beat, wall_now=wall_now) else "beats" for beat in beats],
            "state it told": [beat.state for beat in beats],
            "pid": [beat.pid for beat in beats],
            "up": [fmt.span(beat.wall_at - beat.started_at) for beat in beats],
            "market time it saw": [fmt.stamp(beat.market_at) for beat in beats],
            "detail": [redacted(", ".join(f"{name}={value}" for name, value in beat.detail.items())) for beat in beats],
        }
    )
    table(shown, alt="Heartbeats of all processes with their ages", key="system_beats")
    st.caption("Dagster's own processes do not beat here: `bot3 status` asks them.")


def _show_stores(home: DashboardHome) -> None:
    st.subheader("Stores, and whether their counts agree")
    counts = home.ports.record.trades.counts()
    rows = []
    for bot in home.ports.bot_names:
        rows.append(_store_row(bot, RunMode.PAPER, home.ports.bot_store, home=home, counts=counts))
        rows.append(_store_row(bot, RunMode.BACKTEST, home.ports.history_store, home=home, counts=counts))
    rows += [_fleet_row(reader, counts=counts) for reader in home.ports.fleet]
    rows += _imported_rows(counts, known={(row["bot"], row["run mode"]) for row in rows})
    cells = dict.fromkeys(("closed in the store", "in the record", "deleted in the record"), COUNT)
    table(pd.DataFrame(rows), cells=cells, alt="Closed trades by store beside the record's counts", key="system_stores")
    record = home.ports.record
    st.caption(f"Record {record.store_id[:8]} is at revision {record.revision():,}. A close may take seconds to reach it.")


def _store_row(
    bot: str, mode: RunMode, opened: Callable[[str], TradeJournal], *, home: DashboardHome, counts: pd.DataFrame
) -> dict[str, object]:
    row = _recorded_row(bot, mode, where=place(home.settings, bot=bot, mode=mode), counts=counts)
    try:
        store = opened(bot)
        closed = store.count_closed(closed_since=None)
    except StoreBusyError:
        raise
    except StoreError as error:
        return row | {"verdict": redacted(str(error))}
    return row | {"store": store.store_id[:8], **_compared(closed, counts, bot=bot, mode=mode)}


def _fleet_row(reader: WatchedReader, *, counts: pd.DataFrame) -> dict[str, object]:
    row = _recorded_row(reader.bot, reader.run_mode, where="fleet file", counts=counts) | {"store": reader.store_id[:8]}
    try:
        closed = reader.count_closed(closed_since=None)
    except DataError as error:
        return row | {"verdict": f"not read: {redacted(str(error))}"}
    return row | _compared(closed, counts, bot=reader.bot, mode=reader.run_mode)


def _imported_rows(counts: pd.DataFrame, *, known: set[tuple[object, object]]) -> list[dict[str, object]]:
    """Return a row for each bot and run mode of the record that has no database to compare with, such as an import."""
    found = [(str(bot), RunMode(mode)) for bot, mode in zip(counts["bot"], counts["run_mode"], strict=True)]
    left = [(bot, mode) for bot, mode in found if (bot, mode.value) not in known]
    return [
        _recorded_row(bot, mode, where="not in the fleet file", counts=counts) | {"verdict": "no source is watched"} for bot, mode in left
    ]


def _recorded_row(bot: str, mode: RunMode, *, where: str, counts: pd.DataFrame) -> dict[str, object]:
    found = counts[(counts["bot"] == bot) & (counts["run_mode"] == mode.value)]
    return {
        "bot": bot,
        "run mode": mode.value,
        "where": where,
        "store": fmt.DASH,
        "closed in the store": None,
        "in the record": recorded_count(counts, bot=bot, run_mode=mode),
        "deleted in the record": int(found["deleted"].sum()),
        "verdict": "",
        "last close in the record": fmt.stamp(found["last_close"].iloc[0]) if len(found) else fmt.DASH,
    }


def _compared(closed: int, counts: pd.DataFrame, *, bot: str, mode: RunMode) -> dict[str, object]:
    gap = closed - recorded_count(counts, bot=bot, run_mode=mode)
    verdict = "reconciled" if gap == 0 else f"{abs(gap):,} {'missing in' if gap > 0 else 'too many in'} the record"
    return {"closed in the store": closed, "verdict": verdict}


def place(settings: Settings, *, bot: str, mode: RunMode) -> str:
    """Return where an own bot's store is, as text: the PostgreSQL database and its host, or the file in the home."""
    host = getattr(settings, f"{bot.lower()}_db_host") if mode is not RunMode.BACKTEST else ""
    if host:
        return f"PostgreSQL {getattr(settings, f'{bot.lower()}_db_name')} on {host}"
    return f"{'history' if mode is RunMode.BACKTEST else 'bots'}/{bot}.sqlite in the home"


def _show_published(home: DashboardHome) -> None:
    st.subheader("Published learning")
    now, record = home.ports.clock.now(), home.ports.record
    reads: dict[str, Callable[[], Sequence[Published]]] = {
        "parameters": lambda: (record.parameters.as_of(now),),
        "recommendation": lambda: (record.recommendations.as_of(now),),
        "feeder scores": lambda: record.feeder_scores.as_of(now),
        "regime": lambda: (record.regimes.as_of(now),),
    }
    anchor = home.ports.control.anchor()
    rows = [{"what": what, **_published_cells(read, now=now, anchor=anchor)} for what, read in reads.items()]
    table(pd.DataFrame(rows), alt="Publications in force with versions and ages", key="system_published")


def _published_cells(read: Callable[[], Sequence[Published]], *, now: datetime, anchor: ClockAnchor | None) -> dict[str, str]:
    found = known(read)
    if found.value is None:
        return {"version": fmt.DASH, "known at": fmt.DASH, "age (market)": fmt.DASH, "life (wall time first)": found.problem}
    newest = max(found.value, key=lambda one: one.known_at)
    life = fmt.expiry(newest.expires_at, now=now, anchor=anchor) if isinstance(newest, ParameterSet | Recommendation) else fmt.DASH
    return {
        "version": fmt.version(newest.version),
        "known at": fmt.stamp(newest.known_at),
        "age (market)": fmt.age(newest.known_at, now=now),
        "life (wall time first)": life,
    }


def _show_clock(home: DashboardHome) -> None:
    st.subheader("Market clock")
    anchor = home.ports.control.anchor()
    if anchor is None:
        missing("The market clock was never started.", "`bot3 init` seeds the home and starts it.")
        return
    ends = "does not end" if anchor.ends_at is None else f"ends at {fmt.stamp(anchor.ends_at)}"
    running = "running" if anchor.is_running else "standing still"
    st.markdown(
        f"{fmt.sentence(fmt.market_source(anchor.source))} Now {fmt.stamp(home.ports.clock.now())} UTC, {anchor.speed:g} market "
        f"seconds a wall second, {running}, {ends}. Anchored at {fmt.stamp(anchor.market_at)} when the wall said "
        f"{fmt.stamp(anchor.wall_at)}."
    )


def _show_settings(settings: Settings) -> None:
    st.subheader("Settings in force")
    st.caption("Read once when this process started; passwords and tokens are only said to be set or not.")
    with st.expander("All settings"):
        table(settings_frame(settings), alt="All settings with their values, secrets hidden", key="system_settings")


def settings_frame(settings: Settings) -> pd.DataFrame:
    """Return every setting with its value as text; a secret is "set" or "not set"."""
    fields = type(settings).model_fields
    return pd.DataFrame(
        {
            "setting": [f"BOT3_{name.upper()}" for name in fields],
            "value": [_told(getattr(settings, name)) for name in fields],
            "what it is": [field.description or "" for field in fields.values()],
        }
    )


def _told(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return redacted(str(value)) if value not in ("", None) else fmt.DASH
