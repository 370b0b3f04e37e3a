"""Storage of a bot's latch (its trading state and the equity values that its losses are measured from): in its database, and in a file."""

from __future__ import annotations

from typing import Protocol

from bot3.trading.risk import RiskLatch


class LatchStore(Protocol):
    """Stores the last written latch of one bot; it is durable when `save_latch` returns."""

    def latch(self) -> RiskLatch | None:
        """Return the latch; None if nothing is stored. Raises StoreError if it cannot be read or is invalid."""
        ...

    def save_latch(self, latch: RiskLatch) -> None:
        """Write the latch; it replaces the previous one."""
        ...
