"""The package as programs see it: its types, and what importing it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import headwater

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "tests" / "typing" / "program.py"


def check_types(program: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return checked.stdout + checked.stderr


def test_a_program_that_uses_everything_is_typed() -> None:
    assert check_types(PROGRAM) == "Success: no issues found in 1 source file\n"


def test_mistakes_are_found_before_the_program_runs(tmp_path: Path) -> None:
    mistakes = {
        "headwater.conect()": 'Module has no attribute "conect"',
        "headwater.connect(7)": 'incompatible type "int"',
        "headwater.connect().sql('SELECT ?', 7)": 'incompatible type "int"',
        "headwater.connect().sql('SELECT 1').fetchal()": 'has no attribute "fetchal"',
    }
    program = tmp_path / "program.py"
    program.write_text("\n".join(["import headwater", *mistakes]))
    found = check_types(program).splitlines()
    for number, (text, complaint) in enumerate(mistakes.items(), 2):
        assert any(f"program.py:{number}: error" in line and complaint in line for line in found), (text, found)


def test_the_same_program_runs(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, str(PROGRAM), str(tmp_path / "db")], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("ok\n", "")


def test_every_public_class_stands_in_the_program() -> None:
    text = PROGRAM.read_text()
    classes = {name for name in headwater.__all__ if isinstance(getattr(headwater, name), type)}
    missing = {name for name in classes if f"headwater.{name}" not in text}
    assert {name for name in missing if not issubclass(getattr(headwater, name), Exception)} == set()


def test_importing_the_package_loads_nothing_of_others() -> None:
    """So that it takes milliseconds: what needs DuckDB, Arrow or a terminal loads them when it is used."""
    script = "import sys, headwater; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    others = {name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert others <= {"headwater", "sitecustomize"}
