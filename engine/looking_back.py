"""SHOW and DESCRIBE as of a point of the database: what there was, and how it was defined."""

from __future__ import annotations

from headwater.engine import query_facts, statements
from headwater.engine.components_shown import describe_component, show_components
from headwater.engine.definitions import columns_of_view
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.engine.stops import stops_of
from headwater.errors import HeadwaterError, SqlError, Unsupported
from headwater.parser import parse_statement, quote, syntax
from headwater.planner import Catalog, Relation, explain_plan
from headwater.planner.assertions import find_assertion

Looking = syntax.Show | syntax.Describe


def answer(statement: Looking, pipeline: Pipeline, reader: Reader) -> Result:
    """The answer to SHOW or DESCRIBE as of a point. Raises OutOfRange for one that is not there."""
    as_of = statement.as_of
    assert as_of is not None
    pipeline.catch_up()
    with pipeline.lock:
        points = reader.points()
        version = points.version(as_of)
        if version is None:
            raise SqlError(
                "what there was is asked as of a point of the database, and this counts records of a stream or table",
                as_of.span, hint="AS OF VERSION n, AS OF TIMESTAMP '…' or AS OF '5 minutes ago'",
            )  # fmt: skip
        catalog = reader.catalogs.at(version)
    if isinstance(statement, syntax.Describe):
        return _described(statement, catalog, points.catalog(as_of), version, pipeline, reader)
    if statement.extended:
        raise Unsupported(
            "EXTENDED tells of files as they are now, not of the past", as_of.span, hint="leave out EXTENDED, or AS OF"
        )
    return _shown(statement, as_of, catalog, version, pipeline, reader)


def _shown(
    statement: syntax.Show, as_of: syntax.AsOf, catalog: Catalog, version: int, pipeline: Pipeline, reader: Reader
) -> Result:
    match statement.what:
        case "STREAMS" | "TABLES":
            wanted = statements.seen(statement.what, catalog, lambda r: pipeline.log.row_count(r.id, version))
            return statements.relations(wanted, lambda relation: _row_count(relation, version, reader))
        case "VIEWS" | "TYPES" | "FUNCTIONS":
            return statements.named(statement.what, catalog)
        case "ASSERTIONS":
            wanted = [r for r in catalog.ordered() if r.reaction is not None]
            counts = {relation.id: _row_count(relation, version, reader) for relation in wanted}
            return statements.asserted(wanted, counts, pipeline.log, version)
        case "QUERIES":
            return statements.queries(_queries(catalog, version, pipeline))
        case "SCHEMAS" | "PIPELINES":
            return show_components(statement.what, catalog)
    raise Unsupported(f"SHOW {statement.what} AS OF is not supported", as_of.span, hint="leave out AS OF")


def _row_count(relation: Relation, version: int, reader: Reader) -> int | None:
    """How many rows a relation had; None if nobody can tell any more."""
    query = parse_statement(f"SELECT count(*) FROM {quote(relation.name)} AS OF VERSION {version}")
    assert isinstance(query, syntax.Query)
    try:
        ((count,),) = reader.query(query).fetchall()
    except HeadwaterError:
        return None
    return int(count)


def _queries(catalog: Catalog, version: int, pipeline: Pipeline) -> list[tuple[object, ...]]:
    """Values for `query_facts.NAMES`; what a query held then is not known."""
    clocks = {relation.clock for relation in catalog.ordered()}
    stops = {id: s for clock in clocks for id, s in stops_of(pipeline.log, catalog.in_clock(clock), version).items()}
    rows: list[tuple[object, ...]] = []
    for relation in (r for r in catalog.ordered() if r.has_query):
        stop = stops.get(relation.id)
        facts = {
            "name": relation.name,
            "kind": relation.kind,
            "status": "running" if stop is None else stop.state,
            "state limit": relation.state_limit,
            "cause": None if stop is None else stop.cause,
            "query": relation.definition,
        }
        rows.append(tuple(facts.get(name) for name in query_facts.NAMES))
    return rows


def _described(
    statement: syntax.Describe, catalog: Catalog, known: Catalog, version: int, pipeline: Pipeline, reader: Reader
) -> Result:
    """DESCRIBE of what was in `catalog`; `known` is what names meant in its queries."""
    if statement.kind == "FUNCTION":
        return statements.describe_function(statement.name, catalog)
    if statement.kind in ("PIPELINE", "INSTANCE"):
        return describe_component(statement, catalog)
    if statement.kind == "ASSERTION":
        relation = find_assertion(statement.name, catalog)
        rows = _row_count(relation, version, reader)
        return statements.describe_assertion(relation, catalog, rows, pipeline.log, version)
    view = catalog.view(statement.name)
    if view is not None:
        return statements.describe_view(view, columns_of_view(view, known, reader), statement.extended)
    relation = catalog.find(statement.name, queries=True)
    if not statement.extended:
        return statements.described(relation, [])
    facts = [("kind", relation.kind), ("definition", relation.definition), ("partitions", str(relation.partitions))]
    if relation.is_stream:
        ends = pipeline.log.ends(relation.id, version)
        facts += [(f"end of partition {p}", str(end)) for p, end in sorted(ends.items())]
    if relation.query_plan is not None:
        facts += [("plan", line) for line in explain_plan(relation.query_plan).splitlines()]
    return statements.described(relation, facts)
