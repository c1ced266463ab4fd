"""WITH RECURSIVE, bound: a query UNION [ALL] a recursive term, as a fixpoint.

The recursive term must be linear: it reads the rows so far once, and what it makes of them it makes of each row alone.
So a step can follow each changed row on its own. What is not linear is refused where it stands, as PostgreSQL does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from headwater.errors import SqlError, TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.planner.aggregates import is_grouped
from headwater.planner.expressions import column_expression
from headwater.planner.from_items import BoundItem, aliased, table_item
from headwater.planner.logical import (
    LEVEL,
    Expression,
    Filter,
    Join,
    OuterJoin,
    Plan,
    Project,
    Recursion,
    RecursiveRef,
    SemiJoin,
    Union,
    Unnest,
)
from headwater.planner.over import has_window_call
from headwater.planner.recursion_nodes import reads
from headwater.planner.scope import Scope, ScopeColumn
from headwater.values import Column

# Binds a part of the query; in the recursive term, its own name means the item that is given.
Bind: TypeAlias = Callable[[syntax.QueryBody, BoundItem | None], BoundItem]


def is_recursive(cte: syntax.CommonTable) -> bool:
    """Whether the query of WITH RECURSIVE reads itself."""
    return any(_references(cte.query, cte.name.text.lower()))


def recursive_item(cte: syntax.CommonTable, bind: Bind) -> BoundItem:
    """The rows of a query that reads itself. Raises SqlError where it says what has no fixpoint, or none that is kept.

    Names and types of its columns are those of the part that does not read itself.
    """
    name = cte.name.text
    first, term, distinct = _parts(cte)
    base = bind(first, None)
    shown = base.scope.visible()
    columns = tuple(Column(c.internal, c.type) for c in shown)
    reference = RecursiveRef(name, columns)
    scope = Scope(tuple(ScopeColumn(name, c.name, c.internal, c.type) for c in shown))
    itself = BoundItem(reference, scope, is_history=base.is_stream or base.is_history)
    body = bind(term, aliased(itself, name, cte.columns))
    own = body.scope.visible()
    if len(own) != len(columns):
        raise TypeProblem(
            f'the recursive term of "{name}" has {len(own)} columns, and what stands before UNION has {len(columns)}',
            term.span, hint="select as many on both sides",
        )  # fmt: skip
    rows = _levelled(_with_columns(body, columns), reference, term)
    plan = Recursion(name, _with_columns(base, columns), rows, distinct)
    return replace(table_item(plan), is_history=itself.is_history and body.is_history and not distinct)


def _with_columns(item: BoundItem, columns: tuple[Column, ...]) -> Project:
    """What `*` gives of an item, under these names and in these types."""
    items = []
    for column, own in zip(columns, item.scope.visible(), strict=True):
        read = column_expression(own.internal, own.type)
        if own.type != column.type:
            read = Expression(f"CAST({read.sql} AS {column.type})", column.type, read.reads)
        items.append((column.name, read))
    return Project(item.plan, tuple(items))


def _levelled(plan: Plan, reference: RecursiveRef, at: syntax.Node) -> Plan:
    """`plan`, which reads the reference, with the LEVEL of the row that each of its rows is made of.

    Raises Unsupported if it is not linear in the reference.
    """

    def below(node: Plan) -> Plan:
        return _levelled(node, reference, at)

    match plan:
        case RecursiveRef():
            return plan
        case Filter() | Unnest():
            return replace(plan, source=below(plan.source))
        case Project():
            level = (LEVEL, column_expression(LEVEL, "BIGINT"))
            return replace(plan, source=below(plan.source), items=(*plan.items, level))
        case Join(by_version=False) if reads(plan.left, reference) != reads(plan.right, reference):
            if reads(plan.left, reference):
                return replace(plan, left=below(plan.left))
            return replace(plan, right=below(plan.right))
        case SemiJoin(by_version=False) if reads(plan.source, reference):
            return replace(plan, source=below(plan.source), joined=below(plan.joined))
        case OuterJoin(by_version=False, sides=(side,)) if reads(side, reference):
            return replace(plan, joined=below(plan.joined), sides=(below(side),))
        case Union() if all(reads(source, reference) for source in plan.sources):
            return replace(plan, sources=tuple(below(source) for source in plan.sources))
    raise Unsupported(
        f'the recursive term of "{reference.name}" is more than filters, projections and joins of its rows', at.span,
        hint="do the rest in the query that reads it",
    )  # fmt: skip


# ---------------------------------------------------------------- what may stand where


def _parts(cte: syntax.CommonTable) -> tuple[syntax.QueryBody, syntax.QueryBody, bool]:
    """What stands before UNION, the recursive term, and whether duplicates go. Raises SqlError for another form."""
    name, body = cte.name.text, cte.query.body
    if not isinstance(body, syntax.SetOperation) or body.operator != "UNION":
        raise SqlError(
            f'recursive query "{name}" does not have the form query UNION [ALL] recursive term', cte.span,
            hint=f"write {name} AS (SELECT … UNION SELECT … FROM {name} …); ORDER BY goes into the query that reads it",
        )  # fmt: skip
    for clause in (cte.query.limit, cte.query.offset):
        if clause is not None:
            what = "LIMIT and OFFSET are not supported in a recursive query"
            raise Unsupported(what, clause.span, hint="bound its depth: count it in a column, and add WHERE depth < …")
    if body.by_name:
        raise Unsupported("UNION BY NAME is not supported in a recursive query", body.right.span, hint="write UNION")
    for reference in _references(body.left, name.lower()):
        raise SqlError(
            f'recursive reference to query "{name}" must not appear within its non-recursive term', reference.span,
            hint="put the recursive terms in parentheses: … UNION (… UNION ALL …)",
        )  # fmt: skip
    term = _Term(name, distinct=not body.all)
    return body.left, term.checked(body.right), term.distinct


class _Term:
    """Looks through the recursive term of a query for what is not linear."""

    def __init__(self, name: str, *, distinct: bool) -> None:
        self.name = name
        self.distinct = distinct

    def checked(self, body: syntax.QueryBody) -> syntax.QueryBody:
        """The term, or a part of it, without what makes no difference as duplicates go in the end."""
        found = list(self._references(body))
        if not found:
            raise SqlError(
                f'this part of the recursive term does not read "{self.name}"', body.span,
                hint="put it before UNION, with what does not either",
            )  # fmt: skip
        match body:
            case syntax.Query():
                return replace(body, body=self.checked(body.body)) if not body.ctes else body
            case syntax.SetOperation(operator="UNION") if body.all or self.distinct:
                return replace(body, left=self.checked(body.left), right=self.checked(body.right), all=True)
            case syntax.Select():
                self._select(body)
                return replace(body, distinct=body.distinct and not self.distinct)
        operator = body.operator if isinstance(body, syntax.SetOperation) else "VALUES"
        raise self._refused(f"within {operator}", found[0])

    def _select(self, select: syntax.Select) -> None:
        if is_grouped(select):
            grouping = next(iter(select.group_by), select.having or select)
            raise Unsupported(
                "aggregate functions are not allowed in a recursive query's recursive term", grouping.span,
                hint=f'aggregate in the query that reads "{self.name}"',
            )  # fmt: skip
        if has_window_call((select.items, select.qualify)):
            raise Unsupported(
                "window functions, ORDER BY and LIMIT are not supported in a recursive query's recursive term",
                select.span, hint=f'put them into the query that reads "{self.name}"',
            )  # fmt: skip
        if select.distinct and not self.distinct:
            raise Unsupported(
                "DISTINCT is not supported in a recursive query's recursive term", select.span,
                hint="write UNION instead of UNION ALL",
            )  # fmt: skip
        for reference in self._references(replace(select, source=None)):
            raise self._refused("within a subquery", reference)
        assert select.source is not None, "what reads nothing was refused"
        for reference in list(self._references(select.source))[1:]:
            raise self._refused("more than once", reference)
        self._from_item(select.source)

    def _from_item(self, item: syntax.FromItem) -> None:
        match item:
            case syntax.Derived() if any(self._references(item)):
                _Term(self.name, distinct=False).checked(item.query)
            case syntax.Join():
                for side, place in _not_linear_sides(item):
                    for reference in self._references(side):
                        raise self._refused(place, reference)
                self._from_item(item.left)
                self._from_item(item.right)

    def _references(self, node: syntax.Node) -> Iterator[syntax.Relation]:
        return _references(node, self.name.lower())

    def _refused(self, where: str, reference: syntax.Relation) -> Unsupported:
        return Unsupported(
            f'recursive reference to query "{self.name}" must not appear {where}', reference.span,
            hint=f'read "{self.name}" once in FROM, joined with other relations',
        )  # fmt: skip


def _not_linear_sides(join: syntax.Join) -> list[tuple[syntax.FromItem, str]]:
    """The sides of a join of which a row can make others go, and what that is called."""
    outer, right = "within an outer join", f"on the right side of {join.kind} JOIN"
    match join.kind:
        case "LEFT":
            return [(join.right, outer)]
        case "RIGHT":
            return [(join.left, outer)]
        case "FULL":
            return [(join.left, outer), (join.right, outer)]
        case "SEMI" | "ANTI":
            return [(join.right, right)]
    return []


def _references(node: syntax.Node, name: str) -> Iterator[syntax.Relation]:
    """The places that read the query called `name`, which is in lower case; not those that mean another by it."""
    if isinstance(node, syntax.Relation) and node.name.text.lower() == name:
        yield node
    if isinstance(node, syntax.Query) and any(cte.name.text.lower() == name for cte in node.ctes):
        return
    for child in syntax.children(node):
        yield from _references(child, name)
