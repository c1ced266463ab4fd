"""What a log does when nothing goes wrong."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from headwater.errors import DataError, MemberFenced, StorageError
from headwater.storage import Append, Extent, File, GroupOffsets, Log, OnceKey, OsStorage, SimulatedDisk, Storage
from headwater.storage.once import REMEMBERED, Made, OnceKeys
from headwater.storage.writer import INLINE_BYTES
from tests.storage.passing import PassingFile, PassingStorage

PATH = "shop.hw"


@pytest.fixture(params=["disk", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.chdir(tmp_path)
    return OsStorage() if request.param == "disk" else SimulatedDisk()


@pytest.fixture(params=[INLINE_BYTES, 0], ids=["inline", "in segments"])
def log(request: pytest.FixtureRequest, storage: Storage) -> Iterator[Log]:
    opened = Log.open(storage, PATH, inline_bytes=request.param)
    yield opened
    opened.close()


def batch(*values: object) -> pa.RecordBatch:
    return pa.record_batch({"value": list(values)})


def rows(log: Log, stream: int = 0, **bounds: int) -> list[tuple[int, int, int, list[object]]]:
    """Version, partition, first offset and values of what a scan gives."""
    return [
        (chunk.version, chunk.partition, chunk.offset, chunk.rows.column(0).to_pylist())
        for chunk in log.scan(stream, **bounds)
    ]


def reopened(log: Log, storage: Storage) -> Log:
    log.close()
    return Log.open(storage, PATH, create=False)


def test_a_new_log_is_empty(log: Log) -> None:
    assert (log.version, rows(log), log.ends(0), log.images(), list(log.notes("a"))) == (0, [], {}, (), [])
    assert log.version_at(2**62) == 0


def test_a_commit_tells_where_its_rows_went(log: Log) -> None:
    log.commit([Append(0, 1, batch(1, 2))])
    commit = log.commit([Append(0, 1, batch(3)), Append(7, 0, batch(4, 5)), Append(0, 1, batch(6))], {"by": "me"})
    assert commit.version == log.version == 2
    assert commit.extents == (Extent(0, 1, 2, 1), Extent(7, 0, 0, 2), Extent(0, 1, 3, 1))
    assert commit.note == {"by": "me"}


def test_rows_come_back_in_commit_order_and_within_a_commit_in_the_order_of_its_appends(log: Log) -> None:
    log.commit([Append(0, 1, batch(1, 2)), Append(0, 0, batch(3))])
    log.commit([Append(0, 1, batch(4))])
    assert rows(log) == [(1, 1, 0, [1, 2]), (1, 0, 0, [3]), (2, 1, 2, [4])]


def test_rows_come_back_after_reopening(log: Log, storage: Storage) -> None:
    log.commit([Append(0, 1, batch(1, 2)), Append(3, 0, batch("x"))], {"a": 1})
    log.commit([Append(0, 0, batch(3))])
    before = rows(log), rows(log, 3), log.ends(0), list(log.notes("a")), log.time_of(2)
    again = reopened(log, storage)
    assert (rows(again), rows(again, 3), again.ends(0), list(again.notes("a")), again.time_of(2)) == before
    again.commit([Append(0, 1, batch(5))])
    assert rows(again, after=2) == [(3, 1, 2, [5])]
    again.close()


def test_a_scan_gives_versions_above_after_and_up_to_upto(log: Log) -> None:
    for value in range(5):
        log.commit([Append(0, 0, batch(value))])
    assert [version for version, *_ in rows(log, after=1, upto=3)] == [2, 3]
    assert [version for version, *_ in rows(log, after=3, upto=99)] == [4, 5]


def test_a_scan_ends_with_the_version_at_which_it_was_asked_for(log: Log) -> None:
    log.commit([Append(0, 0, batch(1))])
    scan = log.scan(0)
    log.commit([Append(0, 0, batch(2))])
    assert [chunk.version for chunk in scan] == [1]


def test_extents_are_those_of_the_chunks(log: Log) -> None:
    log.commit([Append(0, 1, batch(1, 2)), Append(0, 0, batch(3))])
    log.commit([Append(0, 1, batch(4))])
    assert list(log.extents(0)) == [(1, Extent(0, 1, 0, 2)), (1, Extent(0, 0, 0, 1)), (2, Extent(0, 1, 2, 1))]
    assert list(log.extents(0, after=1)) == [(2, Extent(0, 1, 2, 1))]


def test_ends_are_known_as_of_every_version(log: Log) -> None:
    log.commit([Append(0, 1, batch(1, 2))])
    log.commit([Append(9, 0, batch(0))])
    log.commit([Append(0, 1, batch(3)), Append(0, 0, batch(4))])
    assert [log.ends(0, version) for version in range(4)] == [{}, {1: 2}, {1: 2}, {0: 1, 1: 3}]
    assert log.ends(0) == {0: 1, 1: 3}


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (1, (1, {0: 1})),
        (2, (1, {0: 2})),
        (3, (2, {0: 2, 1: 1})),
        (4, (2, {0: 3, 1: 1})),
        (5, (2, {0: 3, 1: 2})),
        (6, None),
    ],
)
def test_the_first_rows_of_a_stream_end_somewhere_even_inside_a_commit(
    log: Log, count: int, found: tuple[int, dict[int, int]] | None
) -> None:
    log.commit([Append(0, 0, batch(1, 2))])
    log.commit([Append(0, 1, batch(3)), Append(0, 0, batch(4)), Append(5, 0, batch(9)), Append(0, 1, batch(5))])
    assert log.first(0, count) == found
    assert log.first(0, count, upto=1) == (found if count <= 2 else None)
    assert log.first(1, count) is None


def test_the_version_of_a_row_is_known(log: Log) -> None:
    log.commit([Append(0, 0, batch(1, 2)), Append(0, 1, batch(3))])
    log.commit([Append(0, 0, batch(4))])
    assert [log.version_of(0, 0, offset) for offset in range(3)] == [1, 1, 2]
    assert log.version_of(0, 1, 0) == 1


def test_empty_batches_are_skipped_and_the_commit_is_made(log: Log) -> None:
    commit = log.commit([Append(0, 0, batch(1).slice(0, 0))], {"step": 1})
    assert (commit.version, commit.extents, log.ends(0)) == (1, (), {})


def test_notes_are_found_by_their_keys(log: Log) -> None:
    log.commit([], {"ddl": "CREATE", "step": [1, {"a": None}]})
    log.commit([])
    log.commit([], {"ddl": "DROP"})
    assert list(log.notes("ddl")) == [(1, "CREATE"), (3, "DROP")]
    assert list(log.notes("ddl", after=1)) == [(3, "DROP")]
    assert list(log.notes("step")) == [(1, [1, {"a": None}])]


def test_the_last_note_with_a_key_up_to_a_version_is_found_in_any_file() -> None:
    log = Log.open(SimulatedDisk(), PATH, commits_bytes=500)
    assert log.note_before("step", 0) is None
    for version in range(1, 60):
        log.commit([], {"step": version} if version % 7 == 3 else {"other": version})
    assert log.note_before("none", 59) is None
    for version in range(61):
        last = max((v for v in range(min(version, 59) + 1) if v % 7 == 3), default=None)
        assert log.note_before("step", version) == (None if last is None else (last, last))


def test_commit_times_come_from_the_clock_and_never_go_back() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    for disk.clock_us in (1000, 3000, 2000, 4000):
        log.commit([])
    assert [log.time_of(version) for version in range(1, 5)] == [1000, 3000, 3000, 4000]


def test_the_last_commit_at_or_before_a_time_is_found() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    for disk.clock_us in (1000, 3000, 3000, 4000):
        log.commit([])
    assert [log.version_at(time) for time in (999, 1000, 2999, 3000, 3999, 4000, 9999)] == [0, 1, 1, 3, 3, 4, 4]


DICTIONARY = pa.dictionary(pa.int8(), pa.string())
ARROW_VALUES: dict[str, pa.Array] = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([1, None, -128], pa.int8()),
    "uint64": pa.array([2**64 - 1, None, 0], pa.uint64()),
    "double": pa.array([0.0, None, float("inf")]),
    "decimal": pa.array([Decimal("1.25"), None, Decimal("-9999999999999999.99")], pa.decimal128(38, 2)),
    "string": pa.array(["", None, "żółć"]),
    "string view": pa.array(["", None, "longer than twelve bytes"], pa.string_view()),
    "binary": pa.array([b"", None, b"\0\xff"]),
    "date": pa.array([date(1, 1, 1), None, date(9999, 12, 31)]),
    "timestamp": pa.array([datetime(2024, 2, 29), None, datetime(1969, 1, 1)], pa.timestamp("us")),
    "zoned": pa.array([0, None, 1], pa.timestamp("ns", "Europe/Warsaw")),
    "interval": pa.array([(1, 2, 3), None, (-1, -2, -3)], pa.month_day_nano_interval()),
    "list": pa.array([[1, None], None, []], pa.list_(pa.int64())),
    "fixed list": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2)),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(3),
}


@pytest.mark.parametrize("values", ARROW_VALUES.values(), ids=ARROW_VALUES)
@pytest.mark.parametrize("part", [slice(0, 3), slice(1, 3), slice(2, 3)], ids=["all", "from 1", "from 2"])
def test_values_of_all_types_and_slices_of_them_come_back(values: pa.Array, part: slice) -> None:
    log = Log.open(SimulatedDisk(), PATH, inline_bytes=0)
    written = pa.record_batch({"value": values, "number": [1, 2, 3]}).slice(part.start, part.stop - part.start)
    log.commit([Append(0, 0, written)])
    (chunk,) = log.scan(0)
    chunk.rows.validate(full=True)
    assert chunk.rows.equals(written)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.list_(pa.string())], ids=str)
def test_of_a_slice_only_the_rows_in_it_are_written(kind: pa.DataType) -> None:
    log = Log.open(SimulatedDisk(), PATH)
    value = "7" if pa.types.is_string(kind) else ["7"] * 3 if pa.types.is_list(kind) else 7
    log.commit([Append(0, 0, pa.record_batch({"value": pa.array([value] * 100_000, kind)}).slice(50_000, 2))])
    assert log.size_bytes() < 2000


@pytest.mark.parametrize("kind", [DICTIONARY, pa.list_(DICTIONARY), pa.struct({"a": DICTIONARY})], ids=str)
def test_dictionary_columns_are_refused_before_anything_is_written(log: Log, kind: pa.DataType) -> None:
    with pytest.raises(DataError, match='column "tag" is dictionary encoded'):
        log.commit([Append(0, 0, batch(1)), Append(0, 0, pa.record_batch({"tag": pa.nulls(1, kind)}))])
    assert (log.version, rows(log)) == (0, [])


def test_rows_keep_the_schema_with_which_they_were_written(log: Log, storage: Storage) -> None:
    schemas = [
        pa.schema({"a": pa.int64()}),
        pa.schema({"a": pa.int64(), "b": pa.string()}),
        pa.schema({"a": pa.int64()}, metadata={"k": "v"}),
    ]
    for schema in schemas:
        log.commit([Append(0, 0, pa.RecordBatch.from_pylist([{"a": 1}], schema))])
    again = reopened(log, storage)
    found = [chunk.rows.schema for chunk in again.scan(0)]
    assert all(one.equals(other, check_metadata=True) for one, other in zip(found, schemas, strict=True))
    again.close()


def test_a_segment_that_has_grown_large_is_followed_by_another(storage: Storage) -> None:
    log = Log.open(storage, PATH, segment_bytes=2000, inline_bytes=0)
    for value in range(20):
        log.commit([Append(0, 0, batch(str(value) * 300)), Append(1, 0, batch(value))])
    sizes = [storage.open(f"{PATH}/streams/0/{name}").size() for name in storage.listdir(f"{PATH}/streams/0")]
    assert len(sizes) > 3
    assert all(2000 <= size < 3000 for size in sizes[:-1])
    again = reopened(log, storage)
    assert [values for *_, values in rows(again)] == [[str(value) * 300] for value in range(20)]
    again.close()


def test_a_commit_is_not_divided_between_segments(storage: Storage) -> None:
    log = Log.open(storage, PATH, segment_bytes=1000, inline_bytes=0)
    log.commit([Append(0, 0, batch("large" * 1000)), Append(0, 1, batch("small")), Append(0, 0, batch("large" * 1000))])
    assert storage.listdir(f"{PATH}/streams/0") == ["0.seg"]
    log.commit([Append(0, 0, batch("small again"))])
    assert [values for *_, values in rows(log)] == [["large" * 1000], ["small"], ["large" * 1000], ["small again"]]
    assert storage.listdir(f"{PATH}/streams/0") == ["0.seg", "1.seg"]
    log.close()


def test_rows_stay_valid_while_the_log_grows_and_after_it_is_closed(log: Log) -> None:
    large = pa.record_batch({"value": pa.array(range(600_000))})
    log.commit([Append(0, 0, large)])
    (chunk,) = log.scan(0)
    for _ in range(3):
        log.commit([Append(0, 0, large)])
        assert sum(one.rows.num_rows for one in log.scan(0, after=1)) > 0
    log.close()
    assert chunk.rows.equals(large)


def test_large_batches_are_read_without_a_copy(log: Log) -> None:
    log.commit([Append(0, 0, pa.record_batch({"value": pa.array(range(2_000_000))}))])
    before = pa.total_allocated_bytes()
    (chunk,) = log.scan(0)
    assert pa.total_allocated_bytes() - before < 1_000_000 < chunk.rows.nbytes


def test_many_open_segments_do_not_exhaust_what_the_system_allows(storage: Storage) -> None:
    log = Log.open(storage, PATH, segment_bytes=1, inline_bytes=0)
    for value in range(300):
        log.commit([Append(0, 0, batch(value))])
    chunks = list(log.scan(0))
    assert [chunk.rows.column(0)[0].as_py() for chunk in chunks] == list(range(300))
    if isinstance(storage, OsStorage) and os.path.exists("/proc/self/fd"):
        assert len(os.listdir("/proc/self/fd")) < 250
    log.close()


def test_an_image_comes_back_with_its_note_and_takes_a_version(log: Log, storage: Storage) -> None:
    parts = {"groups": batch(1, 2), "an empty one": batch("x").slice(0, 0), "../odd name": batch(None, 1.5)}
    log.commit([Append(0, 0, batch(1))])
    image = log.save_image(parts, {"at": 1})
    assert (image.version, log.version, image.note) == (2, 2, {"at": 1})
    assert list(log.notes("at")) == [(2, 1)]
    again = reopened(log, storage)
    assert again.images() == (image,)
    assert again.load_image(image) == parts
    again.close()


def test_images_are_listed_oldest_first(log: Log) -> None:
    images = tuple(log.save_image({"part": batch(number)}) for number in range(3))
    assert log.images() == images
    assert [log.load_image(image)["part"].column(0).to_pylist() for image in images] == [[0], [1], [2]]


def test_size_counts_commits_rows_and_images(log: Log) -> None:
    sizes = [log.size_bytes()]
    for change in (
        lambda: log.commit([]),
        lambda: log.commit([Append(0, 0, batch("x" * 1000))]),
        lambda: log.save_image({"part": batch("x" * 5000)}),
    ):
        change()
        sizes.append(log.size_bytes())
    grown = [after - before for before, after in zip(sizes, sizes[1:], strict=False)]
    assert sizes[0] < 500 and 0 < grown[0] < 200 and 1000 < grown[1] < 2000 and 5000 < grown[2] < 6500


def test_waiting_returns_at_once_if_there_is_a_younger_version(log: Log) -> None:
    log.commit([])
    assert log.wait(0, None) == 1


def test_waiting_ends_with_its_timeout(log: Log) -> None:
    assert log.wait(0, 0.01) == 0


def test_a_commit_wakes_who_waits_for_it(log: Log) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(log.wait, 0, 60)
        log.commit([])
        assert waiting.result(60) == 1


def test_closing_wakes_who_waits(log: Log) -> None:
    entered = threading.Event()

    def wait() -> int:
        entered.set()
        try:
            return log.wait(0, 60)
        except StorageError:  # closed before the wait began
            return 0

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait)
        entered.wait(60)
        log.close()
        assert waiting.result(60) == 0


def test_small_rows_are_kept_in_the_commit_file_and_large_ones_in_segments(storage: Storage) -> None:
    log = Log.open(storage, PATH, inline_bytes=2000)
    log.commit([Append(0, 0, batch("x" * 1000))])
    assert log.stream_files(0) == (0, 0)
    log.commit([Append(0, 0, batch("x" * 1000)), Append(1, 0, batch("x" * 1000))])
    assert log.stream_files(0)[0] == log.stream_files(1)[0] == 1
    assert log.stream_files(0)[1] == storage.open(f"{PATH}/streams/0/0.seg").size()
    assert [version for version, *_ in rows(log)] == [1, 2]
    log.close()


def test_a_small_commit_is_synced_once() -> None:
    storage = GatedStorage(SimulatedDisk())
    log = Log.open(storage, PATH)
    storage.syncs = 0
    operations = storage.disk.operations
    log.commit([Append(stream, partition, batch(1)) for stream in range(3) for partition in range(3)])
    assert (storage.syncs, storage.disk.operations - operations) == (1, 2)
    log.close()


CALLS: dict[str, Callable[[Log], object]] = {
    "commit": lambda log: log.commit([]),
    "scan": lambda log: log.scan(0),
    "extents": lambda log: log.extents(0),
    "ends": lambda log: log.ends(0),
    "row_count": lambda log: log.row_count(0),
    "start": lambda log: log.start(0),
    "first": lambda log: log.first(0, 1),
    "version_of": lambda log: log.version_of(0, 0, 0),
    "time_of": lambda log: log.time_of(1),
    "version_at": lambda log: log.version_at(0),
    "notes": lambda log: log.notes("a"),
    "kept": lambda log: log.kept("a"),
    "wait": lambda log: log.wait(0, None),
    "refresh": lambda log: log.refresh(),
    "register": lambda log: log.register("p"),
    "group_offsets": lambda log: log.group_offsets("g"),
    "retain": lambda log: log.retain({}),
    "compact": lambda log: log.compact(0, 0, []),
    "stream_files": lambda log: log.stream_files(0),
    "save_image": lambda log: log.save_image({}),
    "images": lambda log: log.images(),
    "size_bytes": lambda log: log.size_bytes(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_closed_log_refuses(call: Callable[[Log], object]) -> None:
    log = Log.open(SimulatedDisk(), PATH)
    log.commit([])
    log.close()
    log.close()
    with pytest.raises(StorageError, match='the database "shop.hw" is closed'):
        call(log)


def test_a_scan_that_is_under_way_ends_with_an_error_when_the_log_is_closed(log: Log) -> None:
    for _ in range(2):
        log.commit([Append(0, 0, batch(1))])
    scan = log.scan(0)
    next(scan)
    log.close()
    with pytest.raises(StorageError, match="is closed"):
        next(scan)


def test_commits_of_many_threads_are_all_made_once_and_in_one_order(log: Log, storage: Storage) -> None:
    def commit_some(thread: int) -> list[int]:
        return [log.commit([Append(0, thread, batch(f"{thread}:{number}"))]).version for number in range(25)]

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(commit_some, range(8)))
    assert sorted(version for some in versions for version in some) == list(range(1, 201))
    assert all(some == sorted(some) for some in versions)
    again = reopened(log, storage)
    found = {version: values for version, *_, values in rows(again)}
    for thread, some in enumerate(versions):
        assert [found[version] for version in some] == [[f"{thread}:{number}"] for number in range(25)]
    again.close()


def test_a_commit_that_is_sent_again_gets_the_answer_that_it_got_however_much_came_between(storage: Storage) -> None:
    log = Log.open(storage, PATH, commits_bytes=1)
    stamp = replace(log.register("p"), sequence=1)
    made = log.commit([Append(0, 0, batch(1, 2))], {"a": 1}, stamp=stamp)
    for _ in range(10):
        log.commit([Append(0, 0, batch(3))], {"b": "filler" * 100})
        again = log.commit([Append(0, 0, batch(1, 2))], {"a": 1}, stamp=stamp)
        assert again == replace(made, duplicate=True)
        log.close()
        log = Log.open(storage, PATH, commits_bytes=1)
    assert log.version == 12
    log.close()


def test_of_commits_with_one_key_the_first_is_made_however_the_log_is_opened_again(storage: Storage) -> None:
    log = Log.open(storage, PATH, commits_bytes=1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: log.commit([Append(0, 0, batch(n))], stamp=OnceKey("a")), range(8)))
    assert {answer.version for answer in answers} == {1}
    assert [answer.duplicate for answer in answers].count(False) == 1
    for _ in range(3):
        log.commit([Append(0, 0, batch(9))], {"b": "filler" * 100})
        log.close()
        log = Log.open(storage, PATH, commits_bytes=1)
        again = log.commit([Append(1, 0, batch(1))], stamp=OnceKey("a"))
        assert (again.duplicate, again.version, again.time_us) == (True, 1, log.time_of(1))
    assert log.version == 4
    log.close()


def test_so_many_keys_are_known_and_no_more() -> None:
    keys = OnceKeys()
    for number in range(REMEMBERED + 1):
        keys.accept(OnceKey(str(number)), Made(number, (Extent(1, 0, number, 1),)))
    keys = OnceKeys.from_json(keys.to_json())
    assert keys.find(OnceKey("0")) is None
    assert keys.find(OnceKey("1")) == Made(1, (Extent(1, 0, 1, 1),))
    assert len(keys.to_json()) == REMEMBERED


class GatedStorage(PassingStorage):
    """Syncs of the commit log wait for a gate, and are counted."""

    def __init__(self, inner: SimulatedDisk) -> None:
        super().__init__(inner)
        self.disk = inner
        self.syncs = 0
        self.reached = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def open(self, path: str, *, create: bool = False) -> File:
        file = super().open(path, create=create)
        return GatedFile(file, self) if "/commits/" in path else file


class GatedFile(PassingFile):
    def __init__(self, inner: File, storage: GatedStorage) -> None:
        super().__init__(inner)
        self._storage = storage

    def sync(self) -> None:
        self._storage.syncs += 1
        self._storage.reached.set()
        assert self._storage.gate.wait(60)
        super().sync()


def test_commits_that_gather_during_a_sync_share_the_next_one() -> None:
    storage = GatedStorage(SimulatedDisk())
    log = Log.open(storage, PATH)
    storage.syncs = 0
    storage.reached.clear()
    storage.gate.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(log.commit, [])
        assert storage.reached.wait(60)
        others = [pool.submit(log.commit, [Append(0, 0, batch(number))]) for number in range(8)]
        while len(log._writer._queue) < len(others):
            os.sched_yield()
        storage.gate.set()
        assert first.result(60).version == 1
        assert sorted(other.result(60).version for other in others) == list(range(2, 10))
    assert storage.syncs == 2
    log.close()


def test_a_refused_commit_changes_nothing_for_those_that_share_a_sync_with_it() -> None:
    storage = GatedStorage(SimulatedDisk())
    log = Log.open(storage, PATH)
    for generation in (1, 2):
        log.commit([], offsets=[GroupOffsets("stale", generation, {})])
    log.commit([], offsets=[GroupOffsets("current", 1, {})])
    storage.reached.clear()
    storage.gate.clear()
    refused_offsets = GroupOffsets("current", 2, {(0, 0): 7}), GroupOffsets("stale", 1, {})
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(log.commit, [])
        assert storage.reached.wait(60)
        refused = pool.submit(log.commit, [], offsets=refused_offsets)
        while len(log._writer._queue) < 1:
            os.sched_yield()
        made = pool.submit(log.commit, [], offsets=[GroupOffsets("current", 1, {(0, 0): 5})])
        while len(log._writer._queue) < 2:
            os.sched_yield()
        storage.gate.set()
        assert first.result(60).version == 4
        with pytest.raises(MemberFenced):
            refused.result(60)
        assert made.result(60).version == 5
    assert (log.generation("current"), log.group_offsets("current")) == (1, {(0, 0): 5})
    log.close()
