"""Every bit of a database can rot: that is noticed, or it does not matter."""

from __future__ import annotations

import random
from contextlib import suppress

import pyarrow as pa
import pytest

from headwater.errors import StorageError
from headwater.storage import Append, Log, SimulatedDisk

PATH = "shop.hw"
NAMES = ["FORMAT", "commits.log", "streams/0/0.seg", "streams/1/0.seg", "images/1.img"]


def small_database() -> SimulatedDisk:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1
    log = Log.open(disk, PATH)
    log.commit([Append(0, 0, pa.record_batch({"a": [1, None], "b": ["x", "yy"]}))], {"note": "first"})
    log.save_image({"part": pa.record_batch({"a": [7]})})
    log.commit([Append(1, 2, pa.record_batch({"a": [3.5]})), Append(0, 1, pa.record_batch({"a": [2], "b": [""]}))])
    log.close()
    return disk


def everything(disk: SimulatedDisk) -> list[object]:
    log = Log.open(disk, PATH, create=False)
    found: list[object] = [log.version, log.ends(0), log.ends(1), *log.notes("note"), *log.images()]
    found += [(chunk, chunk.rows.to_pylist()) for stream in (0, 1) for chunk in log.scan(stream)]
    found += [log.load_image(image) for image in log.images()]
    log.close()
    return [str(one) for one in found]


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_noticed_or_harmless(name: str) -> None:
    disk = small_database()
    expected = everything(disk)
    content = disk.files()[f"{PATH}/{name}"]
    chance = random.Random(name)
    noticed = 0
    for position in range(len(content)):
        damaged = disk.crash("kill9")
        damaged.open(f"{PATH}/{name}").pwrite(position, bytes([content[position] ^ 1 << chance.randrange(8)]))
        try:
            assert everything(damaged) == expected
        except StorageError:
            noticed += 1
    assert noticed > len(content) // 4, "only zeros between frames do not matter"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "commits.log"])
def test_a_shortened_file_is_noticed_or_harmless(name: str) -> None:
    # The commit log is another matter: cut short, it is a log that a crash cut short.
    disk = small_database()
    expected = everything(disk)
    for size in range(0, len(disk.files()[f"{PATH}/{name}"]), 7):
        damaged = disk.crash("kill9")
        damaged.open(f"{PATH}/{name}").truncate(size)
        with suppress(StorageError):
            assert everything(damaged) == expected
