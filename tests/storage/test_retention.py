"""Taking the oldest out of a log: rows, images and records, and their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from headwater.errors import PositionGone, StorageError
from headwater.storage import Append, Log, OsStorage, SimulatedDisk, Storage
from tests.storage.passing import PassingStorage

PATH = "shop.hw"
COMMITS = 40


@pytest.fixture(params=["disk", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.chdir(tmp_path)
    return OsStorage() if request.param == "disk" else SimulatedDisk()


def opened(storage: Storage) -> Log:
    return Log.open(storage, PATH, segment_bytes=2000, inline_bytes=500, commits_bytes=1)


def filled(storage: Storage) -> Log:
    """A log with a large and a small row in each commit, in several segments and commit files."""
    log = opened(storage)
    for number in range(COMMITS):
        log.commit([Append(0, 0, batch(f"{number} " * 200))], {"n": number})
        log.commit([Append(1, 0, batch(str(number)))])
    return log


def batch(*values: str) -> pa.RecordBatch:
    return pa.record_batch({"value": list(values)})


def values(log: Log, stream: int, **bounds: int) -> list[str]:
    return [value.split()[0] for chunk in log.scan(stream, **bounds) for value in chunk.rows.column(0).to_pylist()]


def numbers(first: int) -> list[str]:
    return [str(number) for number in range(first, COMMITS)]


def names(storage: Storage, directory: str) -> list[str]:
    return storage.listdir(f"{PATH}/{directory}")


def test_rows_of_one_stream_go_and_those_of_others_stay(storage: Storage) -> None:
    log = filled(storage)
    log.retain({0: 60})
    assert values(log, 0) == numbers(30)
    assert values(log, 1) == numbers(0)
    assert (log.start(0).version, log.starts(0), log.row_count(0)) == (60, {0: 30}, COMMITS)
    log.close()
    again = opened(storage)
    assert (values(again, 0), values(again, 1), again.starts(0)) == (numbers(30), numbers(0), {0: 30})
    again.close()


def test_a_stream_can_begin_at_any_version() -> None:
    disk = SimulatedDisk()
    filled(disk).close()
    for version in range(2 * COMMITS + 1):
        cut = disk.fork()
        log = opened(cut)
        log.retain({0: version, 1: version}, history=version)
        expected = numbers(-(-version // 2)), numbers(version // 2)
        assert (values(log, 0), values(log, 1)) == expected
        log.close()
        log = opened(cut)
        assert (values(log, 0), values(log, 1)) == expected
        log.close()


def test_the_files_of_what_is_gone_go(storage: Storage) -> None:
    log = filled(storage)
    segments, commits, before = names(storage, "streams/0"), names(storage, "commits"), log.size_bytes()
    log.retain({0: 60, 1: 60}, history=60)
    left = names(storage, "streams/0"), names(storage, "commits")
    assert 0 < len(left[0]) < len(segments) / 2 and 0 < len(left[1]) < len(commits) / 2
    assert segments[0] not in left[0] and commits[0] not in left[1] and commits[1] not in left[1]
    assert log.size_bytes() < before / 2
    assert log.first_version > 50
    assert next(log.notes("n"))[0] >= log.first_version
    log.close()


def test_commit_files_stay_while_a_stream_has_rows_in_them(storage: Storage) -> None:
    log = filled(storage)
    commits = names(storage, "commits")
    log.retain({0: 60}, history=60)
    assert set(commits) <= set(names(storage, "commits"))
    log.retain({1: 60})
    assert commits[0] not in names(storage, "commits")
    log.close()


def test_commit_files_stay_until_nobody_needs_their_history(storage: Storage) -> None:
    log = filled(storage)
    commits = names(storage, "commits")
    log.retain({0: 60, 1: 60})
    assert set(commits) <= set(names(storage, "commits"))
    assert (log.first_version, log.time_of(1) > 0) == (1, True)
    log.retain({}, history=60)
    assert commits[0] not in names(storage, "commits")
    log.close()


POSITIONS: Mapping[str, Callable[[Log], object]] = {
    "scan after": lambda log: list(log.scan(0, after=59)),
    "scan up to": lambda log: list(log.scan(0, upto=59)),
    "extents": lambda log: list(log.extents(0, after=1)),
    "ends": lambda log: log.ends(0, 59),
    "row_count": lambda log: log.row_count(0, 59),
    "first": lambda log: log.first(0, 29),
    "version_of": lambda log: log.version_of(0, 0, 29),
}


@pytest.mark.parametrize("ask", POSITIONS.values(), ids=POSITIONS)
def test_positions_before_the_start_of_a_stream_are_gone_and_the_error_names_the_earliest(
    ask: Callable[[Log], object],
) -> None:
    log = filled(SimulatedDisk())
    log.retain({0: 60})
    with pytest.raises(PositionGone, match="kept from version 60 on") as caught:
        ask(log)
    assert caught.value.earliest == 60


def test_times_before_the_oldest_record_are_gone() -> None:
    log = filled(SimulatedDisk())
    log.retain({0: 60, 1: 60}, history=60)
    with pytest.raises(PositionGone) as caught:
        log.time_of(1)
    assert caught.value.earliest == log.first_version - 1
    assert log.version_at(0) == 0


def test_a_start_never_moves_back(storage: Storage) -> None:
    log = filled(storage)
    log.retain({0: 60})
    log.retain({0: 20})
    assert log.start(0).version == 60
    log.close()


def test_a_scan_that_began_before_goes_on_and_the_files_go_when_it_ends(storage: Storage) -> None:
    log = filled(storage)
    segments, commits = names(storage, "streams/0"), names(storage, "commits")
    scans = [log.scan(stream) for stream in (0, 1)]
    begun = [next(scan).rows.column(0).to_pylist()[0].split()[0] for scan in scans]
    log.retain({0: 60, 1: 60}, history=60)
    assert names(storage, "streams/0") == segments and set(commits) <= set(names(storage, "commits"))
    assert values(log, 0) == numbers(30), "who begins now sees what is left"
    for first, scan in zip(begun, scans, strict=True):
        rest = [value.split()[0] for chunk in scan for value in chunk.rows.column(0).to_pylist()]
        assert [first, *rest] == numbers(0)
    assert segments[0] not in names(storage, "streams/0") and commits[0] not in names(storage, "commits")
    log.close()


def test_rows_stay_valid_after_their_files_are_gone(storage: Storage) -> None:
    log = filled(storage)
    chunks = list(log.scan(0))
    log.retain({0: 2 * COMMITS})
    log.close()
    assert [chunk.rows.column(0)[0].as_py().split()[0] for chunk in chunks] == numbers(0)


class UnremovableStorage(PassingStorage):
    """As if the process had ended before the first file was removed."""

    def remove(self, path: str) -> None:
        raise OSError(5, "Input/output error")


def test_what_a_crash_left_to_be_removed_is_removed_when_the_log_is_opened() -> None:
    disk = SimulatedDisk()
    filled(disk).close()
    log = Log.open(UnremovableStorage(disk), PATH)
    image = log.save_image({"part": batch("x")})
    log.retain({0: 60, 1: 60}, history=60, discard=[image])
    log.close()
    segments, commits = names(disk, "streams/0"), names(disk, "commits")
    assert segments[0] == "0.seg" and commits[0] == f"{1:020}.idx" and names(disk, "images") == ["1.img"]
    again = opened(disk)
    assert len(names(disk, "streams/0")) < len(segments) and len(names(disk, "commits")) < len(commits)
    assert names(disk, "images") == []
    assert (values(again, 0), values(again, 1)) == (numbers(30), numbers(30))


def test_discarded_images_go(storage: Storage) -> None:
    log = opened(storage)
    images = [log.save_image({"part": batch(str(number))}) for number in range(3)]
    log.retain({}, discard=images[:2])
    assert log.images() == (images[2],)
    assert names(storage, "images") == ["3.img"]
    with pytest.raises(StorageError, match='the image "1.img" is no more'):
        log.load_image(images[0])
    assert log.save_image({"part": batch("x")}).name == "4.img"
    log.close()


def test_an_image_file_stays_while_a_younger_image_has_chunks_in_it(storage: Storage) -> None:
    log = opened(storage)
    fixed = batch("never changed")
    first = log.save_image({"fixed": fixed, "changing": batch("a")})
    second = log.save_image({"fixed": fixed, "changing": batch("b")})
    log.retain({}, discard=[first])
    assert names(storage, "images") == ["1.img", "2.img"]
    assert log.load_image(second)["fixed"].equals(fixed)
    third = log.save_image({"changing": batch("b")})
    log.retain({}, discard=[second])
    assert names(storage, "images") == ["2.img", "3.img"], "the third has a chunk of the second"
    assert log.load_image(third)["changing"].equals(batch("b"))
    log.close()


def test_kept_notes_stay_when_their_records_go(storage: Storage) -> None:
    log = opened(storage)
    log.commit([], {"ddl": "CREATE"}, keep=True)
    for number in range(100):
        log.commit([], {"n": number})
    log.retain({}, history=100)
    assert log.first_version > 1
    assert list(log.kept("ddl")) == [(1, "CREATE")]
    log.close()
    again = opened(storage)
    assert list(again.kept("ddl")) == [(1, "CREATE")] and list(again.notes("ddl")) == []
    again.close()


# ---------------------------------------------------------------- compaction


def compact(log: Log, version: int, rows: Sequence[str]) -> None:
    log.compact(0, version, [Append(0, 0, batch(*rows))], {"compacted": version})


def test_a_replacement_takes_the_place_of_the_oldest_rows(storage: Storage) -> None:
    log = filled(storage)
    segments = names(storage, "streams/0")
    compact(log, 60, ["sum", "of all"])
    assert values(log, 0) == ["sum", "of", *numbers(30)]
    (first, *_) = log.scan(0)
    assert (first.version, first.offset, first.time_us) == (60, 0, log.time_of(60))
    assert (log.ends(0), log.row_count(0), log.first(0, 31)) == ({0: COMMITS}, COMMITS, (61, {0: 31}))
    assert segments[0] not in names(storage, "streams/0")
    log.close()
    again = opened(storage)
    assert values(again, 0) == ["sum", "of", *numbers(30)]
    assert values(again, 0, after=60) == numbers(30)
    assert values(again, 0, upto=60) == ["sum", "of"]
    with pytest.raises(PositionGone):
        list(again.scan(0, after=59))
    again.close()


def test_a_replacement_can_be_replaced_and_retained_away(storage: Storage) -> None:
    log = filled(storage)
    compact(log, 20, ["first"])
    compact(log, 60, ["second"])
    assert values(log, 0) == ["second", *numbers(30)]
    log.retain({0: 70})
    assert values(log, 0) == numbers(35)
    log.close()


def test_a_stream_can_be_compacted_to_nothing(storage: Storage) -> None:
    log = filled(storage)
    log.compact(0, log.version, [])
    assert values(log, 0) == []
    log.commit([Append(0, 0, batch("next"))])
    (chunk,) = log.scan(0)
    assert chunk.offset == COMMITS
    log.close()
