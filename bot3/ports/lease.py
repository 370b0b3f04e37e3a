"""The right to trade a bot."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """Contract: at most one process owns a bot's lease at any time; the lease ends with the process, however that ends."""

    def is_held(self) -> bool:
        """Return whether this process owns the lease now, as the server reports; acquire a lost one again if it is free.

        Raises
        ------
        AlreadyRunningError
            If another process owns it; the text names that process.
        """
        ...

    def close(self) -> None:
        """Release the lease."""
        ...
