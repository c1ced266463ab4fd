"""What can be opened, what is refused, and what opening repairs."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.errors import AlreadyOpen, CorruptLog, NotADatabase, StorageError
from headwater.storage import Append, Fault, FaultyStorage, Log, OsStorage
from headwater.storage.frames import crc32c

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.hw"


COMMITS = f"commits/{1:020}.log"


def open_log(path: Path, *, create: bool = True) -> Log:
    return Log.open(OsStorage(), str(path), create=create)


def filled(path: Path, commits: int = 3) -> None:
    """Make a database with the values 0, 1, 2 … in as many commits; the rows are in a segment."""
    log = Log.open(OsStorage(), str(path), inline_bytes=0)
    for value in range(commits):
        log.commit([Append(5, 1, pa.record_batch({"value": [value]}))])
    log.close()


def values(log: Log) -> list[int]:
    return [value for chunk in log.scan(5) for value in chunk.rows.column(0).to_pylist()]


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_nothing_is_made_unless_asked_for(path: Path) -> None:
    with pytest.raises(NotADatabase, match="there is no database at"):
        open_log(path, create=False)
    assert not path.exists()


def test_an_empty_directory_becomes_a_database_only_if_asked_for(path: Path) -> None:
    path.mkdir()
    with pytest.raises(NotADatabase):
        open_log(path, create=False)
    assert list(path.iterdir()) == []
    open_log(path).close()
    assert open_log(path, create=False).version == 0


def test_a_file_is_not_a_database(path: Path) -> None:
    path.write_text("hello")
    with pytest.raises(NotADatabase, match="is a file"):
        open_log(path)
    assert path.read_text() == "hello"


def test_a_directory_of_other_things_is_not_a_database(path: Path) -> None:
    path.mkdir()
    (path / "holiday.jpg").touch()
    with pytest.raises(NotADatabase, match="other things in it"):
        open_log(path)
    assert os.listdir(path) == ["holiday.jpg"]


def test_a_database_without_its_format_file_is_not_made_anew(path: Path) -> None:
    filled(path)
    (path / "FORMAT").unlink()
    before = content(path)
    with pytest.raises(NotADatabase):
        open_log(path)
    assert content(path) == before


def test_a_database_needs_a_directory_to_be_in(path: Path) -> None:
    with pytest.raises(StorageError, match="there is no directory"):
        open_log(path / "deeper")
    assert not path.exists()


def test_a_trailing_slash_does_not_matter(path: Path) -> None:
    filled(path)
    with open_again(f"{path}/") as log:
        assert values(log) == [0, 1, 2]


def open_again(path: str) -> _Closing:
    return _Closing(Log.open(OsStorage(), path, create=False))


class _Closing:
    def __init__(self, log: Log) -> None:
        self._log = log

    def __enter__(self) -> Log:
        return self._log

    def __exit__(self, *_: object) -> None:
        self._log.close()


def test_a_relative_path_is_kept_when_the_working_directory_changes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    log = Log.open(OsStorage(), path.name)
    monkeypatch.chdir("/")
    log.commit([Append(5, 0, pa.record_batch({"value": [1]}))])
    log.close()
    with open_again(str(path)) as again:
        assert values(again) == [1]


def test_a_database_is_opened_once_at_a_time(path: Path) -> None:
    log = open_log(path)
    with pytest.raises(AlreadyOpen, match="is open in this process already"):
        open_log(path)
    log.close()
    open_log(path).close()


def test_a_database_that_another_process_has_open_is_refused_until_that_process_is_gone(path: Path) -> None:
    program = (
        "import sys; from headwater.storage import Log, OsStorage; log = Log.open(OsStorage(), sys.argv[1]);"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT)])},
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"open\n"
        with pytest.raises(AlreadyOpen, match=f"is open in process {other.pid} already"):
            open_log(path)
        other.kill()
        other.wait()
        open_log(path).close()


def test_what_a_lock_file_says_is_no_lock(path: Path) -> None:
    filled(path)
    (path / "LOCK").write_text('{"pid": 1}')
    open_log(path).close()


def test_opening_and_closing_changes_nothing(path: Path) -> None:
    filled(path)
    before = content(path)
    open_log(path).close()
    assert content(path) == before


def test_a_newer_format_is_refused_naming_both_versions(path: Path) -> None:
    filled(path)
    line = b'{"headwater": 7, "something": "new"}'
    (path / "FORMAT").write_bytes(line + b" %08x\n" % crc32c(line))
    with pytest.raises(StorageError, match="has format 7, and this version of Headwater knows formats up to 2"):
        open_log(path)


def test_an_older_format_is_refused_naming_both_versions(path: Path) -> None:
    filled(path)
    line = b'{"headwater": 1, "uuid": "00112233445566778899aabbccddeeff", "crc": "crc32c"}'
    (path / "FORMAT").write_bytes(line + b" %08x\n" % crc32c(line))
    with pytest.raises(StorageError, match="has format 1, .* and this version knows format 2: load the data anew"):
        open_log(path)


def test_a_damaged_format_file_is_refused(path: Path) -> None:
    filled(path)
    flip(path / "FORMAT", 20)
    with pytest.raises(CorruptLog, match='FORMAT" is damaged'):
        open_log(path)


def test_a_missing_commit_log_is_not_an_empty_one(path: Path) -> None:
    filled(path)
    (path / COMMITS).unlink()
    with pytest.raises(CorruptLog, match='commits" has no commit file'):
        open_log(path)
    assert list((path / "commits").iterdir()) == []


def test_a_missing_segment_is_named(path: Path) -> None:
    filled(path)
    (path / "streams/5/0.seg").unlink()
    with pytest.raises(CorruptLog, match='streams/5/0.seg" is missing'):
        open_log(path)


def test_a_segment_that_ends_too_early_is_named(path: Path) -> None:
    filled(path)
    segment = path / "streams/5/0.seg"
    os.truncate(segment, segment.stat().st_size - 1)
    with pytest.raises(CorruptLog, match=f'0.seg" ends at byte {segment.stat().st_size}, before byte'):
        open_log(path)


def test_what_is_behind_the_last_commit_is_cut_off(path: Path) -> None:
    filled(path)
    before = content(path)
    for name in ("streams/5/0.seg", COMMITS):
        with open(path / name, "ab") as file:
            file.write(b"remains of a commit that was not made")
    with open_again(str(path)) as log:
        assert values(log) == [0, 1, 2]
    assert content(path) == before


def test_files_that_nothing_names_are_left_alone(path: Path) -> None:
    filled(path)
    for name in (
        "notes.txt",
        "commits/debug.log",
        "streams/5/99.seg",
        "streams/5/my.seg",
        "images/9.img",
        "images/x.img",
    ):
        (path / name).write_text("mine")
    before = content(path)
    with open_again(str(path)) as log:
        assert values(log) == [0, 1, 2]
    assert content(path) == before


def test_remains_in_the_place_of_a_new_segment_or_image_are_replaced(path: Path) -> None:
    filled(path)
    (path / "images/1.img").write_bytes(b"remains" * 1000)
    (path / "streams/6").mkdir()
    (path / "streams/6/0.seg").write_bytes(b"remains" * 1000)
    with _Closing(Log.open(OsStorage(), str(path), inline_bytes=0)) as log:
        log.commit([Append(6, 0, pa.record_batch({"value": [1]}))])
        image = log.save_image({"part": pa.record_batch({"value": [2]})})
    with open_again(str(path)) as log:
        assert [chunk.rows.column(0).to_pylist() for chunk in log.scan(6)] == [[1]]
        assert log.load_image(image)["part"].column(0).to_pylist() == [2]


def test_damaged_rows_are_named_and_all_others_are_readable(path: Path) -> None:
    filled(path)
    data = (path / "streams/5/0.seg").read_bytes()
    position = [at for at in range(0, len(data), 64) if data[at : at + 4] == b"HWFD"][1]
    flip(path / "streams/5/0.seg", position + 64 + 100)
    with open_again(str(path)) as log:
        scan = log.scan(5)
        assert next(scan).rows.column(0).to_pylist() == [0]
        with pytest.raises(CorruptLog) as caught:
            next(scan)
        for part in (f'0.seg" is damaged at byte {position}', "offsets 1 to 1 of stream 5, partition 1", "commit 2"):
            assert part in str(caught.value)
        assert [chunk.rows.column(0).to_pylist() for chunk in log.scan(5, after=2)] == [[2]]


def test_damaged_rows_stay_unreadable(path: Path) -> None:
    filled(path, 2)
    data = (path / "streams/5/0.seg").read_bytes()
    flip(path / "streams/5/0.seg", data.index(b"HWFD") + 64 + 100)
    with open_again(str(path)) as log:
        for _ in range(2):
            with pytest.raises(CorruptLog):
                next(log.scan(5))


def test_damaged_rows_of_the_last_commit_are_found_at_opening(path: Path) -> None:
    filled(path)
    data = (path / "streams/5/0.seg").read_bytes()
    flip(path / "streams/5/0.seg", data.rindex(b"HWFD") + 64 + 100)
    for _ in range(2):
        with pytest.raises(CorruptLog, match="offsets 2 to 2 of stream 5"):
            open_log(path)


def test_damaged_rows_that_are_kept_with_the_commits_harm_no_others(path: Path) -> None:
    log = open_log(path)
    for value in range(3):
        log.commit([Append(5, 1, pa.record_batch({"value": [value]}))])
    log.close()
    data = (path / COMMITS).read_bytes()
    position = [at for at in range(0, len(data), 64) if data[at : at + 4] == b"HWFD"][1]
    flip(path / COMMITS, position + 64 + 100)
    with open_again(str(path)) as log:
        scan = log.scan(5)
        assert next(scan).rows.column(0).to_pylist() == [0]
        with pytest.raises(CorruptLog, match=f'.log" is damaged at byte {position}: .* \\(commit 2\\) cannot be read'):
            next(scan)
        assert [chunk.rows.column(0).to_pylist() for chunk in log.scan(5, after=2)] == [[2]]


def test_a_damaged_image_is_named_and_harms_nothing_else(path: Path) -> None:
    filled(path)
    with open_again(str(path)) as log:
        first = log.save_image({"part": pa.record_batch({"value": [1]})})
        second = log.save_image({"part": pa.record_batch({"value": [2]})})
    flip(path / "images/2.img", 64 + 100)
    with open_again(str(path)) as log:
        with pytest.raises(CorruptLog, match='2.img" cannot be read: it is damaged'):
            log.load_image(second)
        assert log.load_image(first)["part"].column(0).to_pylist() == [1]
        assert values(log) == [0, 1, 2]


def test_a_missing_image_is_named(path: Path) -> None:
    log = open_log(path)
    image = log.save_image({})
    (path / "images/1.img").unlink()
    with pytest.raises(CorruptLog, match='1.img" cannot be read: a file of it is missing'):
        log.load_image(image)
    log.close()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EIO, errno.EMFILE])
def test_a_system_that_refuses_is_quoted_and_the_lock_is_released(path: Path, code: int) -> None:
    filled(path)
    with pytest.raises(StorageError, match=f"cannot open the database .*: {os.strerror(code).lower()}"):
        Log.open(FaultyStorage(OsStorage(), [Fault("open", 1, code)]), str(path))
    with open_again(str(path)) as log:
        assert values(log) == [0, 1, 2]
