"""Reading a database that is open for writing elsewhere: in this process, or in another."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.errors import NotADatabase, PositionGone, ReadOnly, StorageError
from headwater.storage import Append, Log, OsStorage, SimulatedDisk
from tests.storage.passing import UnchangeableStorage

ROOT = Path(__file__).parents[2]
PATH = "shop.hw"


def append(value: int) -> list[Append]:
    return [Append(0, 0, pa.record_batch({"value": [value]}))]


def values(log: Log) -> list[int]:
    return [value for chunk in log.scan(0) for value in chunk.rows.column(0).to_pylist()]


def writer_on(disk: SimulatedDisk) -> Log:
    return Log.open(disk, PATH, commits_bytes=1, segment_bytes=500)


def reader_on(disk: SimulatedDisk) -> Log:
    """A reader that changes nothing: an attempt is an error of the test."""
    return Log.open(UnchangeableStorage(disk), PATH, read_only=True)


def test_a_reader_sees_what_was_committed_before_it_opened_and_after_each_refresh() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    writer.commit(append(0))
    reader = reader_on(disk)
    assert values(reader) == [0]
    writer.commit(append(1))
    assert (values(reader), reader.version) == ([0], 1)
    assert reader.refresh() == 2
    assert values(reader) == [0, 1]


def test_a_reader_follows_from_commit_file_to_commit_file() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    readers = [reader_on(disk)]
    for number in range(100):
        writer.commit(append(number), {"n": number})
        if number % 30 == 0:
            readers.append(reader_on(disk))
        if number % 7 == 0:
            readers[-1].refresh()
    assert len([name for name in disk.listdir(f"{PATH}/commits") if name.endswith(".log")]) > 5
    for reader in readers:
        assert reader.refresh() == 100
        assert values(reader) == list(range(100))
        assert reader.ends(0, 50) == {0: 50}
        assert [version for version, _ in reader.notes("n", after=90)] == list(range(91, 101))


def test_a_reader_sees_images_groups_and_kept_notes() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    reader = reader_on(disk)
    image = writer.save_image({"part": pa.record_batch({"value": [7]})})
    writer.commit([], {"ddl": "CREATE"}, keep=True)
    assert reader.images() == () and list(reader.kept("ddl")) == []
    reader.refresh()
    assert reader.images() == (image,)
    assert reader.load_image(image)["part"].column(0).to_pylist() == [7]
    assert list(reader.kept("ddl")) == [(2, "CREATE")]


def test_a_reader_does_not_take_a_commit_that_is_not_whole() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    writer.commit(append(0))
    reader = reader_on(disk)
    halves = []
    disk.on_operation = lambda: halves.append(disk.fork())
    writer.commit(append(1))
    disk.on_operation = None
    for half in halves:
        beside = reader_on(half)
        assert values(beside) in ([0], [0, 1])
    assert values(reader_on(halves[0])) == [0], "half of it was written"
    assert reader.refresh() == 2


def test_what_retention_took_meanwhile_is_gone_for_a_reader_too() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    for number in range(60):
        writer.commit(append(number))
    reader = reader_on(disk)
    writer.retain({0: 40}, history=40)
    reader.refresh()
    assert values(reader) == list(range(40, 60))
    assert reader.first_version == writer.first_version > 1
    with pytest.raises(PositionGone):
        reader.time_of(1)
    with pytest.raises(PositionGone):
        list(reader.scan(0, after=10))


CHANGES: Mapping[str, Callable[[Log], object]] = {
    "commit": lambda log: log.commit(append(1)),
    "register": lambda log: log.register("producer"),
    "save_image": lambda log: log.save_image({}),
    "retain": lambda log: log.retain({}),
    "compact": lambda log: log.compact(0, 1, []),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_reader_refuses_to_change_anything(change: Callable[[Log], object]) -> None:
    disk = SimulatedDisk()
    writer_on(disk).commit(append(0))
    reader = reader_on(disk)
    with pytest.raises(ReadOnly, match='the database "shop.hw" is open for reading only'):
        change(reader)
    assert values(reader) == [0]


def test_reading_changes_no_byte_and_leaves_what_a_crash_left() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    for number in range(30):
        writer.commit(append(number))
    file = disk.open(max(name for name in disk.files() if name.endswith(".log")))
    file.pwrite(file.size(), b"HWFCremains of a commit")
    disk.open(f"{PATH}/commits/{31:020}.log", create=True)
    before = disk.files()
    reader = reader_on(disk)
    reader.refresh()
    assert values(reader) == list(range(30))
    reader.close()
    assert disk.files() == before


def test_there_is_nothing_to_read_where_there_is_no_database() -> None:
    disk = SimulatedDisk()
    with pytest.raises(NotADatabase):
        reader_on(disk)
    assert disk.files() == {}


def test_a_closed_reader_refuses() -> None:
    disk = SimulatedDisk()
    writer_on(disk).commit(append(0))
    reader = reader_on(disk)
    reader.close()
    with pytest.raises(StorageError, match="is closed"):
        reader.refresh()


def test_a_reader_waits_for_the_commits_of_a_writer() -> None:
    disk = SimulatedDisk()
    writer = writer_on(disk)
    reader = reader_on(disk)
    assert reader.wait(0, 0.01) == 0
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.wait, 0, 60)
        writer.commit(append(0))
        assert waiting.result(60) == 1


# ---------------------------------------------------------------- another process

WRITER = """
import sys
import pyarrow as pa
from headwater.storage import Append, Log, OsStorage
log = Log.open(OsStorage(), sys.argv[1], commits_bytes=1, segment_bytes=500)
print("open", flush=True)
for line in sys.stdin:
    for number in range(int(line)):
        log.commit([Append(0, 0, pa.record_batch({"value": [log.version]}))])
    print(log.version, flush=True)
"""


def test_a_database_is_read_while_another_process_writes_it(tmp_path: Path) -> None:
    path = tmp_path / PATH
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT)])},
    ) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        reader = Log.open(OsStorage(read_only=True), str(path), read_only=True)
        assert values(reader) == []
        writer.stdin.write("100\n")
        writer.stdin.flush()
        while reader.version < 100:  # meanwhile files are rolled
            version = reader.wait(reader.version, 60)
            assert values(reader) == list(range(version))
        assert writer.stdout.readline() == "100\n"
        before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
        assert values(Log.open(OsStorage(read_only=True), str(path), read_only=True)) == list(range(100))
        assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
        writer.stdin.close()
    reader.refresh()
    assert values(reader) == list(range(100))
    reader.close()
