"""Storage of a bot's latch: in its own store, and in a flag file of the home."""

from __future__ import annotations

from typing import Protocol

from bot3.trading.risk import RiskLatch


class LatchStore(Protocol):
    """Stores one bot's latch: the last one written, durable when `save_latch` returns."""

    def latch(self) -> RiskLatch | None:
        """Return the latch; None if none was ever stored. Raises StoreError if it is invalid; the text names the field."""
        ...

    def save_latch(self, latch: RiskLatch) -> None:
        """Write the latch; it replaces the previous one."""
        ...
