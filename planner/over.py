"""Binding of window functions: `f(…) OVER (…)` in a SELECT becomes a column of an `Over` node below it.

Arguments, conditions and keys that are more than a column are computed below the node, row by row. Where ORDER BY
leaves rows equal, DuckDB's answer is not determined; here their columns decide (PLACE), so the result follows from the
rows. Ranks and frames of RANGE and GROUPS take equal rows together, and stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from headwater.errors import SqlError, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import quote, syntax, unparse
from headwater.parser.syntax import Identifier, OrderItem
from headwater.planner.aggregate_calls import refuse_uncertain
from headwater.planner.expressions import bind_expression, column_expression
from headwater.planner.logical import OVER_PARTITION, PLACE, Expression, Over, Plan, Project, SortKey, WindowCall
from headwater.planner.names import names_in
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.sql_types import aggregate_functions, constant_value, type_of
from headwater.values import Column

T = TypeVar("T")

# Functions that give rows which ORDER BY leaves equal the same value.
_RANKS = frozenset({"rank", "rank_dense", "dense_rank", "percent_rank", "cume_dist"})

# Functions of a row's place in the partition, for which the frame is of no account.
_PLACES = frozenset({"row_number", "ntile", "lag", "lead"})

_OF_FRAME = frozenset({"first_value", "last_value", "nth_value", "first", "last"})

# Aggregates for which the order of the rows is of no account, but for rounding.
_UNORDERED = frozenset(
    "avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star covar_pop covar_samp favg fsum "
    "kurtosis kurtosis_pop max mean median min product quantile quantile_cont quantile_disc regr_avgx regr_avgy "
    "regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness stddev stddev_pop "
    "stddev_samp sum sumkahan var_pop var_samp variance".split()
)

# Functions whose values are exact whatever the order in which rows are added up.
_EXACT = _RANKS | _PLACES | _OF_FRAME | frozenset(
    "any_value arg_max arg_min argmax argmin array_agg bit_and bit_or bit_xor bool_and bool_or count count_if "
    "count_star list max max_by median min min_by mode quantile quantile_cont quantile_disc string_agg".split()
)  # fmt: skip

_INTEGERS = frozenset("TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT BOOLEAN".split())


def has_window_call(node: object) -> bool:
    """Whether a window function stands in syntax, subqueries left out."""
    if isinstance(node, tuple):
        return any(has_window_call(item) for item in node)
    if not isinstance(node, syntax.Node) or isinstance(node, syntax.Subquery | syntax.Exists):
        return False
    if isinstance(node, syntax.Call) and node.over is not None:
        return True
    return any(has_window_call(child) for child in syntax.children(node))


def with_window_calls(
    nodes: T, windows: tuple[syntax.NamedWindow, ...], plan: Plan, scope: Scope
) -> tuple[T, Plan, Scope]:
    """`nodes` with window functions replaced by names of columns, the plan that has them, and what can be named in it.

    `windows` is the WINDOW clause.
    """
    builder = _OverBuilder(plan, scope, windows)

    def change(node: syntax.Node) -> syntax.Node | None:
        if isinstance(node, syntax.Subquery | syntax.Exists):
            return node
        if isinstance(node, syntax.Call) and node.over is not None:
            return builder.call(node, node.over)
        return None

    rewritten = syntax.rewrite(nodes, change)
    return rewritten, builder.plan(), builder.scope_above()


class _OverBuilder:
    """Collects the window functions of a SELECT, each once, by what they partition by; and what they read."""

    def __init__(self, source: Plan, scope: Scope, windows: tuple[syntax.NamedWindow, ...]) -> None:
        self.source = source
        self.scope = scope
        self.windows: dict[str, syntax.WindowSpec] = {}
        self.computed: dict[str, Expression] = {}
        self.types = {c.name: c.type for c in source.columns}
        self.calls: dict[tuple[str, ...], dict[str, WindowCall]] = {}
        for window in windows:
            self.windows[window.name.text.lower()] = self._whole(window.spec)

    def plan(self) -> Plan:
        """The source with all window functions as columns."""
        plan = self.source
        if self.computed:
            own = tuple((c.name, column_expression(c.name, c.type)) for c in plan.columns)
            plan = Project(plan, (*own, *self.computed.items()))
        for partition, calls in self.calls.items():
            plan = Over(plan, partition, tuple(calls.values()))
        return plan

    def scope_above(self) -> Scope:
        """What can be named above the window functions: also their columns, by names that no user writes."""
        calls = (call for calls in self.calls.values() for call in calls.values())
        return Scope((*self.scope.columns, *(ScopeColumn(None, c.name, c.name, c.type, hidden=True) for c in calls)))

    def call(self, call: syntax.Call, over: syntax.WindowSpec | Identifier) -> syntax.Name:
        """The column of a window function."""
        refuse_uncertain(call)
        spec = self._whole(self._named(over) if isinstance(over, Identifier) else over)
        partition = tuple(self._column(e) for e in spec.partition_by)
        order = self._order(spec.order_by)
        frame = None if spec.frame is None else self._frame(spec.frame)
        star = call.arguments and isinstance(call.arguments[0], syntax.Star)
        bound = replace(
            call,
            arguments=() if star else tuple(self._argument(a) for a in call.arguments),
            order_by=tuple(replace(o, expression=self._argument(o.expression)) for o in call.order_by),
            filter=None if call.filter is None else self._argument(call.filter),
            over=syntax.WindowSpec(tuple(_name(c) for c in partition), order, frame),
        )
        name = f"${unparse(bound)}"
        calls = self.calls.setdefault(partition, {})
        if name not in calls:
            calls[name] = self._bound(name, bound, order, frame)
        return _name(name, call)

    def _bound(
        self, name: str, call: syntax.Call, order: tuple[OrderItem, ...], frame: syntax.Frame | None
    ) -> WindowCall:
        function = call.name.lower()
        sql = unparse(_determined(call, order, frame))
        known = {**self.types, PLACE: "BIGINT", OVER_PARTITION: "BIGINT"}
        type_name = type_of(sql, tuple(Column(n, t) for n, t in known.items()), call.span)
        if function not in aggregate_functions() | _RANKS | _PLACES | _OF_FRAME:
            raise Unsupported(f"{call.name}() OVER is not supported in a continuous query yet", call.span)
        row = ", ".join(f"CAST(NULL AS {t}) AS {quote(n)}" for n, t in known.items())
        if constant_value(f"SELECT {sql} FROM (SELECT {row})") is None:
            raise TypeProblem(
                f"{call.name}() cannot be computed with these constants, whatever the row", call.span,
                hint="a count or distance is a whole number, and not negative",
            )  # fmt: skip
        reads = tuple(dict.fromkeys(n.parts[0].text for n in names_in(call)))
        keys = tuple(
            SortKey(n.parts[0].text, o.direction == "DESC", o.nulls == "FIRST")
            for o in order if isinstance(n := o.expression, syntax.Name)
        )  # fmt: skip
        return WindowCall(name, function, sql, type_name, reads, keys, self._is_exact(function, call))

    def _is_exact(self, function: str, call: syntax.Call) -> bool:
        if function not in ("sum", "avg", "mean"):
            return function in _EXACT
        (argument,) = call.arguments
        type_name = self.types[argument.parts[0].text] if isinstance(argument, syntax.Name) else ""
        return type_name in _INTEGERS or type_name.startswith("DECIMAL")

    # ---------------------------------------------------------------- parts of a call

    def _named(self, name: Identifier) -> syntax.WindowSpec:
        found = self.windows.get(name.text.lower())
        if found is None:
            hint = suggestion(name.text, self.windows, "windows") or "define it: WINDOW w AS (PARTITION BY …)"
            raise UnknownName(f'there is no window "{name.text}"', name.span, hint=hint)
        return found

    def _whole(self, spec: syntax.WindowSpec) -> syntax.WindowSpec:
        """A window with what it takes from the one that it adds to."""
        if spec.base is None:
            return spec
        base = self._named(spec.base)
        if spec.partition_by or (spec.order_by and base.order_by) or base.frame is not None:
            raise SqlError(
                f'a window cannot say again what "{spec.base.text}" says', spec.base.span, hint="write it out in full"
            )
        return replace(spec, base=None, partition_by=base.partition_by, order_by=spec.order_by or base.order_by)

    def _order(self, items: tuple[OrderItem, ...]) -> tuple[OrderItem, ...]:
        return tuple(
            replace(item, expression=_name(self._column(item.expression), item), nulls=item.nulls or "LAST")
            for item in items
        )

    def _frame(self, frame: syntax.Frame) -> syntax.Frame:
        start, end = (
            bound and (bound if bound.distance is None else replace(bound, distance=self._argument(bound.distance)))
            for bound in (frame.start, frame.end)
        )
        assert start is not None
        return replace(frame, start=start, end=end)

    def _argument(self, expression: syntax.Expression) -> syntax.Expression:
        """A column, or what is the same for all rows as it is written: DuckDB wants some arguments to be constants."""
        bound = bind_expression(expression, self.scope)
        return _name(self._column(expression), expression) if bound.reads else expression

    def _column(self, expression: syntax.Expression) -> str:
        """The column of the node's input that has the value of `expression`."""
        bound = bind_expression(expression, self.scope)
        if bound.is_column:
            return bound.reads[0]
        name = f"${bound.sql}"
        self.computed[name] = bound
        self.types[name] = bound.type
        return name


