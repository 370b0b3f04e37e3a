"""A store that is busy or away for a moment fails no run: the step is tried again, and nothing else is.

`synced_trades` alone goes without: it tells each bot's trouble, and the sensor brings what is left.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

TIMES = 3
WAIT_S = 10.0


@contextmanager
def tried_again(*, times: int = TIMES, wait_s: float = WAIT_S) -> Iterator[None]:
    """Ask Dagster to run the step again where the store was busy; a step's every write is one transaction, so that twice is once.

    A refusal, a bug or a missing file would be the same the next time: they fail at once.
    """
    from bot3.errors import StoreBusyError, StoreConflictError  # noqa: PLC0415

    try:
        yield
    except (StoreBusyError, StoreConflictError) as error:
        raise dg.RetryRequested(max_retries=times, seconds_to_wait=wait_s) from error
