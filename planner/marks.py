"""Subqueries as conditions anywhere in an expression: a column says whether a row has a match.

    WHERE a.x > 1 OR EXISTS (SELECT 1 FROM b WHERE b.k = a.k)
    a LEFT JOIN (SELECT DISTINCT k, true AS mark FROM b) ON b.k = a.k WHERE a.x > 1 OR mark IS NOT NULL

Where the condition is more than equalities, what the outer query has of it is joined first, each value once, and what
has a match there is then looked up by value.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from headwater.errors import SqlError
from headwater.parser import quote, syntax
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import bind_expression, column_expression
from headwater.planner.from_items import BoundItem
from headwater.planner.join_keys import KeyPair, key_pair, own_items, with_keys
from headwater.planner.joins import by_version, comparable
from headwater.planner.logical import Aggregate, Expression, Plan, Project
from headwater.planner.match_joins import distinct, lookup_join, semi_join
from headwater.planner.prune import prune
from headwater.planner.rewrite import filtered, predicate, tree_of
from headwater.planner.scope import ScopeColumn
from headwater.planner.subquery_rows import NULL, Binder, Rows, never_null, rows_of, widened
from headwater.values import Column

_TRUE, _FALSE = (syntax.Literal("boolean", word) for word in ("true", "false"))
_OPPOSITE = {"=": "<>", "<>": "=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}

Marked = tuple[BoundItem, syntax.Expression]  # the rows with a column more, and the value that it stands for


def with_exists(source: BoundItem, node: syntax.Exists, binder: Binder) -> Marked:
    """EXISTS (…) as a value, which is never NULL."""
    rows = rows_of(node.query, source, binder, node)
    return _marked(source, rows, rows.conditions)


def with_in(source: BoundItem, node: syntax.In, query: syntax.Query, binder: Binder) -> Marked:
    """`x IN (…)` as a value: NULL where no row equals x, and one would if a NULL was another value."""
    rows = rows_of(query, source, binder, node)
    pairs = compared(node, query, rows, source)
    equal = [_comparison("=", pair) for pair in pairs]
    source, value = _with_comparison(source, rows, pairs, equal)
    return source, syntax.Unary("NOT", value, span=node.span) if node.negated else value


def with_quantified(source: BoundItem, node: syntax.Quantified, query: syntax.Query, binder: Binder) -> Marked:
    """`x > ANY (…)` or `x > ALL (…)` as a value. ALL is what is not so of ANY with the opposite comparison."""
    rows = rows_of(query, source, binder, node)
    if len(rows.values) != 1:
        raise SqlError(
            f"the subquery gives {len(rows.values)} columns, and {node.quantifier} compares one", query.span,
            hint="select one",
        )  # fmt: skip
    pair = comparable(bind_expression(node.operand, source.scope), rows.values[0], node.operand)
    is_all = node.quantifier == "ALL"
    operator = _OPPOSITE[node.operator] if is_all else node.operator
    source, value = _with_comparison(source, rows, [pair], [_comparison(operator, pair)])
    return source, syntax.Unary("NOT", value, span=node.span) if is_all else value


def compared(node: syntax.In, query: syntax.Query, rows: Rows, source: BoundItem) -> list[KeyPair]:
    """What stands before IN with the columns of the subquery, each pair in the type in which it is compared."""
    operands = node.operand.items if isinstance(node.operand, syntax.Row) else (node.operand,)
    if len(operands) != len(rows.values):
        raise SqlError(
            f"the subquery gives {len(rows.values)} columns, and IN compares {len(operands)}", query.span,
            hint="select as many as stand before IN",
        )  # fmt: skip
    bound = [bind_expression(operand, source.scope) for operand in operands]
    return [comparable(own, value, at) for own, value, at in zip(bound, rows.values, operands, strict=True)]


def _with_comparison(source: BoundItem, rows: Rows, pairs: list[KeyPair], holds: list[Expression]) -> Marked:
    """Whether the conditions `holds` on the pairs hold for some row: true, false, or NULL where that is unknown."""
    source, found = _marked(source, rows, (*rows.conditions, *holds))
    unknown: list[syntax.Expression] = []
    if len(pairs) == 1:
        ((own, value),) = pairs
        if not never_null(source.plan, own):
            source, any_row = _marked(source, rows, rows.conditions)
            unknown.append(syntax.Binary("AND", _is_null(own), any_row))
        if not never_null(rows.item.plan, value):
            source, null_row = _marked(source, rows, (*rows.conditions, predicate(_is_null(value))))
            unknown.append(null_row)
    else:
        possible = [_or(_comparison("=", p), predicate(_is_null(p[0])), predicate(_is_null(p[1]))) for p in pairs]
        source, near = _marked(source, rows, (*rows.conditions, *possible))
        unknown.append(near)
    branches = [(found, _TRUE), *((condition, NULL) for condition in unknown)]
    return source, syntax.Case(None, tuple(branches), _FALSE)


def _comparison(operator: str, pair: KeyPair) -> Expression:
    own, value = pair
    return predicate(syntax.Binary(operator, tree_of(own.sql), tree_of(value.sql)))


def _is_null(value: Expression) -> syntax.Expression:
    return syntax.Unary("IS NULL", tree_of(value.sql))


def _or(*conditions: Expression) -> Expression:
    first, *others = (tree_of(condition.sql) for condition in conditions)
    for other in others:
        first = syntax.Binary("OR", first, other)
    return predicate(first)


# ---------------------------------------------------------------- marks


def _marked(source: BoundItem, rows: Rows, conditions: Iterable[Expression]) -> Marked:
    """`source` with a mark on the rows that have a match under the conditions; the value says whether it is there."""
    mark = next(name for name in map("$mark{}".format, count()) if name not in source.plan.names)
    keys: list[KeyPair] = []
    rest: list[Expression] = []
    own: list[Expression] = []
    for condition in conditions:
        pair = key_pair(condition, source.plan.columns, rows.item.plan.columns)
        if pair is not None:
            keys.append(pair)
        else:
            (own if set(condition.reads) <= set(rows.item.plan.names) else rest).append(condition)
    inner = filtered(rows.item.plan, own)
    right, joined_on = _by_value(source.plan, inner, keys, rest, mark) if rest else _by_keys(inner, keys, mark)
    then = by_version(source, rows.item)
    plan = lookup_join(source.plan, right, joined_on, by_version=then)
    column = ScopeColumn(None, mark, mark, "BOOLEAN", hidden=True)
    missing = syntax.Unary("IS NULL", syntax.Name((Identifier(mark, quoted=True),)))
    return widened(source, plan, (column,), then=then), syntax.Unary("NOT", missing)


def _by_keys(inner: Plan, keys: list[KeyPair], mark: str) -> tuple[Plan, list[KeyPair]]:
    """The distinct keys of the subquery's rows with the mark, and how they are joined."""
    inner, names = with_keys(inner, tuple(value for _, value in keys), "r")
    columns = {c.name: c for c in inner.columns}
    marks = _with_mark(distinct(inner, tuple(dict.fromkeys(names))), [columns[name] for name in names], mark)
    pairs = [(own, column_expression(f"{mark}.{i}", value.type)) for i, (own, value) in enumerate(keys)]
    return marks, pairs


