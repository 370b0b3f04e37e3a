"""Model files, named by the digest of their contents."""

from __future__ import annotations

from typing import Protocol


class ModelStore(Protocol):
    """Stores model texts by their sha256. Storing the same text twice makes one file. A text is data: reading it executes no code."""

    def put(self, text: bytes) -> str:
        """Store a text as a whole or not at all and return its sha256 (hex). Raises StoreError if it cannot be written."""
        ...

    def read(self, digest: str) -> bytes:
        """Return the text with a sha256. Raises ModelError if it is missing, unreadable, or no longer has that sha256."""
        ...
