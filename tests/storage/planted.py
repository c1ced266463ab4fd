"""Plants bugs in copies of Headwater, and sees whether its tests find them.

In: a `PlantedBug`, which is a patch and the smallest part of the tests that must go red for it; out: whether that part
does. A patch whose text is not there exactly once is refused, so that it cannot rot unnoticed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60

Command = tuple[str, ...]  # what Python is given
PYTEST: Command = ("-m", "pytest", "-q", "-x")
CRASHES: Command = ("-m", "tests.storage.crashes", "--processes", "1")
_FAILURES = re.compile(r"\b[1-9]\d* (failed|failures)\b")


def test(name: str) -> Command:
    """A test, as "file::name" in this folder."""
    return *PYTEST, f"tests/storage/{name}"


def crashes(workload: str, states: int = 400) -> Command:
    """The first crash states of a workload."""
    return *CRASHES, "--workload", workload, "--states", f"{states}", "--lives", "0", "--no-faults"


def faults(workload: str) -> Command:
    """All faults of a workload."""
    return *CRASHES, "--workload", workload, "--states", "0", "--lives", "0"


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A mistake: in a file of storage, the text `before` becomes `after`. `found_by` must notice."""

    name: str
    file: str
    before: str
    after: str
    found_by: Command


def copy_sources(target: Path) -> None:
    """Copy Headwater and the tests of storage to a new directory from which they can be run, links resolved."""
    ignore = shutil.ignore_patterns(".*")
    shutil.copytree(ROOT / "headwater", target / "headwater", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "storage", target / "tests" / "storage", ignore=ignore)
    for name in ("pyproject.toml", "tests/conftest.py", "tests/golden.py", "tests/thoroughness.py"):
        shutil.copy2(ROOT / name, target / name)


def plant(bug: PlantedBug, target: Path) -> None:
    """Patch the copy that is in a directory."""
    file = target / "headwater" / "storage" / bug.file
    text = file.read_text()
    assert text.count(bug.before) == 1, f'the text to replace is {text.count(bug.before)} times in "{bug.file}"'
    file.write_text(text.replace(bug.before, bug.after))


def run(command: Command, directory: Path) -> tuple[int, str]:
    """Run a module of a copy, which comes before any Headwater that is installed: its exit code, and all it said."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(directory)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # those that it started, too
        process.wait()
        raise
    return process.returncode, said


def fails(command: Command, directory: Path) -> bool:
    """Whether something fails in what is run, as failures and not otherwise."""
    exit_code, said = run(command, directory)
    assert exit_code in (0, 1) and bool(_FAILURES.search(said)) == bool(exit_code), said
    return exit_code == 1


def together(commands: Iterable[Command]) -> list[Command]:
    """The same in fewer runs: repetitions are left out, and all tests are one run."""
    different = sorted(set(commands))
    names = [name for command in different if command[: len(PYTEST)] == PYTEST for name in command[len(PYTEST) :]]
    return [(*PYTEST, *names), *(command for command in different if command[: len(PYTEST)] != PYTEST)]
