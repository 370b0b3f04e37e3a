"""How a process is asked to end: by SIGTERM or by Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType


class Stop:
    """Remembers that this process was asked to stop."""

    def __init__(self) -> None:
        self._is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def is_asked(self) -> bool:
        """Say whether it was."""
        return self._is_asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._is_asked = True
