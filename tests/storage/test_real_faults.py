"""What a log does on a real system that is full, fails, or ends the process at a system call of our choice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.storage.faulted import COMMITS, numbers, opened

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.path.realpath(sys.executable)  # and not a script that starts it: faults are counted from its first call

Said = list[list[Any]]


def run(role: str, directory: Path, *before: str) -> tuple[int, Said]:
    """Run a role of `faulted.py`, by way of other commands; how it ended, and what it said."""
    ended = subprocess.run(
        [*before, PYTHON, "-m", "tests.storage.faulted", role, str(directory)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=60,
        check=False,
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def heard(said: Said, what: str) -> Said:
    return [words for first, *words in said if first == what]


def made(said: Said) -> list[int]:
    return [number for (number,) in heard(said, "made")]


def check_full(said: Said) -> None:
    """What was acknowledged is there; nothing else; and there is no other error than that there is no space."""
    kinds = {kind for kind, *_ in heard(said, "failed") + heard(said, "no image")}
    assert kinds == {"NoSpace"}
    assert all("nothing was committed" in text and "make room" in text for _, text in heard(said, "failed"))
    assert len(heard(said, "failed")) == 2, "it fails each time, and is not broken by it"
    while_full, reopened = heard(said, "found")
    acknowledged = made(said)
    assert while_full == [acknowledged[:-1], acknowledged[:-1]]
    assert reopened == [acknowledged, acknowledged] and acknowledged == list(range(len(acknowledged)))
    assert heard(said, "images") == [[0]]


def test_a_write_that_the_file_limit_cuts_short_is_taken_back_and_tried_again_when_it_is_lifted(tmp_path: Path) -> None:
    code, said = run("file_limit", tmp_path / "shop.hw")
    assert code == 0
    check_full(said)


def test_a_full_disk_loses_nothing_and_is_gone_on_with_when_there_is_room(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("mounting a small disk needs root and unshare")
    mount = tmp_path / "disk"
    mount.mkdir()
    mounted = f'mount -t tmpfs -o size=2M none "{mount}" && exec "$@"'
    code, said = run("full_disk", mount / "shop.hw", "unshare", "-m", "sh", "-c", mounted, "sh")
    assert code == 0
    check_full(said)
    assert not list(mount.iterdir()), "the disk was one that nobody else saw"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not tell which files are open")
def test_too_many_open_files_refuse_a_commit_and_nothing_else(tmp_path: Path) -> None:
    code, said = run("open_files", tmp_path / "shop.hw")
    assert code == 0
    ((kind, text),) = heard(said, "failed")
    assert kind == "StorageError" and "too many open files; try again" in text
    assert heard(said, "found") == [[made(said), made(said)]]


# -------------------------------------------------------------------- system calls


def can_trace() -> bool:
    return shutil.which("strace") is not None and not subprocess.run(["strace", "-qqo", "/dev/null", "true"]).returncode


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and leave to trace a process")


WRITE = "pwritev,pwritev2"  # which of the two it is depends on how Python was built


def injecting(call: str, fault: str, nth: int, *, in_all_threads: bool = True) -> list[str]:
    """What lets a fault happen at the nth system call of a kind, counted in each thread."""
    what = f"inject={call}:{fault}:when={nth}"
    threads = ["-f"] if in_all_threads else []
    return ["strace", *threads, "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", what]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty database."""
    opened(str(tmp_path / "shop.hw")).close()
    return tmp_path / "shop.hw"


@needs_strace
@pytest.mark.parametrize(
    "call, nth",
    [
        *(("fdatasync", nth) for nth in (3, 8)),
        *((WRITE, nth) for nth in (2, 3, 5, 7)),
        *(("fsync", nth) for nth in (2, 4)),
    ],
)
def test_after_an_error_of_the_disk_no_commits_are_taken_until_the_log_is_opened_again(
    directory: Path, call: str, nth: int
) -> None:
    code, said = run("commit", directory, *injecting(call, "error=EIO", nth))
    assert code == 0
    first, second = heard(said, "failed")
    assert first == second == ["StorageError", first[1]]
    assert "because the disk failed (Input/output error): close it and open it again" in first[1]
    acknowledged = made(said)[:-1]
    assert heard(said, "found") == [[acknowledged, acknowledged]]
    log = opened(str(directory))
    assert numbers(log, 0) == numbers(log, 1) == made(said)
    log.close()


@needs_strace
@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_an_error_of_the_disk_while_opening_is_told_and_passes(directory: Path, call: str) -> None:
    code, said = run("commit", directory, *injecting(call, "error=EIO", 1, in_all_threads=False))
    assert code == 0
    ((text,),) = heard(said, "not opened")
    assert f'cannot open the database "{directory}": input/output error' in text
    assert heard(said, "found") == [[[], []]]


@needs_strace
@pytest.mark.parametrize(
    "call, nth",
    [
        *((WRITE, nth) for nth in (2, 3, 4, 5, 6, 7, 11)),
        *(("fdatasync", nth) for nth in (1, 2, 3, 9)),
        *(("fsync", nth) for nth in (1, 3)),
    ],
)
def test_a_process_that_is_killed_at_a_system_call_leaves_what_it_acknowledged(
    directory: Path, call: str, nth: int
) -> None:
    code, said = run("commit", directory, *injecting(call, "signal=KILL", nth))
    assert code == -signal.SIGKILL
    acknowledged = made(said)
    assert len(acknowledged) < COMMITS, "it was killed before it had made all"
    log = opened(str(directory))
    found = numbers(log, 0)
    assert numbers(log, 1) == found, "a commit is there as a whole"
    assert found in (acknowledged, [*acknowledged, len(acknowledged)])
    log.close()
