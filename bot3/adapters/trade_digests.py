"""Digests of trades: what tells whether a row of the record is still what its source says, for many rows at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.ports.trade_columns import FLOATS, TradeColumns

_NUMBERS = ("trade_id", "open_date_us", "close_date_us", *FLOATS)
_TEXTS = ("bot", "run_mode", "account", "pair", "enter_tag", "exit_reason")
_LANES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
"""Odd factors, so that multiplying by one loses nothing."""
_LENGTH = 24

Words = NDArray[np.uint64]


def row_digests(columns: TradeColumns) -> list[str]:
    """Return a digest of each row, 96 bits in hexadecimal: equal for equal trades, whichever way they came.

    Two rows that differ in one number differ in their digests for sure: each step is one to one, and the first 64 bits are all of a lane.
    Nobody gains by making two trades look alike, so the mixing need not resist that.
    """
    lanes = [np.full(len(columns), factor, dtype="uint64") for factor in _LANES]
    for words in _words(columns):
        lanes = [_mixed(lane, words, factor) for lane, factor in zip(lanes, _LANES, strict=True)]
    # Big-endian, so that the text is the same on every machine.
    text = np.column_stack(lanes).astype(">u8").tobytes().hex()
    return [text[start : start + _LENGTH] for start in range(0, len(text), 32)]


def _words(columns: TradeColumns) -> Iterator[Words]:
    """Yield a row's values as 64-bit words, column by column."""
    arrays = columns.arrays
    for name in _NUMBERS:
        yield arrays[name].view("uint64")
    yield arrays["is_short"].astype("uint64")
    texts = _Texts()
    named = zip(*(arrays[name].tolist() for name in _TEXTS), strict=True)
    hashed = np.frombuffer(b"".join(map(texts.__getitem__, named)), dtype="<u8").reshape(-1, 2)
    yield from np.ascontiguousarray(hashed.T)


def _mixed(lane: Words, words: Words, factor: int) -> Words:
    mixed = (lane ^ words) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(29))


class _Texts(dict[tuple[Any, ...], bytes]):
    """A digest of the texts of a row; many rows have the same."""

    def __missing__(self, texts: tuple[Any, ...]) -> bytes:
        digest = self[texts] = hashlib.blake2s(repr(texts).encode(), digest_size=16).digest()
        return digest
