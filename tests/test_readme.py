"""The program that the README shows runs, and prints what is shown below it. `tests/test_docs.py` runs its SQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_program_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    ((program, shown),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README.read_text(), re.DOTALL)
    exec(program, {})
    assert capsys.readouterr().out == shown


def test_pictures_and_links_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert [target for target in targets if not (README.parent / target).exists()] == []


def test_the_guide_to_python_runs() -> None:
    names: dict[str, object] = {}
    for program in re.findall(r"```python\n(.*?)```", (README.parent / "docs" / "python.md").read_text(), re.DOTALL):
        exec(program, names)
