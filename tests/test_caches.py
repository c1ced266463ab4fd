"""The cache directory is the user's alone, and nothing depends on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headwater.caches import Recent, cache_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_a_cache_file_is_in_a_directory_for_the_user_alone(home: Path) -> None:
    assert cache_file("x") == str(home / "headwater" / "x")
    assert (home / "headwater").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_can_write_to_is_not_used(home: Path) -> None:
    (home / "headwater").mkdir()
    (home / "headwater").chmod(0o777)
    assert cache_file("x") is None


def test_a_place_that_cannot_be_made_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    assert cache_file("x") is None


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\0" * 1000], ids=["absent", "empty", "garbage", "zeros"])
def test_statements_parse_whatever_is_in_the_cache(home: Path, content: bytes | None) -> None:
    if content is not None:
        (home / "headwater").mkdir(mode=0o700)
        for name in ("grammar-1.tables", "other"):
            (home / "headwater" / name).write_bytes(content)
    program = "from headwater.parser import parse, unparse; print(unparse(parse('select 1 as x')[0]))"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("SELECT 1 AS x\n", "")


def test_what_was_asked_for_least_recently_goes_first_when_there_are_too_many_bytes() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 1, 4)
    recent.put("b", 2, 4)
    assert recent.get("a") == 1
    recent.put("c", 3, 4)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]
    recent.put("a", 5, 6)
    assert [recent.get(key) for key in "ac"] == [5, 3]


def test_what_is_taken_out_is_nobody_elses_and_what_is_too_large_is_not_kept() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 1, 4)
    assert (recent.pop("a"), recent.pop("a"), recent.get("a")) == (1, None, None)
    recent.put("b", 2, 11)
    assert recent.get("b") is None
