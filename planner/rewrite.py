"""What the rewrites of plans are made of: walking a plan, and looking into a bound expression.

A rewrite takes a plan and gives one with the same output columns and rows. It never enters a plan in `shared`: that of
another relation, whose operators run already and are to be used as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from headwater.parser import parse_statement, syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import conjuncts
from headwater.planner.logical import (
    AsofJoin,
    ChangeRows,
    Clocked,
    Expression,
    Filter,
    Join,
    LookupJoin,
    OuterJoin,
    Plan,
    Project,
    Recursion,
    SemiJoin,
    SessionAggregate,
    SessionAssign,
    TemporalJoin,
    Unary,
    Union,
    Watermark,
    WithinJoin,
    WithinOuter,
)
from headwater.planner.names import names_in, with_names

Shared = frozenset[Plan]


def with_inputs(node: Plan, inputs: tuple[Plan, ...]) -> Plan:
    """`node` over other inputs."""
    if inputs == node.inputs:
        return node
    if isinstance(node, Join | LookupJoin | AsofJoin):
        return replace(node, left=inputs[0], right=inputs[1])
    if isinstance(node, TemporalJoin):
        return replace(node, left=inputs[0], right=inputs[1], clocks=inputs[2:])
    if isinstance(node, ChangeRows):
        return replace(node, source=inputs[0], clocks=inputs[1:])
    if isinstance(node, SemiJoin):
        return replace(node, source=inputs[0], joined=inputs[1])
    if isinstance(node, OuterJoin):
        return replace(node, joined=inputs[0], sides=inputs[1:])
    if isinstance(node, Union):
        return replace(node, sources=inputs)
    if isinstance(node, Clocked) and len(inputs) == 2:
        return replace(node, source=inputs[0], clock=inputs[1])
    if isinstance(node, Recursion):
        return replace(node, base=inputs[0], body=inputs[1])
    if isinstance(node, WithinJoin):
        return replace(node, left=inputs[0], right=inputs[1], watermarks=_watermarks(inputs[2:]))
    if isinstance(node, WithinOuter):
        count = len(node.sides)
        watermarks = _watermarks(inputs[1 + count :])
        return replace(node, joined=inputs[0], sides=inputs[1 : 1 + count], watermarks=watermarks)
    if isinstance(node, SessionAggregate):
        return replace(node, source=inputs[0], watermark=_watermarks(inputs[1:])[0])
    if isinstance(node, SessionAssign):
        return replace(node, source=inputs[0], watermark=next(iter(_watermarks(inputs[1:])), None))
    assert isinstance(node, Unary)
    return replace(node, source=inputs[0])


def _watermarks(inputs: tuple[Plan, ...]) -> tuple[Watermark, ...]:
    return tuple(node for node in inputs if isinstance(node, Watermark))


def bottom_up(plan: Plan, change: Callable[[Plan], Plan], shared: Shared) -> Plan:
    """`plan` with `change` applied to every node, inputs first, but to none in `shared` or below."""
    done: dict[Plan, Plan] = {}  # what stands in a plan more than once is changed once, and stays one object

    def changed(node: Plan) -> Plan:
        if node in shared:
            return node
        if node not in done:
            done[node] = change(with_inputs(node, tuple(changed(source) for source in node.inputs)))
        return done[node]

    return changed(plan)


def out_of_order(plan: Plan) -> Plan:
    """`plan`, the result of a query whose order does not matter."""
    match plan:
        case Union() | WithinJoin():
            return replace(plan, in_order=False)
        case WithinOuter():
            return replace(plan, joined=out_of_order(plan.joined))
        case Project() | Filter():
            return with_inputs(plan, (out_of_order(plan.source),))
    return plan


@lru_cache(maxsize=4096)
def tree_of(sql: str) -> syntax.Expression:
    """The syntax of a bound expression, whose names are single and quoted."""
    statement = parse_statement(f"SELECT {sql}")
    assert isinstance(statement, syntax.Query) and isinstance(statement.body, syntax.Select)
    return statement.body.items[0].expression


def reads_of(tree: syntax.Node) -> tuple[str, ...]:
    """The columns that the syntax of a bound expression names, each once."""
    return tuple(dict.fromkeys(name.parts[0].text for name in names_in(tree)))


def predicate(tree: syntax.Expression) -> Expression:
    """A condition of this syntax."""
    return Expression(unparse(tree), "BOOLEAN", reads_of(tree), is_column=isinstance(tree, syntax.Name))


def conditions_of(condition: Expression) -> list[Expression]:
    """The conditions that AND joins in `condition`; `(a AND b) OR (a AND c)` counts as `a AND (b OR c)`."""
    return [predicate(part) for tree in conjuncts(tree_of(condition.sql)) for part in _factored(tree)]


def _factored(tree: syntax.Expression) -> list[syntax.Expression]:
    """What all branches of an OR have in common, and what is left of it; anything else as it is."""
    branches = [list(conjuncts(branch)) for branch in _branches(tree)]
    common = [part for part in branches[0] if all(part in branch for branch in branches[1:])]
    if len(branches) == 1 or not common:
        return [tree]
    rests = [[part for part in branch if part not in common] for branch in branches]
    if not all(rests):
        return common
    return [*common, _joined("OR", [_joined("AND", rest) for rest in rests])]


def _branches(tree: syntax.Expression) -> Iterator[syntax.Expression]:
    """The conditions that OR joins, left to right."""
    if isinstance(tree, syntax.Binary) and tree.operator == "OR":
        yield from _branches(tree.left)
        yield from _branches(tree.right)
    else:
        yield tree


def _joined(operator: str, parts: list[syntax.Expression]) -> syntax.Expression:
    first, *rest = parts
    for part in rest:
        first = syntax.Binary(operator, first, part)
    return first


def renamed(expression: Expression, names: Mapping[str, str]) -> Expression:
    """`expression` over columns that are called otherwise: by `names`, from old to new."""

    def change(name: syntax.Name) -> syntax.Name:
        return syntax.Name((Identifier(names[name.parts[0].text], quoted=True),), span=name.span)

    return predicate(with_names(tree_of(expression.sql), change))


def filtered(plan: Plan, conditions: Iterable[Expression]) -> Plan:
    """`plan` with a filter for the conditions that are not there already, if any."""
    for condition in conditions:
        plan = Filter(plan, condition)
    return plan
