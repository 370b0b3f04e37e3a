"""Retry a step if a store was busy or unavailable for a moment; other errors are not retried.

`synced_trades` does not use this: it reports the errors of each bot, and the sensor syncs the rest.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from bot3.errors import StoreBusyError, StoreConflictError

TIMES = 3
WAIT_S = 10.0


@contextmanager
def tried_again(*, times: int = TIMES, wait_s: float = WAIT_S) -> Iterator[None]:
    """Request a retry of the step from Dagster if the store was busy; every write of a step is one transaction, so a repeat is harmless.

    An invalid input, a bug or a missing file would cause the same error again: the step fails immediately.
    """
    try:
        yield
    except (StoreBusyError, StoreConflictError) as error:
        raise dg.RetryRequested(max_retries=times, seconds_to_wait=wait_s) from error
