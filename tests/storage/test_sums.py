"""Sums of hashes: of any number of them, the one that is another one is found, and what it was."""

from __future__ import annotations

import random

import pytest

from headwater.storage.merkle import HASH_BYTES
from headwater.storage.sums import changed, sums_of


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 9, 100])
def test_one_hash_that_is_another_one_is_found_and_what_it_was(count: int) -> None:
    dice = random.Random(count)
    hashes = [dice.randbytes(HASH_BYTES) for _ in range(count)]
    sums = sums_of(b"".join(hashes))
    assert changed(b"".join(hashes), sums) is None
    for number in range(count):
        others = [*hashes[:number], dice.randbytes(HASH_BYTES), *hashes[number + 1 :]]
        assert changed(b"".join(others), sums) == (number, hashes[number])


def test_of_several_hashes_that_are_others_and_by_sums_that_are_none_nothing_is_found() -> None:
    dice = random.Random(0)
    hashes = [dice.randbytes(HASH_BYTES) for _ in range(9)]
    sums = sums_of(b"".join(hashes))
    for first, second in [(0, 1), (0, 8), (3, 4), (7, 8)]:
        others = list(hashes)
        others[first], others[second] = dice.randbytes(HASH_BYTES), dice.randbytes(HASH_BYTES)
        assert changed(b"".join(others), sums) is None
    for wrong in (b"", sums[HASH_BYTES:], sums + bytes(HASH_BYTES), dice.randbytes(len(sums))):
        assert changed(b"".join(hashes), wrong) is None
    assert sums_of(hashes[0]) == b"" and changed(b"", b"") is None
