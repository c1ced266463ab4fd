"""The statements around queries: SHOW, DESCRIBE, EXPLAIN, and the checks of INSERT and DROP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import duckdb
import pyarrow as pa

from headwater.engine import assertions, functions, log_facts, query_facts, violations
from headwater.engine.apart import Apart
from headwater.engine.components_shown import describe_component, show_components, show_instances
from headwater.engine.explain import explain
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.engine.violations import CHECK_GROUP
from headwater.errors import NullRefused, SqlError, TypeProblem, Unsupported
from headwater.executor.arrow_path import values_of
from headwater.executor.evaluate import connection
from headwater.executor.python_functions import raise_interrupt
from headwater.parser import syntax, unparse
from headwater.planner import Catalog, Function, Relation, View, explain_plan
from headwater.planner.assertions import find_assertion
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.duckdb_errors import cause_of, function_that_raised, with_users_names
from headwater.planner.names import names_in
from headwater.planner.queues import group_of, queues_seen
from headwater.planner.sql_types import arrow_schema
from headwater.planner.targets import targets_of
from headwater.storage import Log
from headwater.values import ROWTIME, Column

FILE_GROUP = "$file "  # what begins the names of groups that say how far files are read
_TEXT = pa.string()
_NUMBER = pa.int64()

Facts: TypeAlias = Callable[[Relation], list[tuple[str, str]]]


def show(
    statement: syntax.Statement, pipeline: Pipeline, reader: Reader, now_us: int, of_files: Facts, apart: Apart
) -> Result:
    """The answer to a statement that only looks: SHOW, DESCRIBE or EXPLAIN. `of_files` tells how far files are read."""
    match statement:
        case syntax.Show(what="STREAMS" | "TABLES", extended=extended):
            pipeline.catch_up()
            wanted = seen(statement.what, pipeline.catalog, lambda r: pipeline.log.row_count(r.id))
            facts = (lambda r: log_facts.log_facts(r, pipeline.log, now_us)) if extended else None
            return relations(wanted, lambda relation: _row_count(relation, pipeline), facts)
        case syntax.Show(what="VIEWS" | "TYPES" | "FUNCTIONS" as what):
            return named(what, pipeline.catalog)
        case syntax.Show(what="QUERIES"):
            pipeline.catch_up()
            return queries([row for clock in apart.all for row in query_facts.queries(clock)])
        case syntax.Show(what="SCHEMAS" | "PIPELINES" as what):
            return show_components(what, pipeline.catalog)
        case syntax.Show(what="INSTANCES"):
            return show_instances(apart, now_us)
        case syntax.Describe(kind="PIPELINE" | "INSTANCE"):
            return describe_component(statement, pipeline.catalog)
        case syntax.Show(what="GROUPS"):
            return _groups(pipeline)
        case syntax.Show(what="ASSERTIONS"):
            pipeline.catch_up()
            wanted = [r for r in pipeline.catalog.ordered() if r.reaction is not None]
            counts = {relation.id: _row_count(relation, pipeline) for relation in wanted}
            return asserted(wanted, counts, pipeline.log)
        case syntax.Describe(kind="ASSERTION"):
            pipeline.catch_up()
            relation = find_assertion(statement.name, pipeline.catalog)
            rows = _row_count(relation, pipeline)
            return describe_assertion(relation, pipeline.catalog, rows, pipeline.log)
        case syntax.Show(what="QUEUES"):
            pipeline.catch_up()
            return _queues(pipeline)
        case syntax.Describe():
            relation = pipeline.catalog.find(statement.name, queries=True)
            return _describe(relation, statement.extended, apart, of_files)
        case syntax.Explain():
            return _result(("plan",), [(line,) for line in explain(statement, apart, reader)])
    raise AssertionError(statement)


def _result(
    names: tuple[str, ...], rows: Sequence[tuple[object, ...]], numbers: frozenset[str] = frozenset()
) -> Result:
    columns = tuple(Column(n, "BIGINT" if n in numbers else "VARCHAR") for n in names)
    return Result.of_rows(columns, list(rows), [_NUMBER if n in numbers else _TEXT for n in names])


def named(what: str, catalog: Catalog) -> Result:
    """The answer to SHOW VIEWS, TYPES or FUNCTIONS."""
    if what == "VIEWS":
        views = [v for v in catalog.views.values() if not catalog.is_private(v.name)]
        views = sorted(views, key=lambda view: view.id)
        return _result(("name", "query"), [(view.name, view.definition) for view in views])
    if what == "TYPES":
        types = sorted(catalog.types.values(), key=lambda named: named.name.lower())
        return _result(("name", "type"), [(named.name, named.type) for named in types])
    known = sorted(catalog.functions.values(), key=lambda function: function.name.lower())
    return _result(("name", "parameters", "returns", "kind", "code"), [functions.shown(f) for f in known])


def relations(
    wanted: list[Relation],
    row_count: Callable[[Relation], int | None],
    facts: Callable[[Relation], tuple[object, ...]] | None = None,
) -> Result:
    """The answer to SHOW STREAMS or TABLES, with `facts` about the log of each if they are given."""
    rows: list[tuple[object, ...]] = []
    for relation in wanted:
        key = ", ".join(relation.key or relation.partition_key)
        origin = "query" if relation.has_query else "errors" if relation.errors_of is not None else "source"
        origin = "files" if relation.files is not None else "assertion" if relation.reaction is not None else origin
        row = (relation.name, origin, key or None, relation.partitions, row_count(relation))
        rows.append(row if facts is None else (*row, *facts(relation)))
    names = ("name", "from", "key", "partitions", "rows", *(() if facts is None else log_facts.NAMES))
    return _result(names, rows, frozenset({"partitions", "rows"}) | log_facts.NUMBERS)


def asserted(wanted: list[Relation], counts: Mapping[int, int | None], log: Log, version: int | None = None) -> Result:
    """The answer to SHOW ASSERTIONS, given how many rows violate each."""
    return _result(assertions.NAMES, assertions.shown(wanted, counts, log, version), assertions.NUMBERS)


def describe_assertion(
    relation: Relation, catalog: Catalog, rows: int | None, log: Log, version: int | None = None
) -> Result:
    """The answer to DESCRIBE ASSERTION, given how many rows violate it."""
    return _result(("property", "value"), assertions.facts(relation, catalog, rows, log, version))


def seen(what: str, catalog: Catalog, count_errors: Callable[[Relation], int]) -> list[Relation]:
    """What SHOW STREAMS or TABLES has: nothing private to an instance, and error streams if there are errors."""
    wanted = [r for r in catalog.ordered() if f"{r.kind}S" == what]
    if what == "STREAMS":
        wanted += [r for r in catalog.error_streams() if count_errors(r)]
    return [r for r in wanted if not catalog.is_private(r.name)]


def _groups(pipeline: Pipeline) -> Result:
    """How far each consumer group has read, and how many records it has before it."""
    log = pipeline.log
    names = {relation.id: relation.name for relation in pipeline.catalog.ordered()}
    rows: list[tuple[object, ...]] = []
    for group in (name for name in log.groups() if not name.startswith((FILE_GROUP, CHECK_GROUP))):
        for (stream, partition), offset in sorted(log.group_offsets(group).items()):
            lag = max(0, log.ends(stream).get(partition, 0) - offset)
            rows.append((group, log.generation(group), names.get(stream), partition, offset, lag))
    columns = ("group", "generation", "stream", "partition", "next offset", "lag")
    return _result(columns, rows, frozenset({"generation", "partition", "next offset", "lag"}))


def _queues(pipeline: Pipeline) -> Result:
    """What each queue hands out, how many records it has not handed out yet, and how many it waits for."""
    log = pipeline.log
    rows: list[tuple[object, ...]] = []
    for relation in queues_seen(pipeline.catalog):
        assert relation.queue is not None
        stream = relation.queue.stream
        read, starts = log.group_offsets(group_of(relation)), log.starts(stream)
        waiting = sum(
            end - max(read.get((stream, partition), 0), starts.get(partition, 0))
            for partition, end in log.ends(stream).items()
        )
        held = _row_count(relation, pipeline)
        rows.append((relation.name, pipeline.catalog.by_id(stream).name, waiting, held))
    return _result(("queue", "stream", "waiting", "held"), rows, frozenset({"waiting", "held"}))


def _row_count(relation: Relation, pipeline: Pipeline) -> int | None:
    if relation.is_stream:
        return pipeline.log.row_count(relation.id) - pipeline.log.start(relation.id).rows
    with pipeline.lock:
        if relation.id in pipeline.stopped:
            return None  # it would have to be computed
        return pipeline.circuit.row_count(relation.content())


def queries(rows: list[tuple[object, ...]]) -> Result:
    """The answer to SHOW QUERIES with such rows."""
    return _result(query_facts.NAMES, rows, query_facts.NUMBERS)


def described(relation: Relation, facts: Sequence[tuple[str, str]]) -> Result:
    """The answer to DESCRIBE of a relation: its columns, and facts about it."""
    rows: list[tuple[object, ...]] = []
    for column in relation.columns:
        roles = []
        if column.name in relation.primary_key:
            roles.append("PRIMARY KEY")
        elif column.name in (relation.key or ()) or column.name in relation.partition_key:
            roles.append("KEY")
        if column.name == relation.timestamp:
            roles.append("event time")
        rows.append((column.name, column.type, ", ".join(roles) or None))
    return _result(("column", "type", "role"), rows + [(f"· {name}", value, None) for name, value in facts])


def _describe(relation: Relation, extended: bool, apart: Apart, of_files: Facts) -> Result:
    if not extended:
        return described(relation, [])
    pipeline = apart.of(relation)
    relation = relation.seen_from(relation.clock)
    facts = [("kind", relation.kind), ("definition", relation.definition)]
    facts.append(("partitions", str(relation.partitions)))
    if relation.is_stream:
        facts += [(f"end of partition {p}", str(end)) for p, end in sorted(pipeline.log.ends(relation.id).items())]
    if relation.files is not None:
        facts += of_files(relation)
    if not relation.is_derived:
        facts += violations.facts(relation, pipeline.catalog, violations.counted(relation, pipeline.log))
    if relation.plan is not None:
        apart.main.catch_up()
        facts += query_facts.facts(relation, pipeline)
        if relation.reaction is not None:
            facts += assertions.facts(relation, pipeline.catalog, _row_count(relation, pipeline), pipeline.log)
        facts += [("plan", line) for line in explain_plan(relation.plan).splitlines()]
    return described(relation, facts)


def describe_view(view: View, columns: tuple[Column, ...], extended: bool) -> Result:
    """The answer to DESCRIBE of a view with such columns."""
    rows: list[tuple[object, ...]] = [(column.name, column.type, None) for column in columns]
    facts = [("· kind", "VIEW", None), ("· definition", view.definition, None)]
    return _result(("column", "type", "role"), [*rows, *facts] if extended else rows)


def describe_function(name: syntax.Identifier, catalog: Catalog) -> Result:
    """The answer to DESCRIBE FUNCTION. Raises UnknownName."""
    return _result(("property", "value"), functions.facts(functions.find(name, catalog), catalog))


_ONE_ROW = pa.RecordBatch.from_arrays([pa.nulls(1)], names=[""])


def inserted_rows(statement: syntax.Insert, relation: Relation, known: Mapping[str, Function]) -> pa.RecordBatch:
    """The rows of INSERT … VALUES with the relation's types, where `known` are the functions of users.

    Raises TypeProblem at the value that does not fit.
    """
    body = with_duckdb_calls(statement.query.body, known)
    assert isinstance(body, syntax.Values)
    targets = targets_of(statement.columns, relation) if statement.columns else relation.columns
    for row in body.rows:
        if len(row) != len(targets):
            at = row[-1].span if len(row) <= len(targets) else row[len(targets)].span
            raise SqlError(
                f"{len(row)} values for {len(targets)} columns",
                at,
                hint=f"columns: {', '.join(c.name for c in targets)}",
            )
        for value in row:
            refuse_name(value)
    values = cast_values(body.rows, targets)
    for name in relation.not_null:
        _refuse_null(values, body, statement, name, targets)
    rows = {column.name: values.column(i) for i, column in enumerate(targets)}
    wanted = [*relation.columns, *(c for c in targets if c.name == ROWTIME)]
    schema = arrow_schema(wanted)
    arrays = [rows[f.name] if f.name in rows else pa.nulls(values.num_rows, f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def refuse_name(value: syntax.Expression) -> None:
    """Raises SqlError for a value that is not one: a name or a query."""
    for name in names_in(value):
        text = name.parts[-1].text
        raise SqlError(f'"{text}" is not a value', name.span, hint=f"write a string as '{text}'")
    for node in syntax.walk(value):
        if isinstance(node, syntax.Subquery | syntax.Exists):
            raise Unsupported("a query inside VALUES is not supported yet", node.span)


def cast_values(rows: tuple[tuple[syntax.Expression, ...], ...], targets: tuple[Column, ...]) -> pa.RecordBatch:
    """Rows of values with the types of `targets`, as columns c0, c1 … Raises TypeProblem at one that does not fit."""
    if len(rows) == 1:
        quick = values_of([(v, c.type) for v, c in zip(rows[0], targets, strict=True)], (), _ONE_ROW)
        if quick is not None:
            return pa.RecordBatch.from_arrays(quick, names=[f"c{i}" for i in range(len(targets))])
    items = ", ".join(f"CAST(c{i} AS {c.type}) AS c{i}" for i, c in enumerate(targets))
    names = ", ".join(f"c{i}" for i in range(len(targets)))
    values = ", ".join("(" + ", ".join(unparse(v) for v in row) + ")" for row in rows)
    try:
        table = connection().sql(f"SELECT {items} FROM (VALUES {values}) AS v({names})").to_arrow_table()
    except duckdb.Error:
        raise_interrupt()
        # Values of one column may have different types, or one may not fit: take them one by one.
        columns = [[_cast_value(row[i], c) for row in rows] for i, c in enumerate(targets)]
        table = pa.table([pa.concat_arrays(column) for column in columns], names=[f"c{i}" for i in range(len(targets))])
    return pa.RecordBatch.from_arrays([c.combine_chunks() for c in table.columns], names=table.column_names)


def _cast_value(value: syntax.Expression, column: Column) -> pa.Array:
    try:
        table = connection().sql(f"SELECT CAST({unparse(value)} AS {column.type}) AS c").to_arrow_table()
    except duckdb.Error as error:
        raise_interrupt()
        if function_that_raised(error) is not None:
            raise SqlError(cause_of(error), value.span) from error
        message = f'cannot read {with_users_names(unparse(value))} as {column.type} for column "{column.name}"'
        raise TypeProblem(message, value.span) from error
    return table.column(0).combine_chunks()


def _refuse_null(
    values: pa.RecordBatch, body: syntax.Values, statement: syntax.Insert, name: str, targets: tuple[Column, ...]
) -> None:
    place = next((i for i, c in enumerate(targets) if c.name == name), None)
    if place is None:
        raise NullRefused(
            f'column "{name}" cannot be NULL and is not given', statement.span, hint=f"name {name} in INSERT INTO …"
        )
    for number, valid in enumerate(values.column(place).is_valid().to_pylist()):
        if not valid:
            raise NullRefused(f'column "{name}" cannot be NULL', body.rows[number][place].span)
