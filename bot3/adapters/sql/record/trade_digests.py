"""Compute digests of trades, for many rows at once: a digest shows whether a row of the record still equals its source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot3.ports.trade_columns import FLOATS, TradeColumns

_NUMBERS = ("trade_id", "open_date_us", "close_date_us", *FLOATS)
_TEXTS = ("bot", "run_mode", "account", "pair", "enter_tag", "exit_reason", "order_pattern", "horizon")
_START = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_ODD = tuple(map(np.uint64, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)))
"""Factors; all are odd, because only multiplication by an odd number modulo 2**64 is reversible."""
_27, _29, _32, _33 = map(np.uint64, (27, 29, 32, 33))
_LENGTH = 24

Words = NDArray[np.uint64]


def row_digests(columns: TradeColumns) -> list[str]:
    """Return a digest of each row, 24 hexadecimal digits: equal for equal trades, whichever way they were read.

    It consists of all 64 bits of one hash, and the upper 32 of another that mixes differently. Two rows that differ in only one number
    have different digests, because each step of the first hash is reversible. After each number a hash is mixed until every bit of that
    number can affect all bits, so that a change of the next number, such as its sign, cancels an earlier change only by chance.
    The digest need not resist an attacker: equal digests of two trades give no advantage.
    """
    lanes = [np.full(len(columns), start, dtype="uint64") for start in _START]
    room = np.empty(len(columns), dtype="uint64")
    for words in _words(columns):
        _mix_first(lanes[0], words, room=room)
        _mix_second(lanes[1], words, room=room)
    # Big-endian, so that the text is the same on every machine.
    text = np.column_stack(lanes).astype(">u8").tobytes().hex()
    return [text[start : start + _LENGTH] for start in range(0, len(text), 32)]


def _words(columns: TradeColumns) -> Iterator[Words]:
    """Yield the rows' values as 64-bit words, column by column."""
    arrays = columns.arrays
    for name in _NUMBERS:
        yield arrays[name].view("uint64")
    yield arrays["is_short"].astype("uint64")
    texts = _Texts()
    named = zip(*(arrays[name].tolist() for name in _TEXTS), strict=True)
    hashed = np.frombuffer(b"".join(map(texts.__getitem__, named)), dtype="<u8").reshape(-1, 2)
    yield from np.ascontiguousarray(hashed.T)


def _mix_first(lane: Words, words: Words, *, room: Words) -> None:
    lane ^= words
    lane *= _ODD[0]
    _fold(lane, _32, room=room)
    lane *= _ODD[1]
    _fold(lane, _29, room=room)


def _mix_second(lane: Words, words: Words, *, room: Words) -> None:
    """Mix by other steps in another order, so that this hash detects changes that the first one misses."""
    lane += words
    _fold(lane, _33, room=room)
    lane *= _ODD[2]
    _fold(lane, _27, room=room)
    lane *= _ODD[3]


def _fold(lane: Words, shift: np.uint64, *, room: Words) -> None:
    """Combine the upper bits with the lower ones by XOR, so that the next multiplication spreads them; in place, for many rows."""
    np.right_shift(lane, shift, out=room)
    lane ^= room


class _Texts(dict[tuple[Any, ...], bytes]):
    """Cache of the digests of rows' texts, because many rows have the same texts."""

    def __missing__(self, texts: tuple[Any, ...]) -> bytes:
        digest = self[texts] = hashlib.blake2s(repr(texts).encode(), digest_size=16).digest()
        return digest
