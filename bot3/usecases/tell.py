"""Tell what waits: in the order it came, each once for certain, and again where it was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from bot3.errors import MessageRefusedError, NotifierBusyError, NotifierRefusedError
from bot3.ports.notices import NoticeStore, WaitingNotice
from bot3.ports.notifier import Message, Notifier
from bot3.usecases.words import stamp

HOLD = timedelta(minutes=2)
"""A process that dies while it tells lets go of the notice after so long."""
AGAIN = timedelta(seconds=20)
"""A notifier that is busy is asked again after so long, or when it says."""
MENDED_AGAIN = timedelta(minutes=5)
"""A token or a chat that is refused is tried again after so long: a person mends it."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of it: notices told and refused, and how many still wait; `problem` says why those were not told."""

    told: int
    refused: int
    waiting: int
    problem: str = ""


def tell(notices: NoticeStore, notifier: Notifier, *, wall_now: Callable[[], datetime], at_most: int = 20) -> Told:
    """Deliver the notices whose time has come, the oldest first; a notifier that is busy is left alone for a while."""
    told = refused = 0
    problem = ""
    while told + refused < at_most:
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
            notices.told(waiting.notice_id, at=wall_now())
            told += 1
    return Told(told=told, refused=refused, waiting=notices.waiting(), problem=problem)


def counted(waiting: WaitingNotice) -> Message:
    """Return the message of a notice; one that stands for several says how many, since when."""
    if waiting.count == 1:
        return waiting.message
    times = f"{waiting.count} times from {stamp(waiting.first_at)} to {stamp(waiting.last_at)} UTC (wall time); this is the newest."
    return replace(waiting.message, lines=(times, *waiting.message.lines))
