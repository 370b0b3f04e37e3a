"""Parts of pages that show the results of the bots' decisions on signals: traded, or the reason why not."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from bot3.trading.entry_outcomes import EntryOutcome
from bot3.trading.trades import direction
from bot3.usecases import formatting as fmt
from dashboard.cells import COUNT
from dashboard.home import DashboardHome
from dashboard.page import missing, table

DECISIONS = 200
LAST_UNTRADED = 8


def show_reasons(home: DashboardHome) -> None:
    """Show, for each own bot, how often each reason occurs in its newest `DECISIONS` decisions."""
    st.subheader("Signals and why they were not traded")
    counts = {bot: frame["reason"].value_counts() for bot, frame in _newest(home).items()}
    if not counts:
        missing("No signal was decided on yet.", "The daemon decides at the close of each candle while `bot3 up` runs.")
        return
    shown = pd.DataFrame(counts).rename_axis("reason").reset_index()
    totals = ", ".join(f"{bot} {int(reasons.sum())}" for bot, reasons in counts.items())
    table(shown, cells=dict.fromkeys(counts, COUNT), alt="Newest decisions by reason and bot", key="now_holds")
    st.caption(
        f'Newest decisions in each bot\'s own database ({totals}). "entry" was traded, as its order tells; all others were not, or not yet.'
    )


def show_untraded(home: DashboardHome, *, key: str) -> None:
    """Show up to `LAST_UNTRADED` decisions to enter whose order made no trade or whose result is pending, newest first.

    They are among the newest `DECISIONS` decisions of each own bot; nothing is shown if there are none.
    """
    frames = [frame[frame["outcome"].isin({EntryOutcome.NOT_TRADED, EntryOutcome.PENDING})] for frame in _newest(home).values()]
    if not any(len(frame) for frame in frames):
        return
    found = pd.concat(frames, ignore_index=True).sort_values("candle_close_time", ascending=False, kind="stable").head(LAST_UNTRADED)
    st.subheader("Entries that were decided on and not traded")
    shown = pd.DataFrame(
        {
            "candle closed (market time)": found["candle_close_time"].map(fmt.stamp),
            "bot": found["bot"],
            "pair": found["pair"],
            "direction": [direction(is_short=bool(value)) for value in found["is_short"]],
            "feeder": found["feeder_id"],
            "outcome": [str(value).replace("_", " ") for value in found["outcome"]],
            "reason": found["reason"],
            "what was said": [str(detail.get("reject_reason") or fmt.DASH) for detail in found["detail"]],
        }
    )
    table(shown, alt="Newest entries without a trade", key=f"{key}_untraded")
    st.caption(f"The newest {len(found)} among the {DECISIONS} newest decisions of each bot, from their orders in its own database.")


def _newest(home: DashboardHome) -> dict[str, pd.DataFrame]:
    found = {bot: home.ports.bot_store(bot).decisions_frame(limit=DECISIONS) for bot in home.ports.bot_names}
    return {bot: frame for bot, frame in found.items() if len(frame)}
