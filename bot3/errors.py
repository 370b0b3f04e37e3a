"""Errors of the platform, grouped by how the caller can react.

```
Bot3Error                     never raised itself; carries the exit code of a command that fails with it
├── SettingsError             stop: a person must change a setting
├── AlreadyRunningError       stop: another process does what only one process may do, such as trade a bot
├── DataError                 reject this input and use the last valid one
│   ├── CandleError           candles that cannot be read or violate the definition of candle frames
│   ├── ModelError            a model file that is missing, changed or corrupt
│   ├── StoreError            a store that cannot be read or written as requested
│   │   ├── StoreBusyError    a store that is locked or unreachable: wait and retry
│   │   ├── StoreFullError    no space: free some, nothing was written
│   │   ├── StoreDamagedError the file is not a readable database: restore it, or rebuild what can be rebuilt
│   │   └── StoreConflictError  another process published in between: read again, then retry
│   └── LearningError         learned values that are missing, incomplete or expired
│       └── InvalidLearningError  published values that are out of bounds: publish again, in full
├── InvalidTradeError         a bug: let it end the process
├── NotifierError             a message whose delivery is not confirmed
│   ├── NotifierBusyError     temporary: store the message and retry later
│   ├── NotifierRefusedError  permanent until a person corrects the token or the chat: store the message
│   └── MessageRefusedError   permanent for this message: the server accepts others, but never this text
└── ExchangeError
    ├── ExchangeBusyError     the request had no effect: wait and retry
    ├── OrderAmbiguousError   it is unknown whether the order was accepted: query it before anything is sent again
    └── OrderRejectedError    the order was rejected: do not send it again, notify a person
```
"""

from __future__ import annotations

import errno
from typing import ClassVar


class Bot3Error(Exception):
    """Base of every error of the platform; its text names what failed, the reason and, where there is one, the remedy."""

    exit_code: ClassVar[int] = 1


class SettingsError(Bot3Error):
    """A setting, or an argument of a command, is missing, unknown or out of bounds; a person must change it."""

    exit_code = 2


class AlreadyRunningError(Bot3Error):
    """Another process does what only one process may do: trade a bot, listen on a port, or receive the messages of a Telegram bot."""

    exit_code = 6


class DataError(Bot3Error):
    """Input is invalid or missing; the caller continues with the last valid one, if it has one."""

    exit_code = 3


class CandleError(DataError):
    """Candles cannot be read or are missing, or violate the definition of candle frames in a way that validation does not correct."""


class ModelError(DataError):
    """A model file is missing, was changed, or is corrupt."""


class StoreError(DataError):
    """A store cannot be read or written as requested."""


class StoreBusyError(StoreError):
    """A store is locked or cannot be reached: wait and retry."""


class StoreFullError(StoreError):
    """A store has no space left: nothing was written."""


def file_error_kind(error: OSError) -> type[StoreError]:
    """Return the error class of a file that cannot be written: StoreFullError if the disk or the user's quota is full, else StoreError."""
    return StoreFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreError


class StoreDamagedError(StoreError):
    """A store's file is not a readable database: restore a backup, or rebuild what can be rebuilt."""


class StoreConflictError(StoreError):
    """Another process published in between: read again, then retry."""


class LearningError(DataError):
    """Learned values are missing, incomplete or expired."""


class InvalidLearningError(LearningError):
    """Published values are out of bounds and are not used; `version` is that of the publication, None if it is unknown."""

    def __init__(self, text: str, *, version: str | None = None) -> None:
        super().__init__(text)
        self.version = version


class InvalidTradeError(Bot3Error):
    """A trade, an order or an argument of a rule has an impossible value: a bug that must end the process."""


class NotifierError(Bot3Error):
    """The delivery of a message is not confirmed."""

    exit_code = 3


class NotifierBusyError(NotifierError):
    """Temporary failure: store the message and retry, not before `retry_after_s` wall seconds; it may have been delivered nevertheless."""

    def __init__(self, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class NotifierRefusedError(NotifierError):
    """No message is delivered until a person corrects the token or the chat: store the message, and retry rarely."""

    exit_code = 2


class MessageRefusedError(NotifierError):
    """Permanent failure of one message: the server rejects this text, but accepts others."""


class ExchangeError(Bot3Error):
    """Base of every failure that an exchange can report."""

    exit_code = 4


class ExchangeBusyError(ExchangeError):
    """The exchange is busy or unreachable, and the request had no effect: wait and retry."""


class OrderAmbiguousError(ExchangeError):
    """It is unknown whether the exchange accepted an order: query it by its client order id before anything is sent again."""


class OrderRejectedError(ExchangeError):
    """The exchange rejected an order: do not send it again, notify a person."""
