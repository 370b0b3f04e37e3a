"""Wait for unavailable stores at start-up, so that a process may start before its database."""

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
    """Call a function that opens stores, and call it again after each temporary failure; return its result.

    None if `should_stop` returned True before it succeeded. Temporary failures are StoreBusyError and StoreFullError: a server that cannot
    be reached, a locked file, a full disk. Other errors, which a person must correct (an unknown database, a wrong password, a newer
    schema, a damaged file), are raised at once.

    Parameters
    ----------
    sleep : callable
        Waits a number of wall seconds: 0.5 at first, doubled after each failure up to 5. By default the process sleeps.

    Raises
    ------
    SettingsError, DataError
        If the failure is not temporary.
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
