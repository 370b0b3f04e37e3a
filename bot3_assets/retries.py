"""Retry a step of a run if a store was busy or unavailable; other errors are not retried.

The asset `synced_trades` does not use this: it reports the error of each bot's database, and the sensor syncs that bot later.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from bot3.errors import StoreBusyError, StoreConflictError

TIMES = 3
WAIT_S = 10.0


@contextmanager
def tried_again(*, times: int = TIMES, wait_s: float = WAIT_S) -> Iterator[None]:
    """Let Dagster retry a step, up to `times` times after `wait_s` seconds each, if its block raises StoreBusyError or StoreConflictError.

    A repeat is harmless, because every write of a step is one transaction. Any other error fails the step at once.
    """
    try:
        yield
    except (StoreBusyError, StoreConflictError) as error:
        raise dg.RetryRequested(max_retries=times, seconds_to_wait=wait_s) from error
