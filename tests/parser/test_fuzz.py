"""Text that is nearly SQL, or nothing like it, is a tree or an error of ours, and soon.

`HEADWATER_FUZZ=1000000 pytest tests/parser/test_fuzz.py` tries as many inputs, for a night.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.errors import Span, SqlError
from headwater.parser import parse, unparse
from headwater.parser.keywords import KEYWORDS
from headwater.parser.script import tokens
from tests.golden import cases

INPUTS = int(os.environ.get("HEADWATER_FUZZ", "20000"))
SECONDS_MAX = 1.0
SEEDS = [sql for path in sorted(Path(__file__).parent.glob("*.golden")) for sql, _ in cases(path)]
MARKS = (
    """a t 1 2.5 'x' "q" ( ) [ ] { } < > , . ; : = <> + - * / :: := => -> ->> ' " ` $$ /* -- ${v} ? @ # \\ ü""".split()
)
VOCABULARY = sorted(KEYWORDS) + [*MARKS, "\0"] * 3


def words_of(sql: str) -> list[str]:
    """The tokens of a statement, and the space between them."""
    spans = list(tokens(sql, Span(0, len(sql))))
    return [sql[span.start : span.end] for span in spans]


def deletion(words: list[str], dice: random.Random) -> str:
    del words[dice.randrange(len(words))]
    return " ".join(words)


def swap(words: list[str], dice: random.Random) -> str:
    i, j = dice.randrange(len(words)), dice.randrange(len(words))
    words[i], words[j] = words[j], words[i]
    return " ".join(words)


def duplication(words: list[str], dice: random.Random) -> str:
    start = dice.randrange(len(words))
    end = min(len(words), start + dice.randrange(1, 6))
    return " ".join(words[:end] + words[start:end] * dice.randrange(1, 4) + words[end:])


def truncation(words: list[str], dice: random.Random) -> str:
    text = " ".join(words)
    return text[: dice.randrange(len(text) + 1)]


def insertion(words: list[str], dice: random.Random) -> str:
    for _ in range(dice.randrange(1, 4)):
        words.insert(dice.randrange(len(words) + 1), dice.choice(VOCABULARY))
    return " ".join(words)


def replacement(words: list[str], dice: random.Random) -> str:
    words[dice.randrange(len(words))] = dice.choice(VOCABULARY)
    return " ".join(words)


def splice(words: list[str], dice: random.Random) -> str:
    others = words_of(dice.choice(SEEDS)) or ["a"]
    return " ".join(words[: dice.randrange(len(words) + 1)] + others[dice.randrange(len(others)) :])


def noise(words: list[str], dice: random.Random) -> str:
    text = list(" ".join(words))
    for _ in range(dice.randrange(1, 5)):
        text.insert(dice.randrange(len(text) + 1), chr(dice.choice([dice.randrange(128), dice.randrange(0x11_0000)])))
    return "".join(text)


def nesting(words: list[str], dice: random.Random) -> str:
    opening, closing = dice.choice([("(", ")"), ("[", "]"), ("f(", ")"), ("(SELECT ", ")"), ("NOT ", ""), ("- ", "")])
    depth = dice.randrange(300)
    return "SELECT " + opening * depth + dice.choice(words) + closing * (depth - dice.randrange(2))


def soup(words: list[str], dice: random.Random) -> str:
    return " ".join(dice.choice(VOCABULARY) for _ in range(dice.randrange(20)))


MUTATIONS: list[Callable[[list[str], random.Random], str]] = [
    deletion, swap, duplication, truncation, insertion, replacement, splice, noise, nesting, soup,
]  # fmt: skip


def check(text: str) -> None:
    """Reads `text`, writes back what it is, and looks at the error if it is none."""
    began = time.process_time()  # not that of the wall, which other work on the machine takes
    try:
        statements = parse(text)
    except SqlError as error:
        assert error.span is not None and 0 <= error.span.start <= error.span.end <= len(text)
        assert str(error.attach(text)).startswith(error.message)
    else:
        for statement in statements:
            assert parse(unparse(statement)) == (statement,)
    assert time.process_time() - began < SECONDS_MAX


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_mutated_statements_are_a_tree_or_an_error_of_ours(mutation: Callable[..., str]) -> None:
    dice = random.Random(mutation.__name__)
    for _ in range(INPUTS // len(MUTATIONS)):
        text = mutation(words_of(dice.choice(SEEDS)) or ["a"], dice)
        try:
            check(text)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} {error}: {text!r}") from error


@pytest.mark.parametrize(
    "text", ["'", '"', "`", "$$", "/*", "SELECT '", 'SELECT "a', "SELECT `", "SELECT $$", "a /* b"]
)
def test_what_is_not_closed_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(SqlError, match="is not closed"):
        parse(text)
