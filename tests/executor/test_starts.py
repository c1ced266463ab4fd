"""Queries that begin inside a stream equal DuckDB's answers over the records from there on."""

from __future__ import annotations

import re

import pytest

from tests.executor.differential import Case
from tests.executor.query import Query


def begun(query: Query, version: int) -> Query:
    """`query` over the records of s that came after a version."""
    later = f"FROM (FROM s WHERE version > {version}) s"
    return Query(
        re.sub(r"\bFROM s\b", f"FROM s FROM VERSION {version}", query.sql), re.sub(r"\bFROM s\b", later, query.oracle)
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_query_that_begins_later_holds_what_came_from_there_on(seed: int) -> None:
    case = Case(seed, given=[])
    make = case.generator
    case.queries = [make.grouped_stream(), make.filtered(), make.windowed(), make.total(), make.distinct()]
    first = case.db.version
    for _ in range(4):
        case.step()
    for query in case.queries:
        case.create(begun(query, case.random.randint(first, case.db.version)))
    for _ in range(4):
        case.step()
    for _ in range(3):
        case.check_offset(case.random.randint(0, case.oracle.records))
