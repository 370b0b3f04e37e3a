"""Model files, named by what is in them."""

from __future__ import annotations

from typing import Protocol


class ModelStore(Protocol):
    """Keeps model texts by sha256. The same text twice is one file. Nothing that runs code is ever loaded."""

    def put(self, text: bytes) -> str:
        """Keep a text and return its sha256 (hex); atomic."""
        ...

    def read(self, digest: str) -> bytes:
        """Return the text. Raises ModelError if it is missing or its digest differs (changed or corrupt)."""
        ...
