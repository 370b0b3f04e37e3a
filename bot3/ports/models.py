"""Model files, named by the digest of their contents."""

from __future__ import annotations

from typing import Protocol


class ModelStore(Protocol):
    """Stores model texts by sha256. Storing the same text twice makes one file. Nothing that runs code is ever loaded."""

    def put(self, text: bytes) -> str:
        """Store a text atomically and return its sha256 (hex)."""
        ...

    def read(self, digest: str) -> bytes:
        """Return the text of a digest. Raises ModelError if it is missing or its digest differs (changed or corrupt)."""
        ...
