"""The reference has what the grammar has: every statement, every keyword; and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lark import Tree
from lark.exceptions import UnexpectedInput
from lark.grammar import Rule

import headwater
from headwater.errors import Unsupported
from headwater.parser import parse, syntax, unparse
from headwater.parser.parse import _lark
from headwater.planner.function_catalog import sample_data
from headwater.planner.statement_reference import Entry, find_entries, statement_reference
from headwater.planner.unsupported import REFUSED
from tests.planner.syntax_sentences import sentences

ENTRIES = statement_reference()


def parsed(sentence: str) -> Tree[Any]:
    try:
        return _lark().parse(sentence)
    except UnexpectedInput as error:
        raise AssertionError(f"the grammar does not know: {sentence}\n{error}") from None


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.title)
def test_the_grammar_knows_all_that_an_entry_says(entry: Entry) -> None:
    for sentence in sentences(entry.syntax):
        parsed(sentence)


def test_the_entries_have_every_keyword_of_every_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[tuple[str, str]] = set()
    callbacks: dict[Rule, Any] = _lark().parser.parser.parser.callbacks

    def watched(rule: Rule, build: Any) -> Any:
        def noted(children: list[Any]) -> Any:
            used.update(keywords(rule))
            return build(children)

        return noted

    for rule, build in list(callbacks.items()):
        monkeypatch.setitem(callbacks, rule, watched(rule, build))
    for entry in ENTRIES:
        for sentence in sentences(entry.syntax):
            parsed(sentence)
    missing = {part for rule in _lark().rules for part in keywords(rule)} - used
    assert missing == set(), sorted(missing)


def keywords(rule: Rule) -> set[tuple[str, str]]:
    """The keywords and marks of a rule with its name; not where they are names."""
    name = str(rule.alias or rule.origin.name)
    if name.startswith("__") or name in ("keyword_name", "quoted_name"):  # those of x* and the like are lark's own
        return set()
    return {(name, symbol.name) for symbol in rule.expansion if symbol.is_term}


def test_names_are_those_of_one_entry() -> None:
    names = [name for entry in ENTRIES for name in entry.names]
    assert len(names) == len(set(names))


def test_an_entry_is_found_by_its_name_and_by_parts_of_it() -> None:
    assert [entry.title for entry in find_entries("create table")] == ["CREATE TABLE"]
    assert [entry.title for entry in find_entries("commit")] == ["COMMIT GROUP"]
    assert {entry.title for entry in find_entries("create t")} == {"CREATE TABLE", "CREATE TYPE"}
    assert find_entries("creat tabel") == []


def test_an_entry_is_found_by_keywords_that_stand_in_its_syntax() -> None:
    assert [entry.title for entry in find_entries("grace period")] == ["FROM", "WINDOW"]


def test_what_is_said_to_be_not_supported_is_refused_and_all_that_is_refused_is_said() -> None:
    said = {type(example(entry)) for entry in ENTRIES if not entry.is_supported}
    for entry in ENTRIES:
        if not entry.is_supported:
            with pytest.raises(Unsupported), headwater.connect(background=False) as database:
                database.execute(unparse(example(entry)))
    assert REFUSED.keys() - {syntax.DescribeAll} - said == set()
    assert not said & {type(example(entry)) for entry in ENTRIES if entry.is_supported}


# What notes of entries say is not supported yet. The relations are those of the sample data.
NOT_YET = """
    CREATE SOURCE STREAM s (a INTEGER)
    CREATE STREAM s (a INTEGER DEFAULT 1)
    CREATE STREAM s (a INTEGER, b AS a + 1)
    CREATE STREAM s (a INTEGER HEADERS)
    CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a)
    ALTER TABLE people DROP COLUMN city
    ALTER TABLE people RENAME COLUMN city TO town
    SELECT count(*) FROM bids PARTITION BY auction
    SHOW TOPICS
    SHOW QUERIES EXTENDED
    DESCRIBE TYPE t
"""


@pytest.mark.parametrize("sql", [line.strip() for line in NOT_YET.strip().splitlines()])
def test_parts_that_notes_call_not_supported_are_refused(sql: str) -> None:
    with headwater.connect(background=False) as database:
        database.execute(sample_data())
        with pytest.raises(Unsupported):
            database.execute(sql)


def example(entry: Entry) -> syntax.Statement:
    """The last statement of an entry's first example."""
    (sql, *_) = re.findall(r"```sql[ a-z]*\n(.*?)```", entry.body, re.DOTALL)
    return parse(sql)[-1]
