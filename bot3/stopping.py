"""Requests to end a process: SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType


class Stop:
    """Records that this process was requested to stop."""

    def __init__(self) -> None:
        self._is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def is_asked(self) -> bool:
        """Return whether a stop was requested."""
        return self._is_asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._is_asked = True
