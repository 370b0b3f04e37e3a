"""Report closed trades of the platform's own bots; the last reported close of each is stored, so that a restart repeats none."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta

import pandas as pd
import structlog

from bot3.errors import StoreError
from bot3.ports.notices import Notice, NoticeStore
from bot3.ports.notifier import Message
from bot3.trading.currencies import stake_currency
from bot3.trading.figures import profit_sums
from bot3.trading.trades import direction
from bot3.usecases import formatting as fmt
from telegram_bot.home import BotHome

PREFIX = "closed|"
_MOST = 10

log = structlog.get_logger()


class CloseWatch:
    """Queues notices of closed trades in the own bots' databases, each trade once; trades closed before the first check are left out."""

    def __init__(self, home: BotHome, notices: NoticeStore) -> None:
        self._home, self._notices = home, notices

    def step(self, *, wall_now: datetime) -> None:
        """Queue one notice for each bot with trades closed since its last check.

        A bot whose database is unavailable is skipped until a later check. Raises StoreError if the control store is unavailable.
        """
        marks = self._notices.marks()
        for bot in self._home.ports.bot_names:
            try:
                frame = self._home.closes(bot).frame()
            except StoreError as error:
                log.warning("closes_not_read", bot=bot, problem=str(error))
            else:
                self._queue(bot, frame, kept=marks.get(f"{PREFIX}{bot}"), at=wall_now)

    def _queue(self, bot: str, frame: pd.DataFrame, *, kept: str | None, at: datetime) -> None:
        fresh = frame if kept is None else _since(frame, kept)
        if len(fresh) or kept is None:
            mark = _mark(frame, now=self._home.now())
            # The key is unique: closes are listed one by one, so notices of them must not be merged and counted.
            key = f"{PREFIX}{bot}|{mark}"
            is_history = kept is None
            notice = None if is_history else Notice(key=key, message=_message(bot, fresh), at=at, quiet=timedelta(0))
            self._notices.save_mark(f"{PREFIX}{bot}", mark, at=at, notice=notice)


def _since(frame: pd.DataFrame, mark: str) -> pd.DataFrame:
    # Several trades close at the end of one candle, in separate commits: comparing the time alone would miss the later ones.
    kept = json.loads(mark)
    at = pd.Timestamp(kept["at"])
    return frame[(frame["close_date"] > at) | ((frame["close_date"] == at) & ~frame["trade_id"].isin(kept["trades"]))]


def _mark(frame: pd.DataFrame, *, now: datetime) -> str:
    if not len(frame):
        return json.dumps({"at": now.isoformat(), "trades": []})
    newest = frame["close_date"].iloc[-1]
    trades = [int(number) for number in frame.loc[frame["close_date"] == newest, "trade_id"]]
    return json.dumps({"at": newest.isoformat(), "trades": sorted(trades)})


def _message(bot: str, fresh: pd.DataFrame) -> Message:
    lines = [_line(row) for row in fresh.tail(_MOST).to_dict("records")]
    left_out = [f"and {len(fresh) - _MOST} more"] if len(fresh) > _MOST else []
    title = f"{bot} closed {len(fresh)}: {fmt.moneys(profit_sums(fresh))} (paper)"
    return Message(title=title, lines=(*lines, *left_out), is_silent=True)


def _line(row: Mapping[Hashable, object]) -> str:
    kind = f"{str(row['pair']).partition(':')[0]} {direction(is_short=bool(row['is_short']))} {float(str(row['leverage'])):.1f}x"
    currency = stake_currency(str(row["pair"]))
    profit = f"{fmt.ratio(float(str(row['close_profit'])))} of the stake, {fmt.money(float(str(row['close_profit_abs'])), currency)}"
    return f"trade {row['trade_id']}, {kind}: {profit}, {row['exit_reason']}, {row['enter_tag']}"
