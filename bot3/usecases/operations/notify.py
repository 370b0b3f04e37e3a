"""Deliver pending notices in order, at least once, and retry failed deliveries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot3.errors import MessageRefusedError, NotifierBusyError, NotifierRefusedError
from bot3.ports.notices import NoticeStore, WaitingNotice
from bot3.ports.notifier import Message, Notifier
from bot3.usecases.formatting import stamp

HOLD = timedelta(minutes=2)
"""Time for which a delivery reserves a notice: if the process dies, the notice is pending again after it."""
AGAIN = timedelta(seconds=20)
"""Delay before a busy notifier is retried; the notifier's own delay is used if it is longer."""
MENDED_AGAIN = timedelta(minutes=5)
"""Delay before a rejected token or chat is retried: a person must correct it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyResult:
    """Result of a delivery: numbers of delivered, rejected and still pending notices; `problem` is why pending ones failed."""

    sent: int
    refused: int
    waiting: int
    problem: str = ""


def notify(notices: NoticeStore, notifier: Notifier, *, wall_now: Callable[[], datetime], at_most: int = 20) -> NotifyResult:
    """Deliver the notices that are due, the oldest first; postpone all if the notifier is busy or rejects the token or chat."""
    sent = refused = 0
    problem = ""
    while sent + refused < at_most:
        waiting = notices.take(now=wall_now(), hold=HOLD)
        if waiting is None:
            break
        try:
            notifier.notify(counted(waiting))
        except NotifierBusyError as error:
            later, problem = max(AGAIN, timedelta(seconds=error.retry_after_s)), str(error)
            notices.put_back(waiting.notice_id, until=wall_now() + later)
            log.warning("notice_delayed", key=waiting.key, problem=problem, again_s=later.total_seconds())
            break
        except NotifierRefusedError as error:
            problem = str(error)
            notices.put_back(waiting.notice_id, until=wall_now() + MENDED_AGAIN, problem=problem)
            log.warning("notifier_refused", key=waiting.key, problem=problem, again_s=MENDED_AGAIN.total_seconds())
            break
        except MessageRefusedError as error:
            notices.refused(waiting.notice_id, reason=str(error), at=wall_now())
            refused, problem = refused + 1, str(error)
            log.warning("notice_refused", key=waiting.key, problem=problem)
        else:
            notices.mark_sent(waiting.notice_id, at=wall_now())
            sent += 1
    return NotifyResult(sent=sent, refused=refused, waiting=notices.waiting(), problem=problem)


def counted(waiting: WaitingNotice) -> Message:
    """Return the message of a notice; one that represents several events contains their number and their first and last time."""
    if waiting.count == 1:
        return waiting.message
    times = f"{waiting.count} times from {stamp(waiting.first_at)} to {stamp(waiting.last_at)} UTC (wall time); this is the newest."
    return replace(waiting.message, lines=(times, *waiting.message.lines))
