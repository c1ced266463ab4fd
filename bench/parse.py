"""What reading and planning a statement costs: statements per second, over the files of SQL that are named.

    headwater bench parse bench/nexmark/q*.sql --schema bench/nexmark/schema.sql

sqlglot, where it is installed, reads the same texts in the same run: a parser in Python too, and a good one. It knows
many dialects but not a stream's clauses, so the two are compared over the texts that it can read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from headwater.bench.timing import Timed, in_turns, ratio, seconds
from headwater.parser import parse, syntax
from headwater.planner import Catalog, define, plan_snapshot

ROUNDS = 7
REPEATS = 10  # how often each text is read in a round

Read = Callable[[str], object]


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the figures; the program's exit code."""
    parser = argparse.ArgumentParser(prog="headwater bench parse", description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="files with SQL statements")
    parser.add_argument("--schema", type=Path, help="a file that defines what the queries read: they are planned, too")
    options = parser.parse_args(arguments)
    texts = [path.read_text(encoding="utf-8") for path in options.files]
    first = seconds(lambda: parse(texts[0]))
    statements = {text: len(parse(text)) for text in texts}
    print(f"{sum(statements.values())} statements, {sum(map(len, texts)):,} characters")
    print(f"the first one, with the tables of the grammar: {first * 1e3:.0f} ms")
    _compare("all", {"headwater": parse}, texts, statements)
    if options.schema is not None:
        catalog = _catalog(options.schema.read_text(encoding="utf-8"))
        _compare("all", {"parsed and planned": lambda text: _plan(text, catalog)}, texts, statements)
    other = _sqlglot()
    if other is None:
        print("sqlglot is not installed")
        return 0
    both = [text for text in texts if _reads(other, text)]
    _compare(f"the {len(both)} of {len(texts)} texts that sqlglot reads", {"headwater": parse, "sqlglot": other}, both,
             statements)  # fmt: skip
    return 0


def _compare(what: str, readers: dict[str, Read], texts: list[str], statements: dict[str, int]) -> None:
    """Prints the statements per second of each reader, who take turns."""
    taken = in_turns({name: _timed(read, texts) for name, read in readers.items()}, ROUNDS)
    count = REPEATS * sum(statements[text] for text in texts)
    print(f"{what}:")
    for name, spent in taken.items():
        print(f"  {name:<18} {count / median(spent):>8,.0f} statements/s")
    if len(readers) > 1:
        ours, theirs = taken.values()
        print(f"  headwater takes {ratio(ours, theirs):.2f} times as long")


def _timed(read: Read, texts: list[str]) -> Timed:
    return lambda: seconds(lambda: [read(text) for text in texts * REPEATS])


def _catalog(text: str) -> Catalog:
    catalog = Catalog()
    for statement in parse(text):
        assert isinstance(statement, syntax.CreateRelation), "a schema has definitions only"
        catalog = catalog.add(define(statement, catalog))
    return catalog


def _plan(text: str, catalog: Catalog) -> None:
    for statement in parse(text):
        if isinstance(statement, syntax.Query):
            plan_snapshot(statement, catalog)


def _sqlglot() -> Read | None:
    try:
        import sqlglot
    except ImportError:
        return None
    return lambda text: sqlglot.parse(text, dialect="duckdb")


def _reads(read: Read, text: str) -> bool:
    from sqlglot.errors import SqlglotError

    try:
        read(text)
    except SqlglotError:
        return False
    return True
