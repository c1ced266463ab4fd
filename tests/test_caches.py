"""The cache directory is the user's alone, and nothing depends on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headwater.caches import cache_file


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
