"""CREATE ASSERTION: from the statement to the table of the rows that violate it, which a query keeps as any other.

CHECK (NOT EXISTS (query)) is violated by the rows of the query. Any other condition is violated by one row, which is
there while the condition is false; as in a CHECK, NULL is not.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.bind import bind_query
from headwater.planner.catalog import Catalog, Reaction, Relation
from headwater.planner.error_streams import error_stream_id, sources_of
from headwater.planner.from_items import CARRIED
from headwater.planner.logical import Arrivals, CommitTimes, Now, Plan, Project, Silence, Watermark, walk_plan
from headwater.planner.rewrite import out_of_order
from headwater.values import PSEUDO_COLUMNS

HOLDS = "holds"  # the column of the row that violates a condition that is no NOT EXISTS
_TIMED = (Now, Arrivals, Silence, CommitTimes, Watermark)
_WAY_OUT = "ON VIOLATION ALERT or PAUSE can be about it"


def define_assertion(statement: syntax.CreateAssertion, catalog: Catalog) -> Relation:
    """The table of the rows that violate the assertion. Raises SqlError; the catalog is not changed."""
    query = violating(statement)
    bound = bind_query(query, catalog, as_table=True)
    if bound.limit is not None:
        raise Unsupported("LIMIT without ORDER BY does not say what rows to keep", query.span, hint="leave it out")
    if any(c.name.upper() in PSEUDO_COLUMNS for c in bound.columns):
        raise TypeProblem(
            "ROWTIME, ROWPARTITION and ROWOFFSET need another name as a column of an assertion", query.span,
            hint="write ROWTIME AS time",
        )  # fmt: skip
    plan = bound.plan
    if bound.is_stream:
        assert isinstance(plan, Project)
        items = tuple(item for item in plan.items if item[0] not in CARRIED)
        plan = Project(out_of_order(plan.source), items)
    reaction: Reaction = (
        "REJECT" if statement.action == "REJECT" else "PAUSE" if statement.action == "PAUSE" else "ALERT"
    )
    if reaction == "REJECT":
        _refuse_unforeseen(plan, catalog, statement.condition)
    return Relation(
        name=statement.name.text,
        id=catalog.next_id,
        kind="TABLE",
        columns=bound.columns,
        definition=unparse(replace(statement, or_replace=False)),
        plan=plan,
        reads=(*bound.reads, *bound.views, *bound.functions),
        errors_into=error_stream_id(catalog.next_id),
        reaction=reaction,
    )


def find_assertion(name: Identifier, catalog: Catalog) -> Relation:
    """The table of the assertion that a name refers to. Raises UnknownName with the nearest one."""
    found = catalog.get(name.text)
    if found is None or found.reaction is None:
        known = [relation.name for relation in catalog.ordered() if relation.reaction is not None]
        hint = suggestion(name.text, known, "assertions")
        raise UnknownName(f'there is no assertion "{name.text}"', name.span, hint=hint)
    return found


def violating(statement: syntax.CreateAssertion) -> syntax.Query:
    """The query whose rows violate an assertion."""
    condition = statement.condition
    match condition:
        case syntax.Unary(operator="NOT", operand=syntax.Exists(query=query)):
            return query
    if not any(isinstance(node, syntax.Subquery | syntax.Exists) for node in syntax.walk(condition)):
        raise SqlError(
            "an assertion is about the rows of streams and tables, and this names none", condition.span,
            hint="CHECK (NOT EXISTS (SELECT …)), or CHECK ((SELECT sum(x) FROM t) = 0)",
        )  # fmt: skip
    holds = syntax.Call("coalesce", (condition, syntax.Literal("boolean", "TRUE")), span=condition.span)
    item = syntax.SelectItem(syntax.Literal("boolean", "FALSE"), Identifier(HOLDS))
    where = syntax.Unary("NOT", holds, span=condition.span)
    return syntax.Query(syntax.Select((item,), where=where, span=condition.span), span=condition.span)


def paused_by(assertion: Relation, catalog: Catalog) -> list[Relation]:
    """The queries that an assertion names, and those that read a source that it names."""
    sources = {r.id for r in catalog.relations.values() if r.id in assertion.reads and not r.is_derived}
    queries = [r for r in catalog.ordered() if r.is_derived and r.reaction is None]
    return [r for r in queries if r.id in assertion.reads or sources.intersection(r.reads)]


def _refuse_unforeseen(plan: Plan, catalog: Catalog, at: syntax.Node) -> None:
    """Raises SqlError where it is not known before a commit what a plan gives after it."""
    if any(isinstance(node, _TIMED) for node in walk_plan(plan)):
        raise SqlError(
            "REJECT cannot foresee what follows from time: from now(), or from windows that close", at.span,
            hint=_WAY_OUT,
        )  # fmt: skip
    written = {id for relation in catalog.relations.values() if relation.has_query for id in relation.outlets}
    for source in (catalog.by_id(id) for id in sorted(sources_of(plan))):
        if source.id in written or source.errors_of is not None or source.has_query:
            why = "whose rows come from queries"
        elif source.files is not None:
            why = "whose rows come from files"
        elif source.queue is not None:
            why = "which is a queue"
        else:
            continue
        raise SqlError(f'REJECT cannot refuse the rows of "{source.name}", {why}', at.span, hint=_WAY_OUT)


def refuse_unguarded(relation: Relation, catalog: Catalog, at: syntax.Node) -> None:
    """Raises SqlError if a query would put rows into a stream of which an assertion refuses rows."""
    guards = [other for other in catalog.relations.values() if other.reaction == "REJECT" and other.id != relation.id]
    for guard in guards if relation.has_query else ():
        taken = next((r for r in catalog.ordered() if r.id in relation.outlets & sources_of(guard.content())), None)
        if taken is not None:
            raise SqlError(
                f'no query can put rows into "{taken.name}": the assertion "{guard.name}" could not refuse them',
                at.span, hint="put them into another stream",
            )  # fmt: skip
