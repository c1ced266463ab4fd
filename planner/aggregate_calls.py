"""Binding of aggregate calls: each is folded where an accumulator can keep it, else computed again by DuckDB.

An aggregate that is computed again must not depend on how DuckDB comes across the rows of a group. So those in which
their order shows need ORDER BY; for all others PLACE, the place of a row in an order of all columns, is the last word.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import TypeProblem, Unsupported
from headwater.parser import syntax, unparse
from headwater.parser.quoting import quote_function
from headwater.parser.syntax import Identifier, OrderItem
from headwater.planner.expressions import bind_expression, bind_predicate
from headwater.planner.logical import PLACE, AggregateCall, Expression, RecomputedCall
from headwater.planner.names import names_in
from headwater.planner.scope import Scope
from headwater.planner.sql_types import AGGREGATE_MACROS, aggregate_functions, type_of
from headwater.planner.user_functions import carrier, declared, is_user_aggregate, rows_in_call
from headwater.values import ROWOFFSET, ROWPARTITION, Column

_FOLDED = {
    "avg": "avg",
    "count": "count",
    "count_star": "count",
    "max": "max",
    "mean": "avg",
    "min": "min",
    "sum": "sum",
}
_SUMMABLE = "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT BOOLEAN FLOAT DOUBLE".split()
_NOT_ORDERED = ("STRUCT", "MAP", "UNION", "BIT")

# Aggregates whose value shows the order of the rows.
_OF_ORDER = frozenset("approx_top_k array_agg first group_concat last list listagg string_agg".split())

# Aggregates that take the first row of several that are as good.
_OF_FIRST = frozenset(
    "any_value approx_quantile arbitrary arg_max arg_max_null arg_max_nulls_last arg_min arg_min_null "
    "arg_min_nulls_last argmax argmin lttb max_by min_by mode".split()
)

# Aggregates for which the order of the rows is of no account at all, not even for rounding.
_UNORDERED = frozenset(
    "approx_count_distinct bit_and bit_or bit_xor bitstring_agg bool_and bool_or count count_if countif histogram "
    "histogram_exact mad max median min quantile quantile_cont quantile_disc regr_count".split()
)

_RANDOM = frozenset({"reservoir_quantile"})


def is_aggregate(node: syntax.Node) -> bool:
    """Whether `node` is the call of an aggregate, and no window function."""
    if not isinstance(node, syntax.Call) or node.over is not None:
        return False
    return bool(node.within_group) or node.name.lower() in aggregate_functions() or is_user_aggregate(node)


def is_grouping_call(node: syntax.Node) -> bool:
    """Whether `node` is GROUPING(…), which says by which keys a row is grouped."""
    return isinstance(node, syntax.Call) and node.name.lower() in ("grouping", "grouping_id")


def has_aggregate(node: syntax.Node) -> bool:
    """Whether an aggregate or GROUPING(…) stands in syntax, subqueries left out."""
    if isinstance(node, syntax.Subquery | syntax.Exists):
        return False
    return is_aggregate(node) or is_grouping_call(node) or any(has_aggregate(child) for child in syntax.children(node))


class AggregateCalls:
    """Collects the aggregate calls of a SELECT, each once, and in `arguments` the columns that they read."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.arguments: dict[str, Expression] = {}
        self.folded: dict[str, AggregateCall] = {}
        self.recomputed: dict[str, RecomputedCall] = {}

    def column(self, call: syntax.Call) -> str:
        """The result column of `call`."""
        if is_user_aggregate(call):
            return self._of_user(call)
        _refuse(call)
        star = bool(call.arguments) and isinstance(call.arguments[0], syntax.Star)
        if star:
            call = replace(call, arguments=())
        function = _FOLDED.get(call.name.lower())
        if function == "count" and not call.arguments:
            return self._fold(function, None, call)
        if star:
            raise TypeProblem(f"{call.name}() takes no *", call.span, hint="name a column")
        if function is not None and len(call.arguments) == 1 and not call.within_group:
            argument = bind_expression(call.arguments[0], self.scope)
            if _can_fold(function, argument.type):
                return self._fold(function, argument, call)
        return self._recompute(call)

    def _fold(self, function: str, argument: Expression | None, call: syntax.Call, type_name: str | None = None) -> str:
        distinct = call.distinct and function not in ("min", "max")
        if call.filter is not None:
            argument = _filtered(argument, bind_predicate(call.filter, self.scope, "FILTER"))
        name = f"{function}({'DISTINCT ' if distinct else ''}{argument.sql if argument else '*'})"
        if name not in self.folded:
            column = None if argument is None else self._read(argument)
            if argument is None:
                type_name = "BIGINT"
            elif type_name is None:
                type_name = type_of(f"{function}(a)", (Column("a", argument.type),), call.span)
            self.folded[name] = AggregateCall(name, function, column, type_name, distinct)
        return name

    def _of_user(self, call: syntax.Call) -> str:
        """A user's aggregate, which is a function of the list of the rows: folded if it can take rows back."""
        function = declared(call.name)
        assert function is not None
        rows, is_unordered = rows_in_call(call)
        row = bind_expression(rows.arguments[0], self.scope)
        type_of(f"{quote_function(function.internal)}(r)", (Column("r", f"{row.type}[]"),), call.span)
        if not (function.is_incremental and is_unordered):
            return self._recompute(rows, call)
        cast = Expression(f"CAST({row.sql} AS {function.row_type})", function.row_type, row.reads)
        return self._fold(function.internal, cast, rows, carrier(function.returns))

    def _recompute(self, call: syntax.Call, around: syntax.Call | None = None) -> str:
        """`call` as DuckDB computes it, or `around`, a function of it."""
        if call.filter is not None:
            bind_predicate(call.filter, self.scope, "FILTER")
        bound = replace(
            call,
            arguments=tuple(self._column(a) for a in call.arguments),
            order_by=self._items(call.order_by),
            within_group=self._items(call.within_group),
            filter=None if call.filter is None else self._column(call.filter),
        )
        bound = replace(bound, order_by=self._order(bound))
        sql = unparse(bound if around is None else replace(around, arguments=(bound,)))
        if sql not in self.recomputed:
            reads = tuple(dict.fromkeys(name.parts[0].text for name in names_in(bound)))
            columns = tuple(Column(n, self.arguments[n].type) for n in reads if n != PLACE)
            type_name = type_of(sql, (*columns, Column(PLACE, "BIGINT")), call.span)
            self.recomputed[sql] = RecomputedCall(sql, type_name, reads)
        return sql

    def _order(self, call: syntax.Call) -> tuple[OrderItem, ...]:
        """What decides the order in which `call` takes the rows of a group, as far as it matters."""
        function = call.name.lower()
        if call.within_group or function in _UNORDERED:
            return ()
        if call.distinct:
            ordered = {item.expression for item in call.order_by}
            others = (a for a in call.arguments if isinstance(a, syntax.Name) and a not in ordered)
            return (*call.order_by, *(OrderItem(a) for a in others))
        order = call.order_by or (self._order_of_log() if function in _OF_ORDER | _OF_FIRST else ())
        if not order and function in _OF_ORDER:
            raise Unsupported(
                f"the rows of a group have no order here, and {call.name}() shows one", call.span,
                hint=f"write {call.name}(… ORDER BY …)",
            )  # fmt: skip
        return (*order, OrderItem(_name(PLACE)))

    def _order_of_log(self) -> tuple[OrderItem, ...]:
        """Rows of a stream are ordered by their offset, and then by their partition."""
        names = [syntax.Name((Identifier(column),)) for column in (ROWOFFSET, ROWPARTITION)]
        return tuple(OrderItem(self._column(n)) for n in names) if all(self.scope.has(n) for n in names) else ()

    def _items(self, items: tuple[OrderItem, ...]) -> tuple[OrderItem, ...]:
        return tuple(replace(item, expression=self._column(item.expression)) for item in items)

    def _column(self, expression: syntax.Expression) -> syntax.Expression:
        """A column that is read. What all rows have in common stays: DuckDB wants some arguments to be constants."""
        bound = bind_expression(expression, self.scope)
        return _name(self._read(bound), expression) if bound.reads else expression

    def _read(self, argument: Expression) -> str:
        name = argument.reads[0] if argument.is_column else argument.sql
        self.arguments[name] = argument
        return name


