"""Deliver pending notices in order, each at least once, and postpone all deliveries after a temporary failure."""

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
"""Wall time for which a delivery reserves a notice: if the process is killed meanwhile, the notice is pending again afterwards."""
AGAIN = timedelta(seconds=20)
"""Wall time after a temporary failure before the next attempt; a longer delay that the server requests is used instead."""
MENDED_AGAIN = timedelta(minutes=5)
"""Wall time before the next attempt after the server rejected the token or the chat, which a person must correct."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyResult:
    """Result of `notify`: numbers of delivered, rejected and still pending notices.

    `problem` is the text of the last failure, "" if there was none.
    """

    sent: int
    refused: int
    waiting: int
    problem: str = ""


def notify(notices: NoticeStore, notifier: Notifier, *, wall_now: Callable[[], datetime], at_most: int = 20) -> NotifyResult:
    """Deliver up to `at_most` notices that are due, the oldest first.

    A temporary failure, or a rejected token or chat, postpones all notices and ends the call. A notice whose text is rejected is not
    delivered again, and the next one follows.
    """
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
    """Return the message of a notice; for several events a first line with their number and their first and last time is added."""
    if waiting.count == 1:
        return waiting.message
    times = f"{waiting.count} times from {stamp(waiting.first_at)} to {stamp(waiting.last_at)} UTC (wall time); this is the newest."
    return replace(waiting.message, lines=(times, *waiting.message.lines))
