"""The grammar by examples: each *.golden file has statements and the canonical text that they are.

`UPDATE_GOLDEN=1 pytest tests/parser/test_grammar.py` writes the answers anew; read the difference before committing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lark.grammar import Rule

from headwater.parser import parse_statement, unparse
from headwater.parser.parse import _lark, _remembered
from tests.golden import cases, check

FILES = [
    Path(__file__).with_name(f"{name}.golden")
    for name in ("define", "ask", "past", "consume", "operate", "expressions", "types")
]


def parts(rule: Rule) -> Iterator[tuple[str, str]]:
    """The name of a rule, or of its alternative if that has one, with each of the symbols in it."""
    name = rule.alias or rule.origin.name
    if not name.startswith("__"):  # those are lark's own, for x* and the like
        for symbol in rule.expansion:
            yield name, symbol.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_statement_has_this_canonical_text(path: Path) -> None:
    check(path, lambda sql: unparse(parse_statement(sql, parameters=None)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_canonical_text_is_the_same_statement(path: Path) -> None:
    for sql, canonical in cases(path):
        assert parse_statement(canonical, parameters=None) == parse_statement(sql, parameters=None)


def test_every_part_of_every_rule_has_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    lark = _lark()
    callbacks: dict[Rule, Any] = lark.parser.parser.parser.callbacks
    used: set[tuple[str, str]] = set()

    def watched(rule: Rule, build: Any) -> Any:
        def noted(children: list[Any]) -> Any:
            used.update(parts(rule))
            return build(children)

        return noted

    for rule, build in list(callbacks.items()):
        monkeypatch.setitem(callbacks, rule, watched(rule, build))
    _remembered.cache_clear()
    for path in FILES:
        for sql, _ in cases(path):
            parse_statement(sql, parameters=None)
    unused = {part for rule in lark.rules for part in parts(rule)} - used
    assert unused == set(), f"{len(used)} parts of the grammar have an example, {len(unused)} have none"
