"""Rows on which an operator fails: found, left out, told of. What does not fail costs nothing.

An operator that can fail puts what failed in a step into its list `failures`; the circuit takes it from there. Why a
row failed is worked out only when somebody is told, not while the log is replayed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol, runtime_checkable

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.expressions import Chain, chain_sql, run_sql, run_tried_sql
from headwater.executor.key_index import Slots
from headwater.parser import quote
from headwater.planner.duckdb_errors import cause_of, explain_duckdb_error, function_that_raised, with_users_names
from headwater.planner.error_streams import ERROR_COLUMNS
from headwater.planner.logical import Expression, Filter, Plan, Project
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import PSEUDO_COLUMNS, Column, Delta

# What the values of a row can bring about; anything else is not the row's fault, and stops the query.
ROW_ERRORS: tuple[type[Exception], ...] = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
)

CAUSES_MAX = 32  # DuckDB is asked about so many different rows of an operator in a step; each takes a millisecond
FURTHER = "the expression cannot be computed from this row"  # what is told of the rows after that

# DuckDB's own names of types, which its complaints have.
_INTEGERS = {"8": "TINYINT", "16": "SMALLINT", "32": "INTEGER", "64": "BIGINT", "128": "HUGEINT"}
_INTEGER = re.compile(r"\bINT(8|16|32|64|128)\b")


@cache
def error_schema() -> pa.Schema:
    """The columns of an error stream; asked of DuckDB when they are needed, as it takes a while to start."""
    return arrow_schema(ERROR_COLUMNS)


@dataclass(frozen=True, slots=True)
class Reason:
    """In which expression a row failed, and why."""

    expression: str
    cause: str


@dataclass(frozen=True, slots=True)
class Failures:
    """Rows, or groups of rows, on which an operator failed in one step.

    `operator` is the kind of node as EXPLAIN has it. `places` are those of the rows in the operator's input, None for
    groups. `json` gives a text for each row, and `reasons` why each failed.
    """

    operator: str
    count: int
    places: Slots | None
    json: Callable[[], pa.Array]
    reasons: Callable[[pa.Array], Sequence[Reason]]

    def told(self, relation: str | None, partitions: Slots | None, offsets: Slots | None) -> pa.RecordBatch:
        """The rows of the error stream, given where the failed ones stand in the log of a stream."""
        json = self.json()
        reasons = self.reasons(json)
        arrays = [
            pa.array([reason.cause for reason in reasons], pa.string()),
            pa.array([with_users_names(reason.expression) for reason in reasons], pa.string()),
            pa.repeat(self.operator, self.count),
            pa.nulls(self.count, pa.string()) if relation is None else pa.repeat(relation, self.count),
            pa.nulls(self.count, pa.int32()) if partitions is None else pa.array(partitions, pa.int32()),
            pa.nulls(self.count, pa.int64()) if offsets is None else pa.array(offsets, pa.int64()),
            json,
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=error_schema())


@runtime_checkable
class Failing(Protocol):
    """An operator that can fail on some of its rows."""

    failures: list[Failures]  # of the last step


def words_of(error: Exception) -> str:
    """Why something failed, in our words: one sentence."""
    if isinstance(error, duckdb.Error) and function_that_raised(error):
        return cause_of(error)
    if isinstance(error, duckdb.Error):
        message = explain_duckdb_error(error, None).message
        return _INTEGER.sub(lambda found: _INTEGERS[found[1]], message)
    return str(error).partition("\n")[0] or type(error).__name__


def failing_rows(chain: Chain, delta: Delta, failing: Slots) -> list[Failures]:
    """What is told of the rows of a delta, at the places `failing`, on which a chain of expressions fails.

    A row is told of when it was to be added, as often as its weight says.
    """
    places = np.repeat(failing, np.maximum(delta.weight_array[failing], 0))
    if not len(places):
        return []
    rows = delta.rows.take(pa.array(places))
    name = type(chain[-1]).__name__
    source = chain[0].source
    return [Failures(name, len(places), places, partial(json_of, source.columns, rows), partial(_reasons, chain, rows))]


def failing_groups(node: Plan, columns: Sequence[Column], rows: pa.RecordBatch, why: list[Reason]) -> list[Failures]:
    """What is told of groups, given by the `columns` that say which they are, a row for each."""
    count = rows.num_rows
    return [Failures(type(node).__name__, count, None, partial(json_of, columns, rows), lambda _: why)] if count else []


def reason_of_group(each: Mapping[str, str], error: Exception, rows: pa.RecordBatch) -> Reason:
    """Why the functions over the rows of a group fail with `error`; `each` has the SQL to run one of them alone."""
    if len(each) == 1:
        return Reason(next(iter(each)), words_of(error))
    for expression, sql in each.items():
        try:
            run_sql(sql, rows)
        except ROW_ERRORS as own:
            return Reason(expression, words_of(own))
    return Reason(", ".join(each), words_of(error))


def json_of(columns: Sequence[Column], rows: pa.RecordBatch) -> pa.Array:
    """Each row as JSON, without the columns that no user knows."""
    shown = [c for c in columns if not c.name.startswith("$") and c.name not in PSEUDO_COLUMNS]
    casts = ", ".join(cast_from_arrow(c) for c in shown)
    fields = ", ".join(f"{quote(c.name)}: {quote(c.name)}" for c in shown)
    if not shown:
        return pa.repeat("{}", rows.num_rows)
    sql = f"SELECT CAST(to_json({{{fields}}}) AS VARCHAR) FROM (SELECT {casts} FROM delta)"
    return run_sql(sql, rows.select([c.name for c in shown])).column(0).combine_chunks().cast(pa.string())


def _reasons(chain: Chain, rows: pa.RecordBatch, json: pa.Array) -> list[Reason]:
    """In which expression of the chain each row fails, and why; asked for once for rows that look the same."""
    expressions = [e for node in chain for e in _expressions(node)]
    blamed = _blamed(chain, rows)
    texts = pc.binary_join_element_wise(pa.array(blamed).cast(pa.string()), json, " ").dictionary_encode()
    numbers = texts.indices.to_numpy()
    _, firsts = np.unique(numbers, return_index=True)
    known = []
    for i, row in enumerate(firsts.tolist()):
        cause = _cause(chain, int(blamed[row]), rows.slice(row, 1)) if i < CAUSES_MAX else FURTHER
        known.append(Reason(expressions[blamed[row]].sql, cause))
    return [known[number] for number in numbers.tolist()]


def _expressions(node: Filter | Project) -> list[Expression]:
    return [node.predicate] if isinstance(node, Filter) else [e for _, e in node.items]


def _blamed(chain: Chain, rows: pa.RecordBatch) -> Slots:
    """For each row, all of which fail, the number of the expression that fails first, counted over the chain."""
    computed = [n for n, e in enumerate(e for node in chain for e in _expressions(node)) if not e.is_column]
    if len(computed) == 1:
        return np.full(rows.num_rows, computed[0])
    blamed = np.zeros(rows.num_rows, dtype=np.int64)
    left, first = np.arange(rows.num_rows), 0
    for i, node in enumerate(chain):
        expressions = _expressions(node)
        cases = " ".join(f"WHEN TRY({{v: {e.sql}}}) IS NULL THEN {first + n}" for n, e in enumerate(expressions))
        before = chain_sql(chain[:i], chain[0].source, ("$row",))
        given = rows.take(pa.array(left)).append_column("$row", pa.array(left))
        found = run_tried_sql(f'SELECT "$row", CASE {cases} ELSE -1 END FROM ({before})', given)
        places, numbers = (column.to_numpy().astype(np.int64) for column in found.columns)
        blamed[places[numbers >= 0]] = numbers[numbers >= 0]
        left, first = np.sort(places[numbers < 0]), first + len(expressions)
        if not len(left):
            break
    return blamed


def _cause(chain: Chain, blamed: int, row: pa.RecordBatch) -> str:
    """Why the expression of that number fails on a row."""
    for i, node in enumerate(chain):
        expressions = _expressions(node)
        if blamed < len(expressions):
            try:
                run_sql(f"SELECT {expressions[blamed].sql} FROM ({chain_sql(chain[:i], chain[0].source)})", row)
            except ROW_ERRORS as error:
                return words_of(error)
            break
        blamed -= len(expressions)
    return FURTHER
