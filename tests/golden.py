"""Golden files: what was given, a line of three dashes, what must come out; a blank line between two of them.

With UPDATE_GOLDEN=1 in the environment the answers are written anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

SEPARATOR = "\n\n"


def cases(path: Path) -> list[tuple[str, str]]:
    """What is given and what must come out, for each case of the file."""
    blocks = path.read_text(encoding="utf-8").strip("\n").split(SEPARATOR)
    return [(given, expected) for given, _, expected in (block.partition("\n---\n") for block in blocks)]


def check(path: Path, answer: Callable[[str], str]) -> None:
    """Compares `answer` of everything given with what must come out, or writes it where that was asked for."""
    found = [(given, answer(given)) for given, _ in cases(path)]
    if "UPDATE_GOLDEN" in os.environ:
        path.write_text(text_of(found), encoding="utf-8")
    different = [case for case, expected in zip(found, cases(path), strict=True) if case != expected]
    assert not different, f"not as {path.name} has it:\n\n{text_of(different)}"


def text_of(cases: list[tuple[str, str]]) -> str:
    return SEPARATOR.join(f"{given}\n---\n{answer}" for given, answer in cases) + "\n"