def _refuse(call: syntax.Call) -> None:
    name = call.name.lower()
    if name in AGGREGATE_MACROS:
        raise Unsupported(
            f"{call.name}() is not supported in a continuous query yet",
            call.span,
            hint=f"write {AGGREGATE_MACROS[name]}",
        )
    refuse_uncertain(call)
    if not call.arguments and name not in ("count", "count_star") and not call.within_group:
        raise TypeProblem(f"{call.name}() takes an argument", call.span, hint=f"write {call.name}(column)")


def refuse_uncertain(call: syntax.Call) -> None:
    """Raises Unsupported for an aggregate that needs more than the rows of a group, whatever comes later."""
    name = call.name.lower()
    if name in _RANDOM:
        raise Unsupported(
            f"{call.name}() takes rows at random, so the result would not follow from the log",
            call.span, hint="use quantile or approx_quantile",
        )  # fmt: skip
    if name == "bitstring_agg" and len(call.arguments) == 1:
        raise Unsupported(
            f"{call.name}() has a bit for each value between the least and the greatest, and a continuous query does "
            "not know yet what values will come", call.span,
            hint=f"name them: {call.name}({unparse(call.arguments[0])}, least, greatest)",
        )  # fmt: skip


def _can_fold(function: str, type_name: str) -> bool:
    """Whether there is an accumulator of `function` for values of this type."""
    base = type_name.partition("(")[0]
    if function in ("sum", "avg"):
        return type_name in _SUMMABLE or base == "DECIMAL"
    return function == "count" or not (type_name.endswith("]") or base in _NOT_ORDERED)


def _filtered(argument: Expression | None, condition: Expression) -> Expression:
    sql = f"CASE WHEN {condition.sql} THEN {argument.sql if argument else '1'} END"
    reads = tuple(dict.fromkeys((*(argument.reads if argument else ()), *condition.reads)))
    return Expression(sql, argument.type if argument else "INTEGER", reads)


def _name(column: str, at: syntax.Node | None = None) -> syntax.Name:
    return syntax.Name((Identifier(column, quoted=True),), span=at.span if at else syntax.NOWHERE)
