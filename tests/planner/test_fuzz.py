"""Whatever is asked of known relations ends in a plan or in an error with a place, soon.

`HEADWATER_FUZZ=1000000 pytest tests/planner/test_fuzz.py` tries a tenth as many queries, for a night.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import Span, SqlError
from headwater.parser import parse, syntax
from headwater.parser.script import tokens
from headwater.planner import Catalog, bind_query, define, plan_snapshot
from tests.golden import cases
from tests.planner.shop import shop

QUERIES = int(os.environ.get("HEADWATER_FUZZ", "20000")) // 10
SECONDS_MAX = 1.0
SEEDS = [
    sql
    for name in ("planner/plans.golden", "planner/errors.golden", "engine/selects.golden")
    for sql, _ in cases(Path(__file__).parents[1] / name)
]
NAMES = """bids clicks people notes totals high auction price note at tags place who id name age person text n top
ROWTIME ROWOFFSET WINDOWSTART b.price p.id place.city""".split()
VALUES = "0 1 -1 2.5 1e300 'x' '' NULL TRUE DATE'2026-01-01' [1,2] {'a':1} INTERVAL'1'DAY 9223372036854775807".split()
CALLS = "count(*) sum(price) max(at) avg(name) len(tags) nosuch(1) upper(note) list(price) row_number()OVER()".split()
WORDS = """SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT JOIN LEFT ON USING UNION ALL DISTINCT AS AND OR NOT IN EXISTS
CASE WHEN END CAST EMIT CHANGES WINDOW TUMBLING ( ) , = < + || * .""".split()


def mutated(sql: str, dice: random.Random) -> str:
    """The statement with some of its words replaced, moved or doubled."""
    words = [sql[span.start : span.end] for span in tokens(sql, Span(0, len(sql)))]
    for _ in range(dice.randrange(1, 3)):
        place = dice.randrange(len(words))
        match dice.randrange(5):
            case 0 if len(words) > 1:
                del words[place]
            case 1:
                words.insert(place, words[dice.randrange(len(words))])
            case _:
                words[place] = dice.choice(dice.choice([NAMES, NAMES, VALUES, CALLS, WORDS]))
    return " ".join(words)


def plan(text: str, catalog: Catalog) -> int:
    """Plans the statements of `text` in every way that there is; how many plans there are."""
    planned = 0
    for statement in parse(text):
        began = time.perf_counter()
        for way in ways(statement):
            try:
                way(statement, catalog)
                planned += 1
            except SqlError as error:
                assert str(error.attach(text)).startswith(error.message)
                assert error.span is None or 0 <= error.span.start <= error.span.end <= len(text)
        assert time.perf_counter() - began < SECONDS_MAX
    return planned


def ways(statement: syntax.Statement) -> list[Callable[[Any, Catalog], object]]:
    """How a statement can be planned."""
    match statement:
        case syntax.Query():
            return [bind_query] if statement.emit is not None else [plan_snapshot, bind_query]
        case syntax.CreateRelation():
            return [define]
        case _:
            return []


@pytest.mark.parametrize("seed", range(4))
def test_mutated_queries_are_a_plan_or_an_error_of_ours(seed: int) -> None:
    dice, catalog, planned = random.Random(seed), shop(), 0
    for _ in range(QUERIES // 4):
        text = mutated(dice.choice(SEEDS), dice)
        try:
            planned += plan(text, catalog)
        except SqlError:
            continue  # it does not parse: the parser's own fuzzing looks at that
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} {error}: {text!r}") from error
    assert planned > QUERIES // 200, "some mutations mean something"
