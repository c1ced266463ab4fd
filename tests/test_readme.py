"""What the README shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["3 {0: (0, 2)}", "[(7, 1, 12.5)]"]
    assert sorted(line[:8] for line in printed[-2:]) == ["+ (7, 1)", "+ (8, 1)"]


def test_the_guide_to_python_runs() -> None:
    names: dict[str, object] = {}
    for program in re.findall(r"```python\n(.*?)```", (README.parent / "docs" / "python.md").read_text(), re.DOTALL):
        exec(program, names)