def _by_value(
    outer: Plan, inner: Plan, keys: list[KeyPair], rest: list[Expression], mark: str
) -> tuple[Plan, list[KeyPair]]:
    """The values of the outer query that have a match, with the mark, and how they are joined: NULL equals NULL."""
    reads = {name for e in (*(own for own, _ in keys), *rest) for name in e.reads}
    columns = [c for c in outer.columns if c.name in reads]
    names = tuple(c.name for c in columns)
    values = prune(Aggregate(Project(outer, tuple(item for item in own_items(outer) if item[0] in reads)), names, ()))
    matched = semi_join(values, inner, keys, rest, negated=False, by_version=False)
    pairs = [(null_safe(c), null_safe(Column(f"{mark}.{i}", c.type))) for i, c in enumerate(columns)]
    return _with_mark(matched, columns, mark), pairs


def _with_mark(plan: Plan, columns: list[Column], mark: str) -> Plan:
    items = [(f"{mark}.{i}", column_expression(c.name, c.type)) for i, c in enumerate(columns)]
    return Project(plan, (*items, (mark, Expression("true", "BOOLEAN"))))


def null_safe(column: Column) -> Expression:
    """A value that equals another one where the columns do, or both are NULL."""
    return Expression(f"{{'v': {quote(column.name)}}}", f"STRUCT(v {column.type})", (column.name,))
