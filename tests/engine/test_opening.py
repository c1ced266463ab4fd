"""Opening what is not, or not yet, or no longer a usable database: one clear sentence, and nothing is changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import headwater
from headwater import AlreadyOpen, CorruptLog, HeadwaterError, NotADatabase, StorageError
from headwater.storage.frames import crc32c

DEFINITIONS = """
CREATE STREAM s (k INTEGER, v INTEGER);
CREATE TABLE t AS SELECT k, sum(v) AS total FROM s GROUP BY k;
INSERT INTO s VALUES (1, 1), (2, 2);
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A closed database."""
    path = tmp_path / "shop.hw"
    with headwater.connect(path, background=False) as db:
        db.execute(DEFINITIONS)
        db.settle()
    return path


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() else b"" for p in sorted(path.rglob("*"))}


def a_file(path: Path) -> None:
    path.write_text("not a database")


def other_files(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def a_newer_format(path: Path) -> None:
    headwater.connect(path).close()
    line = (path / "FORMAT").read_bytes().rpartition(b" ")[0].replace(b'"headwater": 2', b'"headwater": 99')
    (path / "FORMAT").write_bytes(line + b" %08x\n" % crc32c(line))


def a_damaged_format(path: Path) -> None:
    headwater.connect(path).close()
    (path / "FORMAT").write_bytes(b"{}" + (path / "FORMAT").read_bytes())


def no_commits(path: Path) -> None:
    headwater.connect(path).close()
    for file in (path / "commits").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("prepare", "error", "sentence"),
    [
        (a_file, NotADatabase, '"{path}" is a file: a database is a directory'),
        (other_files, NotADatabase, '"{path}" is a directory with other things in it'),
        (a_newer_format, StorageError, "use a newer Headwater"),
        (a_damaged_format, CorruptLog, '"{path}/FORMAT" is damaged'),
        (no_commits, CorruptLog, '"{path}/commits" has no commit file'),
    ],
)
def test_what_is_not_a_database_is_refused_and_left_alone(
    tmp_path: Path, prepare: Callable[[Path], None], error: type[HeadwaterError], sentence: str
) -> None:
    path = tmp_path / "thing"
    prepare(path)
    before = files(tmp_path)
    with pytest.raises(error) as caught:
        headwater.connect(path)
    assert sentence.format(path=path) in caught.value.message
    assert "\n" not in caught.value.message and not caught.value.message.endswith(".")
    assert files(tmp_path) == before


def test_a_directory_inside_nothing_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        headwater.connect(tmp_path / "no" / "such" / "place.hw")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_becomes_a_database(tmp_path: Path) -> None:
    (tmp_path / "x.hw").mkdir()
    with headwater.connect(tmp_path / "x.hw", background=False) as db:
        db.execute(DEFINITIONS)


def test_one_connection_at_a_time_in_this_process(directory: Path) -> None:
    with headwater.connect(directory, background=False) as db:
        with pytest.raises(AlreadyOpen, match="is open"):
            headwater.connect(directory)
        assert db.sql("SELECT count(*) FROM t").fetchall() == [(2,)], "the first is not disturbed"
    headwater.connect(directory).close()


def test_one_process_at_a_time(directory: Path) -> None:
    script = "import sys, headwater; db = headwater.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == "open\n"
        before = files(directory)
        with pytest.raises(AlreadyOpen, match=str(directory)):
            headwater.connect(directory)
        assert files(directory) == before
        other.stdin.close()
    headwater.connect(directory).close()


def test_a_database_that_could_not_be_opened_can_be_opened_later(directory: Path) -> None:
    """The lock is let go on every way out."""
    marker = directory / "FORMAT"
    whole = marker.read_bytes()
    marker.write_bytes(whole[:-2])
    for _ in range(2):
        with pytest.raises(StorageError):
            headwater.connect(directory)
    marker.write_bytes(whole)
    with headwater.connect(directory, background=False) as db:
        assert db.sql("SELECT * FROM t ORDER BY k").fetchall() == [(1, 1), (2, 2)]


@pytest.mark.parametrize("background", [True, False])
def test_opening_and_closing_leaves_every_byte_as_it_was(directory: Path, background: bool) -> None:
    before = files(directory)
    headwater.connect(directory, background=background).close()
    assert files(directory) == before
