"""INSERT INTO stream SELECT …: a query that goes on, and puts its rows where users put theirs.

It is a relation of the kind QUERY: nobody reads it, as its rows are records of the stream. To that they are fitted by
casts of the plan, which fail like any other expression: on a row, which goes where the errors of the query go.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import Span, SqlError, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import quote, syntax, unparse
from headwater.planner.bind import BoundQuery, bind_query
from headwater.planner.catalog import Catalog, Insertion, Relation
from headwater.planner.checks import with_checks
from headwater.planner.conflicts import refuse_conflict
from headwater.planner.create import reaction_of, refuse_limit, way_out, why_table
from headwater.planner.duckdb_errors import refused_where
from headwater.planner.error_streams import error_stream_id, refuse_circle, target_of
from headwater.planner.expressions import column_expression
from headwater.planner.from_items import CARRIED
from headwater.planner.logical import EVENT_TIME, PARTITION, Expression, Project, StreamOutput
from headwater.planner.loops import circle_of
from headwater.planner.names import relations_in
from headwater.planner.properties import state_limit
from headwater.planner.sql_types import row_type_of
from headwater.planner.starts import START
from headwater.planner.targets import target_named, targets_of
from headwater.values import ROWTIME, Column

MAX_HOPS = 100  # how often rows may go round, unless the query says it
TIME_MAX_US = 1 << 62

_PROPERTIES = frozenset({"name", "feedback", "max_hops", "start", "state_limit"})
_OTHER_NAMES = {"query_id": "name"}  # ksqlDB's
_PREFIX = "INSERTQUERY_"
_DELAY = "1 step"


def goes_on(statement: syntax.Insert, catalog: Catalog) -> bool:
    """Whether an INSERT is a query that goes on, and not rows that there are now.

    It is if it puts into a stream what it reads from relations, and not from what they were at some point.
    """
    target = catalog.get(statement.relation.text)
    if target is None or not target.is_stream or isinstance(statement.query.body, syntax.Values):
        return False
    return bool(relations_in(statement.query)) and not _is_of_the_past(statement.query)


def _is_of_the_past(query: syntax.Query) -> bool:
    nodes = list(syntax.walk(query))
    points = [n.as_of for n in nodes if isinstance(n, syntax.Query | syntax.Relation)]
    points += [n.end for n in nodes if isinstance(n, syntax.Changes)]
    return any(point is not None and point.kind != "column" for point in points)


def refuse_if_once(statement: syntax.Insert) -> None:
    """Raises SqlError where an INSERT that is done once says what a query that goes on can say alone."""
    hint = "INSERT INTO stream SELECT … FROM another is one; into a table it is done once"
    own = [item for item in statement.properties if item.name.lower() in _PROPERTIES | _OTHER_NAMES.keys()]
    for node in (*own, *([statement.on_error] if statement.on_error else [])):
        what = node.name if isinstance(node, syntax.Property) else "ON ERROR"
        raise SqlError(f"{what} is about a query that goes on, and this is done once", node.span, hint=hint)


def define_insert(statement: syntax.Insert, catalog: Catalog) -> Relation:
    """The query that `statement` makes. Raises SqlError; the catalog is not changed."""
    if statement.if_version is not None:
        raise SqlError("IF VERSION is about an INSERT that is done once, and this goes on", statement.relation.span)
    if statement.on_conflict is not None:
        refuse_conflict(statement.on_conflict, catalog.find(statement.relation))
    known = _read_properties(statement)
    target = target_named(statement.relation, catalog)
    id, name = catalog.next_id, _name(known, catalog)
    bound = bind_query(statement.query, catalog, as_stream=True, names_windows=False)
    refuse_limit(bound, statement.query)
    if not bound.is_stream:
        raise SqlError(
            why_table(bound.plan).replace("result is a table", "rows are not those of a stream"), statement.query.span,
            hint=way_out(
                statement.query, f"INSERT INTO {target.name} SELECT … FROM t AS OF LATEST inserts the rows of now, once"
            ),
        )  # fmt: skip
    clause = statement.on_error
    errors = target_of(clause, catalog)
    relation = Relation(
        name=name,
        id=id,
        kind="QUERY",
        columns=target.columns,
        definition=unparse(_named(statement, name)),
        partitions=bound.partitions,
        plan=with_checks(StreamOutput(Project(bound.plan, _fitted(bound, statement, target)), id, name), target.checks),
        reads=(*bound.reads, *bound.views, *bound.functions),
        on_error=reaction_of(clause),
        errors_into=errors.id if errors is not None else error_stream_id(id) if clause is None else None,
        state_limit=state_limit(known),
        checks=target.checks,
        insertion=Insertion(target.id, _max_hops(known)),
        clock=catalog.clock,
    )
    refuse_circle(relation, [clause] if clause else [], catalog)
    _refuse_undeclared(relation, statement, catalog)
    return relation


def _read_properties(statement: syntax.Insert) -> dict[str, syntax.Property]:
    known = {}
    for item in statement.properties:
        name = _OTHER_NAMES.get(item.name.lower(), item.name.lower())
        if name not in _PROPERTIES:
            hint = suggestion(item.name, _PROPERTIES, "properties")
            raise UnknownName(f'INSERT has no property "{item.name}"', item.span, hint=hint)
        known[name] = item
    if START in known:
        raise Unsupported("a point to begin at is found where a query is made, not here", known[START].span)
    return known


def _name(known: dict[str, syntax.Property], catalog: Catalog) -> str:
    """The name that the query is given, or else the next one of its kind."""
    if "name" in known:
        return known["name"].value
    taken = (
        int(n[len(_PREFIX) :])
        for n in catalog.relations
        if n.startswith(_PREFIX.lower()) and n[len(_PREFIX) :].isdigit()
    )
    return f"{_PREFIX}{max(taken, default=0) + 1}"


def _named(statement: syntax.Insert, name: str) -> syntax.Insert:
    """The statement as the catalog keeps it: with the name, so that it has the same one whenever it is read."""
    if any(_OTHER_NAMES.get(item.name.lower(), item.name.lower()) == "name" for item in statement.properties):
        return statement
    return replace(statement, properties=(syntax.Property("name", name), *statement.properties))


def _max_hops(known: dict[str, syntax.Property]) -> int | None:
    """How often rows may go round; None for a query that is not to be part of a circle."""
    feedback, hops = known.get("feedback"), known.get("max_hops")
    if feedback is None:
        if hops is not None:
            raise SqlError("max_hops bounds a feedback", hops.span, hint=f"add feedback = '{_DELAY}'")
        return None
    if feedback.value.lower() != _DELAY:
        raise Unsupported(f"the delay of a feedback is one step: feedback = '{_DELAY}'", feedback.span)
    if hops is None:
        return MAX_HOPS
    if not hops.value.isdecimal() or not int(hops.value):
        raise SqlError(
            "max_hops is how often rows may go round, a whole number from 1 on", hops.span,
            hint="a loop without a bound could keep the database busy for ever; RESUME lets it go on from the bound",
        )  # fmt: skip
    return int(hops.value)


def _refuse_undeclared(relation: Relation, statement: syntax.Insert, catalog: Catalog) -> None:
    """Raises SqlError for a circle of queries that nobody has said is meant, or that has several clocks.

    In several clocks a round would be steps of several pipelines. What they write meets in the order in which they come
    to it, unless each waits for the others; then a clock of one's own is for nothing, as it holds everybody up.
    """
    circle = circle_of(relation, catalog)
    if circle is None:
        return
    if relation.insertion is None or relation.insertion.max_hops is None:
        raise SqlError(
            f'the rows would come back to this query: {" → ".join(circle)}', statement.relation.span,
            hint=f"if that is meant, write WITH (feedback = '{_DELAY}', max_hops = {MAX_HOPS}) behind the query; "
            "WITH RECURSIVE computes something from itself inside a query",
        )  # fmt: skip
    queries = [other for name in circle if (other := catalog.get(name)) is not None and other.has_query]
    if any(other.clock != relation.clock for other in queries):
        raise Unsupported(
            f"a loop goes round in one clock, and this one in several: {' → '.join(circle)}", statement.relation.span,
            hint="leave out clock = 'own' in what is part of the loop, or put all of it into a pipeline, and make an "
            "instance of that WITH (clock = 'own')",
        )  # fmt: skip


# ---------------------------------------------------------------- columns


def _fitted(bound: BoundQuery, statement: syntax.Insert, target: Relation) -> tuple[tuple[str, Expression], ...]:
    """The columns of the stream, and ROWTIME and ROWPARTITION, made of those that a query gives."""
    targets = targets_of(statement.columns, target) if statement.columns else target.columns
    if len(bound.columns) != len(targets):
        names = ", ".join(column.name for column in targets)
        message = f"{len(bound.columns)} values for {len(targets)} columns"
        raise SqlError(message, statement.query.span, hint=f"columns: {names}")
    given = {t.name: _cast(c, t, statement.query.span) for c, t in zip(bound.columns, targets, strict=True)}
    for name in target.not_null:
        if name not in given:
            raise SqlError(
                f'column "{name}" cannot be NULL and is not given', statement.relation.span,
                hint=f"name {name} in INSERT INTO …",
            )  # fmt: skip
    absent = {c.name: Expression(f"CAST(NULL AS {c.type})", c.type) for c in target.columns if c.name not in given}
    items = [(c.name, _kept(given.get(c.name) or absent[c.name], c, target)) for c in target.columns]
    time = column_expression(EVENT_TIME, "TIMESTAMP")
    if ROWTIME in given:
        time = _checked(given[ROWTIME], _is_far("{0}"), "ROWTIME is infinite or too far from now")
    return (
        *items,
        (ROWTIME, time),
        (CARRIED[PARTITION], column_expression(PARTITION, "INTEGER")),
    )


def _cast(given: Column, target: Column, span: Span) -> Expression:
    if given.type == target.type:
        return column_expression(given.name, given.type)
    sql = f"CAST({quote(given.name)} AS {target.type})"
    try:
        row_type_of(sql, (given,), span)
    except TypeProblem as error:
        raise TypeProblem(f'{given.name} is {given.type}, and column "{target.name}" is {target.type}', span) from error
    return Expression(sql, target.type, (given.name,))


def _kept(value: Expression, column: Column, target: Relation) -> Expression:
    """A value, or an error for one that the stream does not take."""
    if column.name == target.timestamp:
        problem = f'the event time "{column.name}" of "{target.name}" is NULL, infinite or too far from now'
        return _checked(value, f"coalesce({_is_far(_as_time(column, target))}, true)", problem)
    if column.name in target.not_null:
        return _checked(value, "{0} IS NULL", f'column "{column.name}" of "{target.name}" cannot be NULL')
    return value


def _checked(value: Expression, wrong: str, problem: str) -> Expression:
    """`value`, or an error where it is `wrong`, an expression in which {0} stands for it."""
    return Expression(refused_where(wrong.format(value.sql), problem, value.sql), value.type, value.reads)


def _is_far(time: str) -> str:
    return f"NOT isfinite({time}) OR abs(epoch_us({time})::HUGEINT) > {TIME_MAX_US}"


def _as_time(column: Column, target: Relation) -> str:
    """The event time that a column says, as it is read when rows come in."""
    match column.type:
        case "BIGINT":
            return "make_timestamp({0} * 1000)"
        case "VARCHAR" if target.timestamp_format is not None:
            return "strptime({0}, '" + target.timestamp_format.replace("'", "''").replace("{", "{{") + "')"
        case "VARCHAR":
            return "CAST(CAST({0} AS TIMESTAMPTZ) AS TIMESTAMP)"
        case _:
            return "CAST({0} AS TIMESTAMP)"