def _determined(call: syntax.Call, order: tuple[OrderItem, ...], frame: syntax.Frame | None) -> syntax.Call:
    """`call` over a partition of rows, such that rows which `order` leaves equal are told apart where it matters."""
    function = call.name.lower()
    place = OrderItem(_name(PLACE))
    if function in _RANKS | _PLACES:
        if call.order_by:
            raise Unsupported(f"ORDER BY inside {call.name}() is not supported in a continuous query yet", call.span)
        frame = None
    by_row = function in _PLACES or (frame is not None and frame.unit == "ROWS")
    if by_row and frame is not None and frame.exclude in ("GROUP", "TIES"):
        raise Unsupported(f"ROWS … EXCLUDE {frame.exclude} is not supported in a continuous query yet", frame.span)
    if call.distinct:
        inside = call.order_by or tuple(OrderItem(a) for a in call.arguments if function not in _UNORDERED)
    elif call.order_by:
        inside = (*call.order_by, place)
    else:
        inside = () if by_row or function in _RANKS | _UNORDERED else (*order, place)
    spec = syntax.WindowSpec((_name(OVER_PARTITION),), (*order, place) if by_row else order, frame)
    return replace(call, order_by=inside, over=spec)


def _name(column: str, at: syntax.Node | None = None) -> syntax.Name:
    return syntax.Name((Identifier(column, quoted=True),), span=at.span if at else syntax.NOWHERE)
