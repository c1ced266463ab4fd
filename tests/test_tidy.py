"""House rules that no linter knows, as tests. A failure lists each offending line as `file:line what`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("parser", "planner", "executor", "storage", "engine", "repl", "bench")
BELOW_THE_SHELL = ("parser", "planner", "executor", "storage", "engine")
FILE_SEAM = ROOT / "storage" / "files.py"
LINES_MAX = 450

FILE_CALLS = {
    "open",
    "fcntl.*",
    "io.FileIO",
    "io.open",
    "mmap.mmap",
    "numpy.fromfile",
    "numpy.load",
    "numpy.memmap",
    "numpy.save",
    "os.access",
    "os.fdatasync",
    "os.fdopen",
    "os.fstat",
    "os.fsync",
    "os.ftruncate",
    "os.link",
    "os.listdir",
    "os.lstat",
    "os.makedirs",
    "os.mkdir",
    "os.open",
    "os.path.exists",
    "os.path.getmtime",
    "os.path.getsize",
    "os.path.isdir",
    "os.path.isfile",
    "os.pread",
    "os.pwrite",
    "os.read",
    "os.remove",
    "os.rename",
    "os.replace",
    "os.rmdir",
    "os.scandir",
    "os.stat",
    "os.symlink",
    "os.truncate",
    "os.unlink",
    "os.walk",
    "os.write",
    "pathlib.Path",
    "pyarrow.OSFile",
    "pyarrow.input_stream",
    "pyarrow.memory_map",
    "pyarrow.output_stream",
    "shutil.copy",
    "shutil.copyfile",
    "shutil.copyfileobj",
    "shutil.copytree",
    "shutil.move",
    "shutil.rmtree",
    "tempfile.*",
}
CLOCK_CALLS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "time.monotonic",
    "time.monotonic_ns",
    "time.sleep",
    "time.time",
    "time.time_ns",
}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).glob("*.py"))


def calls(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of each call, whatever the import was named: `from os import open as o; o()` is `os.open`."""
    tree = ast.parse(source)
    full_names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full_names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            full_names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            yield node.lineno, full_names.get(first, first) + dot + rest


def offences(source: str, banned: set[str]) -> Iterator[tuple[int, str]]:
    """The calls of `source` that are in `banned`, where `module.*` stands for the whole module."""
    for line, name in calls(source):
        if name in banned or f"{name.partition('.')[0]}.*" in banned or name.rpartition(".")[0] in banned:
            yield line, name


def offending_lines(files: Iterator[Path], banned: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in files
        if path != FILE_SEAM
        for line, name in offences(path.read_text(), banned)
    ]


def test_imports_run_one_way() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    report = subprocess.run([lint_imports, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert report.returncode == 0, report.stdout + report.stderr


def test_no_part_imports_the_facade() -> None:
    """`headwater/__init__.py` sits on top of all parts, so a part that imports it imports everything."""
    importers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(*BELOW_THE_SHELL)
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and node.module == "headwater")
        or (isinstance(node, ast.Import) and any(alias.name == "headwater" for alias in node.names))
    ]
    assert importers == []


def test_no_file_is_too_long_to_read_at_a_sitting() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources("headwater", *PACKAGES, "examples")}
    assert {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > LINES_MAX} == {}


def test_only_the_file_seam_touches_files() -> None:
    """So that a simulated disk can stand in for the real one under everything."""
    assert offending_lines(sources(*BELOW_THE_SHELL), FILE_CALLS) == []


def test_only_the_file_seam_reads_a_clock_below_the_engine() -> None:
    """So that a result is a function of the log alone."""
    assert offending_lines(sources("parser", "planner", "executor", "storage"), CLOCK_CALLS) == []


def test_only_the_shell_prints() -> None:
    assert offending_lines(sources("headwater", *BELOW_THE_SHELL), {"print"}) == []


@pytest.mark.parametrize(
    "source",
    [
        "open('a')",
        "import os\nos.open('a')",
        "import os as system\nsystem.rename('a', 'b')",
        "from os import fsync as sync\nsync(1)",
        "from os.path import exists\nexists('a')",
        "from pathlib import Path\nPath('a').read_text()",
        "import shutil\nshutil.rmtree('a')",
        "import pyarrow as pa\npa.memory_map('a')",
    ],
)
def test_a_call_on_files_is_seen_however_it_is_spelled(source: str) -> None:
    assert list(offences(source, FILE_CALLS))


def test_methods_named_like_file_calls_are_not_mistaken_for_them() -> None:
    assert list(offences("storage.open('a')\nlog.remove()\nos.path.join('a', 'b')", FILE_CALLS)) == []
