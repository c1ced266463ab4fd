"""How often what is wanted is among the first three candidates, over a file of places in statements."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from headwater.engine.database import connect
from headwater.repl.commands import COMMANDS
from headwater.repl.complete import SqlCompleter
from headwater.repl.names import names_of

HERE = Path(__file__).parent
FIRST = 3
GOAL = 0.95


def cases() -> list[tuple[str, str, str]]:
    """What stands before the cursor, what behind it, and what must be offered; `\\n` is a new line."""
    found = []
    for line in (HERE / "completion_cases.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            typed, _, expected = line.replace("\\n", "\n").partition("  =>  ")
            before, _, after = typed.partition("|")
            found.append((before, after, expected))
    return found


@pytest.fixture(scope="module")
def completer() -> SqlCompleter:
    completer = SqlCompleter(COMMANDS)
    with connect(background=False) as database:
        database.execute((HERE / "completion_schema.sql").read_text(encoding="utf-8"))
        completer.names = names_of(database)
    return completer


def offered(completer: SqlCompleter, before: str, after: str) -> list[str]:
    event = CompleteEvent(completion_requested=True)
    return [found.text for found in completer.get_completions(Document(before + after, len(before)), event)]


def test_what_is_wanted_is_among_the_first_three_nearly_always(completer: SqlCompleter) -> None:
    missed = {}
    for before, after, expected in cases():
        first = [text.strip() for text in offered(completer, before, after)[:FIRST]]
        if expected not in first:
            missed[f"{before}|{after}"] = f"wanted {expected}, offered {first}"
    rate = 1 - len(missed) / len(cases())
    print(f"{rate:.1%} of {len(cases())} completions are among the first {FIRST}")
    print("".join(f"  {place!r}: {what}\n" for place, what in missed.items()))
    assert len(cases()) >= 300 and rate >= GOAL


def test_completion_never_fails_wherever_the_cursor_is(completer: SqlCompleter) -> None:
    for before, after, _ in cases()[::4]:
        text = before + after
        for place in range(0, len(text) + 1, 2):
            offered(completer, text[:place], text[place:])
            offered(completer, text[place:], text[:place])
