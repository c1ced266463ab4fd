"""CREATE STREAM | TABLE: from the statement to the relation that the catalog will hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from headwater.errors import SqlError, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import syntax, unparse
from headwater.planner.bind import BoundQuery, bind_query
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.checks import Check, checks_of, clauses_of, with_checks
from headwater.planner.error_streams import error_stream_id, refuse_circle, target_of
from headwater.planner.file_sources import file_source
from headwater.planner.from_items import CARRIED
from headwater.planner.logical import Plan, Project, Silence, StreamOutput, TemporalFilter, walk_plan
from headwater.planner.properties import (
    OF_ANY_LOG,
    OF_QUERIES,
    PROPERTIES,
    Properties,
    has_own_clock,
    idle_timeout_us,
    log_options,
    partitions,
    read_properties,
    state_limit,
    timestamp_format,
)
from headwater.planner.rewrite import out_of_order
from headwater.planner.sql_types import normal_type
from headwater.planner.starts import START
from headwater.values import PSEUDO_COLUMNS, WINDOWEND, WINDOWSTART, Column

TIME_TYPES = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE", "BIGINT", "VARCHAR")


def define(statement: syntax.CreateRelation, catalog: Catalog) -> Relation:
    """The relation that `statement` makes, whatever it replaces. Raises SqlError; the catalog is not changed."""
    statement = replace(statement, or_replace=False)
    properties = read_properties(statement)
    if statement.query is None:
        return _source(statement, catalog, properties)
    return _derived(statement, statement.query, catalog, properties)


def _source(statement: syntax.CreateRelation, catalog: Catalog, properties: Properties) -> Relation:
    for name in OF_QUERIES & properties.keys():
        raise SqlError(f"{name} is about a continuous query", properties[name].span, hint="write AS SELECT … behind it")
    columns = tuple(column_of(c) for c in statement.columns)
    _refuse_repeated(statement)
    primary_key = tuple(c.name.text for c in statement.columns if c.primary_key)
    key = tuple(c.name.text for c in statement.columns if c.key)
    if statement.kind == "STREAM" and primary_key:
        at = next(c.span for c in statement.columns if c.primary_key)
        raise SqlError("a stream has no PRIMARY KEY: it keeps every row", at, hint="write KEY, or CREATE TABLE")
    if statement.kind == "TABLE" and key:
        at = next(c.span for c in statement.columns if c.key)
        raise SqlError("the key of a table is its PRIMARY KEY", at, hint="write PRIMARY KEY")
    _refuse_ledger(statement, columns, properties)
    files = file_source(statement, properties)
    not_null = tuple(c.name.text for c in statement.columns if c.not_null or c.primary_key)
    checks = checks_of(clauses_of(statement), statement.name.text, columns, not_null, catalog)
    if files is not None:
        _refuse_other_than_fail(checks, statement)
    return Relation(
        name=statement.name.text,
        id=catalog.next_id,
        kind=statement.kind,
        columns=columns,
        definition=unparse(statement),
        partition_key=primary_key or key,
        primary_key=primary_key,
        not_null=not_null,
        checks=checks,
        timestamp=_timestamp(statement, columns, properties),
        timestamp_format=timestamp_format(properties),
        partitions=partitions(properties),
        log=log_options(properties),
        files=files,
        errors_into=None if files is None else error_stream_id(catalog.next_id),
    )


def _derived(
    statement: syntax.CreateRelation, query: syntax.Query, catalog: Catalog, properties: Properties
) -> Relation:
    for name in (PROPERTIES - OF_ANY_LOG - OF_QUERIES) & properties.keys():
        raise Unsupported(f"{name} is taken over from the source of a continuous query", properties[name].span)
    if START in properties:
        raise Unsupported("a point to begin at is found where a query is made, not here", properties[START].span)
    is_stream = statement.kind == "STREAM"
    outside, clock = catalog, catalog.next_id if has_own_clock(properties) else catalog.clock
    catalog = catalog.in_clock(clock)
    idle_us = idle_timeout_us(properties)
    bound = bind_query(query, catalog, as_table=not is_stream, as_stream=is_stream, idle_us=idle_us)
    if idle_us is not None and not any(isinstance(node, Silence) for node in walk_plan(bound.plan)):
        raise SqlError(
            "idle_timeout closes windows, and this query has no WINDOW", properties["idle_timeout"].span,
            hint="leave it out, or add WINDOW TUMBLING (SIZE …) after FROM",
        )  # fmt: skip
    if any(c.name.upper() in PSEUDO_COLUMNS for c in bound.columns):
        raise TypeProblem(
            "ROWTIME, ROWPARTITION and ROWOFFSET need another name as a column of a stream or table",
            query.span, hint="write ROWTIME AS time",
        )  # fmt: skip
    refuse_limit(bound, query)
    if is_stream and not bound.is_stream:
        raise SqlError(
            why_table(bound.plan), statement.name.span,
            hint=way_out(query, f"write CREATE TABLE {statement.name.text} AS …"),
        )  # fmt: skip
    _refuse_ledger(statement, bound.columns, properties)
    clause = statement.on_error
    target = target_of(clause, catalog)
    own = error_stream_id(catalog.next_id) if clause is None else None
    checks = checks_of(clauses_of(statement), statement.name.text, bound.columns, (), catalog)
    relation = Relation(
        name=statement.name.text,
        id=catalog.next_id,
        kind=statement.kind,
        columns=bound.columns,
        definition=unparse(statement),
        partitions=bound.partitions if is_stream else _source_partitions(bound, catalog),
        plan=with_checks(_output(bound, catalog.next_id, statement), checks),
        reads=(*bound.reads, *bound.views, *bound.functions),
        log=log_options(properties),
        on_error=reaction_of(clause),
        errors_into=own if target is None else target.id,
        state_limit=state_limit(properties),
        checks=checks,
        clock=clock,
    )
    refuse_circle(relation, [*([clause] if clause else []), *clauses_of(statement)], catalog)
    return relation.seen_from(outside.clock)


def _refuse_other_than_fail(checks: tuple[Check, ...], statement: syntax.CreateRelation) -> None:
    """Raises Unsupported for a row of a file that would go elsewhere than into the error stream of its stream."""
    for check, clause in zip(checks, clauses_of(statement), strict=True):
        if check.action != "FAIL":
            raise Unsupported(
                "a row of a file that violates a CHECK goes where all go that the stream cannot have", clause.span,
                hint=f"leave out ON VIOLATION: it is in {statement.name.text}_errors",
            )  # fmt: skip


def _refuse_ledger(statement: syntax.CreateRelation, columns: tuple[Column, ...], properties: Properties) -> None:
    """Raises SqlError for a ledger of what is not hashed."""
    if not log_options(properties).ledger:
        return
    at = properties["ledger"].span
    if statement.kind == "TABLE":
        raise SqlError(
            "a ledger is a stream: the rows of a table change", at,
            hint=f"CREATE STREAM {statement.name.text} …; STATE ROOT OF gives a hash of what a table has",
        )  # fmt: skip
    united = next((column for column in columns if "UNION(" in column.type), None)
    if united is not None:
        raise Unsupported(f'a ledger with a UNION ("{united.name}") is not supported yet', at)


def refuse_limit(bound: BoundQuery, query: syntax.Query) -> None:
    """Raises Unsupported for a LIMIT of rows that have no order."""
    if bound.limit is not None:
        raise Unsupported("LIMIT without ORDER BY does not say what rows to keep", query.span, hint="add ORDER BY")


def reaction_of(clause: syntax.OnError | None) -> Literal["INSERT", "SKIP", "FAIL"]:
    """What a query does about rows on which it fails."""
    match clause:
        case syntax.OnError(action="SKIP"):
            return "SKIP"
        case syntax.OnError(action="FAIL"):
            return "FAIL"
    return "INSERT"


def why_table(plan: Plan) -> str:
    """Why the rows of a query are not a stream."""
    if any(isinstance(node, TemporalFilter) and node.is_final and node.visible_until for node in walk_plan(plan)):
        return "RETENTION takes windows away again, so the result is a table"
    if not plan.append_only:
        return "this query changes rows that it has given, so its result is a table"
    return "the rows of streams that are joined have no order of their own, so the result is a table"


def way_out(query: syntax.Query, otherwise: str) -> str:
    """What to write instead of a stream that would be a table."""
    if isinstance(query.body, syntax.Select) and query.body.window is not None:
        if query.emit != "FINAL":
            return f"end it with EMIT FINAL, for each window once when it has closed, or {otherwise}"
        if query.body.window.retention_us is not None:
            return f"leave out RETENTION, or {otherwise}"
    return otherwise


def _output(bound: BoundQuery, id: int, statement: syntax.CreateRelation) -> Plan:
    if not bound.is_stream:
        return bound.plan
    assert isinstance(bound.plan, Project)
    items = bound.plan.items
    if statement.kind == "STREAM":
        named = tuple((CARRIED.get(name, name), expression) for name, expression in items)
        return StreamOutput(Project(bound.plan.source, named), id, statement.name.text)
    return Project(out_of_order(bound.plan.source), tuple(item for item in items if item[0] not in CARRIED))


def _source_partitions(bound: BoundQuery, catalog: Catalog) -> int:
    """A table is said to have the partitions of what it is computed from."""
    return max((r.partitions for r in catalog.relations.values() if r.id in bound.reads), default=1)


def column_of(definition: syntax.ColumnDefinition) -> Column:
    """The column that is defined. Raises SqlError for a name or a type that cannot be."""
    name = definition.name.text
    if name.upper() in (*PSEUDO_COLUMNS, WINDOWSTART, WINDOWEND) or name.startswith("$"):
        raise SqlError(f'"{name}" is the name of a pseudo-column', definition.name.span, hint="choose another name")
    try:
        return Column(name, normal_type(definition.type))
    except TypeProblem as error:
        error.span = definition.span
        raise


def _refuse_repeated(statement: syntax.CreateRelation) -> None:
    seen: set[str] = set()
    for definition in statement.columns:
        if definition.name.text.lower() in seen:
            raise SqlError(f'column "{definition.name.text}" is named twice', definition.name.span)
        seen.add(definition.name.text.lower())


def _timestamp(statement: syntax.CreateRelation, columns: tuple[Column, ...], properties: Properties) -> str | None:
    item = properties.get("timestamp")
    if item is None:
        return None
    if statement.kind == "TABLE":
        raise Unsupported("a table has no event time", item.span, hint="make it a stream")
    column = next((c for c in columns if c.name.lower() == item.value.lower()), None)
    if column is None:
        hint = suggestion(item.value, (c.name for c in columns), "columns")
        raise UnknownName(f'there is no column "{item.value}"', item.span, hint=hint)
    if column.type not in TIME_TYPES:
        raise TypeProblem(
            f'the event time "{column.name}" is {column.type}', item.span,
            hint="use TIMESTAMP, TIMESTAMPTZ, DATE, VARCHAR, or BIGINT for milliseconds since 1970",
        )  # fmt: skip
    return column.name
