"""Sums of hashes, which tell which one of many is another one now.

Of n > 1 hashes there are, added up as XOR does: all of them, and, for each binary digit of their numbers from 0 to n−1,
the highest first, those whose number has a one there. If one hash is another one, the first sum differs by what it
differs by, and of the others those that it is in, by the same. So which one it was follows from a few hashes instead of
n; and also what it was, which the root of the tree confirms.

In: hashes, of 32 bytes each, one behind the other; out: sums, and the hash that is not the one that was summed up.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headwater.storage.merkle import HASH_BYTES

Words = npt.NDArray[np.uint64]  # a row for each hash


def sums_of(hashes: bytes) -> bytes:
    """The sums of some hashes; nothing for one."""
    return _sums(_words(hashes)).tobytes() if len(hashes) > HASH_BYTES else b""


def changed(hashes: bytes, sums: bytes) -> tuple[int, bytes] | None:
    """Which hash is not the one that was summed up, and which one was; None unless it is exactly one."""
    words = _words(hashes)
    if len(words) == 0 or len(sums) != len(sums_of(hashes)):
        return None
    differences = _sums(words) ^ _words(sums)
    by, *digits = differences
    if not by.any() or not all((digit == by).all() or not digit.any() for digit in digits):
        return None
    number = sum(1 << place for place, digit in enumerate(reversed(digits)) if digit.any())
    return (number, (words[number] ^ by).tobytes()) if number < len(words) else None


def _words(hashes: bytes) -> Words:
    return np.frombuffer(hashes, dtype=np.uint64).reshape(-1, HASH_BYTES // 8)


def _sums(words: Words) -> Words:
    """The sums, of hashes whose number is filled up with zeros to a power of two."""
    size = 1 << (len(words) - 1).bit_length()
    rest = np.concatenate([words, np.zeros((size - len(words), words.shape[1]), np.uint64)])
    sums = []
    while len(rest) > 1:
        half = len(rest) // 2
        sums.append(np.bitwise_xor.reduce(rest[half:]))
        rest = rest[:half] ^ rest[half:]
    return np.stack([rest[0], *sums])
