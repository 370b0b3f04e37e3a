"""Waits for unavailable stores at start-up: a process that starts before its database does not end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from bot3.adapters.clocks.system import SystemClock
from bot3.errors import StoreBusyError, StoreFullError

_FIRST_S, _LONGEST_S = 0.5, 5.0
_Opened = TypeVar("_Opened")

log = structlog.get_logger()


def when_available(
    open_stores: Callable[[], _Opened],
    *,
    should_stop: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], None] | None = None,
) -> _Opened | None:
    """Call a step that opens stores and retry until none is unavailable; return its result, None if a stop was requested before.

    Temporary failures are waited for: a server that cannot be reached, a locked file, a full disk. Failures that a person must correct (an
    unknown database, a wrong password, a newer schema, a damaged file) are raised at once.

    Parameters
    ----------
    sleep : callable
        Waits so many wall seconds (0.5 at first, doubled up to 5); the machine's clock by default.

    Raises
    ------
    SettingsError, DataError
        If waiting does not help.
    """
    pause_s, problem = _FIRST_S, ""
    wait = sleep or SystemClock().sleep
    while not should_stop():
        try:
            opened = open_stores()
        except (StoreBusyError, StoreFullError) as error:
            if str(error) != problem:
                problem = str(error)
                log.warning("waiting_for_store", error=problem)
            wait(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_S)
            continue
        if problem:
            log.info("stores_available")
        return opened
    return None
