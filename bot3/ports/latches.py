"""Where a bot's latch is kept: in its own store, and in a flag file of the home."""

from __future__ import annotations

from typing import Protocol

from bot3.trading.risk import RiskLatch


class LatchStore(Protocol):
    """Keeps one bot's latch: the last one written, durable when `keep_latch` returns."""

    def latch(self) -> RiskLatch | None:
        """Return the latch; None where none was ever kept. Raises StoreError for one that is invalid; the text names the field."""
        ...

    def keep_latch(self, latch: RiskLatch) -> None:
        """Write the latch in place of the one before."""
        ...
