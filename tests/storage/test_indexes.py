"""Index files: they save time, and nothing depends on them."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from headwater.errors import CorruptLog
from headwater.storage import Append, Log, SimulatedDisk

PATH = "shop.hw"
COMMITS = f"{PATH}/commits"


def filled() -> SimulatedDisk:
    """A store of several commit files; one of them has no rows, and one no notes."""
    disk = SimulatedDisk(seed=0)
    log = Log.open(disk, PATH, commits_bytes=1)
    for number in range(30):
        log.commit([Append(number % 2, number % 3, pa.record_batch({"value": [str(number)]}))], {"n": number})
    for number in range(40):
        log.commit([], {"only": number})
    for number in range(30):
        log.commit([Append(0, 0, pa.record_batch({"value": [str(number)]}))])
    log.close()
    return disk


def names(disk: SimulatedDisk, suffix: str) -> list[str]:
    return [f"{COMMITS}/{name}" for name in disk.listdir(COMMITS) if name.endswith(suffix)]


def answers(disk: SimulatedDisk) -> list[object]:
    log = Log.open(disk, PATH)
    versions = range(1, log.version + 1)
    found: list[object] = [list(log.notes("n")), list(log.notes("only")), [log.time_of(v) for v in versions]]
    for stream in (0, 1):
        found += [list(log.scan(stream)), list(log.extents(stream)), [log.ends(stream, v) for v in versions]]
        found += [[log.first(stream, count) for count in range(1, 10)], log.row_count(stream, 20)]
    log.close()
    return found


def test_every_finished_commit_file_has_an_index() -> None:
    disk = filled()
    logs, indexes = names(disk, ".log"), names(disk, ".idx")
    assert len(logs) > 4
    assert [name.removesuffix(".idx") for name in indexes] == [name.removesuffix(".log") for name in logs[:-1]]


def test_with_an_index_the_records_of_an_older_file_are_not_read() -> None:
    disk = filled()
    oldest, *_ = names(disk, ".log")
    disk.open(oldest).pwrite(disk.files()[oldest].index(b"HWFC") + 80, b"damaged")
    assert Log.open(disk.fork(), PATH).ends(0, 1) == {0: 1}
    disk.remove(oldest.removesuffix(".log") + ".idx")
    with pytest.raises(CorruptLog, match="is damaged"):
        Log.open(disk, PATH).ends(0, 1)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "of another file", "stale"])
def test_an_index_that_is_no_good_is_made_anew(damage: str) -> None:
    disk = filled()
    expected = answers(disk)
    chance = random.Random(damage)
    indexes = names(disk, ".idx")
    contents = [disk.files()[name] for name in indexes]
    for name, content, other in zip(indexes, contents, contents[1:] + contents[:1], strict=True):
        file = disk.open(name)
        match damage:
            case "missing":
                disk.remove(name)
            case "empty":
                file.truncate(0)
            case "cut":
                file.truncate(chance.randrange(len(content)))
            case "flipped":
                position = chance.randrange(64 + 32)
                file.pwrite(position, bytes([content[position] ^ 4]))
            case "of another file":
                file.truncate(0)
                file.pwrite(0, other)
            case "stale":  # of a file that had the same name, and another end
                file.pwrite(8, bytes(4))
    assert answers(disk) == expected


def test_indexes_of_files_that_nobody_asks_for_are_not_read() -> None:
    disk = filled()
    log = Log.open(disk, PATH)
    for name in names(disk, ".idx"):
        disk.remove(name)
    for name in names(disk, ".log")[:-1]:
        disk.remove(name)
    assert log.version == 100
    assert log.ends(0) == {0: 35, 1: 5, 2: 5}
    assert log.commit([Append(0, 0, pa.record_batch({"value": ["more"]}))]).version == 101
