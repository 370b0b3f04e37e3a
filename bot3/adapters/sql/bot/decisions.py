"""Read the decisions in a bot's database, each with the result of its order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot3.adapters.sql.bot.tables import decisions, fills, intents
from bot3.adapters.sql.rows import from_us, read_frame, to_us
from bot3.trading.entry_outcomes import EntryOutcome, EntryReason, judge_entry
from bot3.trading.orders import IntentLeg, IntentState

_Key = tuple[str, datetime, str]
"""Pair, close time of the candle, and feeder: equal for a decision and its order, whatever trade id a restart gave the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What became of a decision; its fields replace columns of the frame of decisions."""

    outcome: str
    reason: str
    detail: Mapping[str, Any]
    client_order_id: str | None


def read_decisions(connection: Connection, *, limit: int) -> pd.DataFrame:
    """Return the newest decisions, newest first, with the columns of `Decision`; those to enter have the result of their order.

    A decision is written before its order and not updated: the stored planned orders and fills show which attempt succeeded, or that none
    did.
    """
    columns = [column for column in decisions.c if column.name not in {"seq", "account"}]
    frame = read_frame(connection, sa.select(*columns).order_by(decisions.c.seq.desc()).limit(limit))
    details = [json.loads(text) for text in frame["detail"]]
    if frame.empty:
        return frame.assign(detail=details)
    became = _verdicts(connection, since=frame["candle_close_time"].min(), until=frame["candle_close_time"].max())
    keys = zip(frame["pair"], frame["candle_close_time"].dt.to_pydatetime(), frame["feeder_id"], strict=True)
    told = [
        became.get(key) or _kept(outcome=outcome, reason=reason, detail=detail)
        for key, outcome, reason, detail in zip(keys, frame["outcome"], frame["reason"], details, strict=True)
    ]
    return frame.assign(**{name: [getattr(one, name) for one in told] for name in _Verdict.__dataclass_fields__})


def _kept(*, outcome: str, reason: str, detail: Mapping[str, Any]) -> _Verdict:
    """Return the result of a decision for which no order is stored: one to enter was not traded, any other is unchanged."""
    if outcome == EntryOutcome.TRADED:
        unsent, why = judge_entry(None, was_sent=False, is_filled=False)
        return _Verdict(outcome=unsent.value, reason=why.value, detail=detail, client_order_id=None)
    return _Verdict(outcome=outcome, reason=reason, detail=detail, client_order_id=None)


def _verdicts(connection: Connection, *, since: datetime, until: datetime) -> dict[_Key, _Verdict]:
    is_filled = sa.exists().where(fills.c.client_order_id == intents.c.client_order_id)
    query = (
        sa.select(intents, is_filled.label("is_filled"))
        .where(intents.c.leg == IntentLeg.ENTRY.value, intents.c.candle_close_time_us.between(to_us(since), to_us(until)))
        .order_by(intents.c.seq)
    )
    found: dict[_Key, _Verdict] = {}
    for row in connection.execute(query):
        context = json.loads(row.context)
        key = (row.pair, from_us(row.candle_close_time_us), str(context["feeder_id"]))
        earlier = found.get(key)
        # The newest attempt counts, unless an earlier one was traded.
        if earlier is None or earlier.reason != EntryReason.ENTRY:
            found[key] = _verdict(row, context)
    return found


def _verdict(row: Any, context: Mapping[str, Any]) -> _Verdict:
    outcome, reason = judge_entry(IntentState(row.state), was_sent=row.sent_at_us is not None, is_filled=bool(row.is_filled))
    detail = context if row.reject_reason is None else {**context, "reject_reason": row.reject_reason}
    return _Verdict(outcome=outcome.value, reason=reason.value, detail=detail, client_order_id=row.client_order_id)
