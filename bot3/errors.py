"""Errors, cut by what the catcher can do.

```
Bot3Error                     never raised itself; carries the exit code of a command that ends on it
├── SettingsError             stop: a person must change a setting
├── AlreadyRunningError       stop: another process holds the lease or the port
├── DataError                 refuse this input and keep the last good one
│   ├── CandleError           candles that cannot be read or break the law of candle frames
│   ├── ModelError            a model file that is missing, changed or corrupt
│   ├── StoreError            a store that cannot be read or written as asked
│   │   ├── StoreBusyError    locked or unreachable: wait and retry
│   │   ├── StoreFullError    no space: free some, nothing was written
│   │   ├── StoreDamagedError the file is not a readable database: restore it, or rebuild what can be rebuilt
│   │   └── StoreConflictError  somebody else published in between: read again, then retry
│   └── LearningError         learned values that are missing, incomplete or expired
│       └── InvalidLearningError  published values that break a bound: publish again, in full
├── InvalidTradeError         a bug: let it end the process
├── NotifierError             a message that was not delivered for certain
│   ├── NotifierBusyError     not now: keep it, and try again later
│   ├── NotifierRefusedError  not until a person mends the token or the chat: keep it
│   └── MessageRefusedError   never: the other side takes the rest, this text not
└── ExchangeError
    ├── ExchangeBusyError     definite: nothing happened, wait and retry
    ├── OrderAmbiguousError   unknown: it may have happened; query, never resend first
    └── OrderRejectedError    definite: never retry, tell a person
```
"""

from __future__ import annotations

import errno
from typing import ClassVar


class Bot3Error(Exception):
    """Base of every error of the platform; its text names the thing and the remedy."""

    exit_code: ClassVar[int] = 1


class SettingsError(Bot3Error):
    """A setting is missing, unknown or out of bounds; a person must change it."""

    exit_code = 2


class AlreadyRunningError(Bot3Error):
    """Another process holds the lease or the port."""

    exit_code = 6


class DataError(Bot3Error):
    """The input is refused; the last good one stays in force."""

    exit_code = 3


class CandleError(DataError):
    """Candles cannot be read, or break the law of candle frames beyond repair."""


class ModelError(DataError):
    """A model file is missing, was changed, or is corrupt."""


class StoreError(DataError):
    """A store cannot be read or written as asked."""


class StoreBusyError(StoreError):
    """A store is locked or cannot be reached: wait and retry."""


class StoreFullError(StoreError):
    """A store has no space left: nothing was written."""


def file_error_kind(error: OSError) -> type[StoreError]:
    """Return what a file that cannot be written raises: StoreFullError where the disk or this user's quota is full, else StoreError."""
    return StoreFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreError


class StoreDamagedError(StoreError):
    """A store's file is not a readable database: restore a backup, or rebuild what can be rebuilt."""


class StoreConflictError(StoreError):
    """Somebody else published in between: read again, then retry."""


class LearningError(DataError):
    """Learned values are missing, incomplete or expired."""


class InvalidLearningError(LearningError):
    """Published values break a bound, and are refused; `version` names the publication where it is known."""

    def __init__(self, text: str, *, version: str | None = None) -> None:
        super().__init__(text)
        self.version = version


class InvalidTradeError(Bot3Error):
    """A trade, order or parameter that cannot be: a bug that must end the process."""


class NotifierError(Bot3Error):
    """A message was not delivered for certain."""

    exit_code = 3


class NotifierBusyError(NotifierError):
    """Not now: keep the message and try again, not before `retry_after_s` wall seconds; it may have arrived nevertheless."""

    def __init__(self, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NotifierRefusedError(NotifierError):
    """Nothing is delivered until a person mends the token or the chat: keep the message, and try again seldom."""

    exit_code = 2


class MessageRefusedError(NotifierError):
    """Never: the text is not taken as it is; others are."""


class ExchangeError(Bot3Error):
    """Base of what an exchange can answer but success."""

    exit_code = 4


class ExchangeBusyError(ExchangeError):
    """Definite: nothing happened. Wait and retry."""


class OrderAmbiguousError(ExchangeError):
    """Unknown whether it happened: query by client order id, never resend first."""


class OrderRejectedError(ExchangeError):
    """Definite refusal: never retry, tell a person."""
