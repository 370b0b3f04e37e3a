"""Storage of a bot's latch (its trading state and the reference values for its losses): in its own store, and in a file of the home."""

from __future__ import annotations

from typing import Protocol

from bot3.trading.risk import RiskLatch


class LatchStore(Protocol):
    """Stores the last written latch of one bot; it is durable when `save_latch` returns."""

    def latch(self) -> RiskLatch | None:
        """Return the latch; None if none is stored. Raises StoreError if it cannot be read or is invalid."""
        ...

    def save_latch(self, latch: RiskLatch) -> None:
        """Write the latch; it replaces the previous one."""
        ...
