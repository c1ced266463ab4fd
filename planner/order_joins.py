"""Join order: of joins that name no key, an order in which as many as can be have one.

`FROM part, supplier, lineitem WHERE …` is read from left to right, and part has nothing to do with supplier. Here
lineitem comes second: the next input is always the first one that an equality connects with those before it.
Inputs are not weighed against each other: the order that was written stands wherever it connects.
"""

from __future__ import annotations

from headwater.planner.join_keys import key_pair, restored
from headwater.planner.logical import Expression, Filter, Join, Plan
from headwater.planner.rewrite import Shared, conditions_of, filtered, with_inputs


def order_joins(plan: Plan, shared: Shared) -> Plan:
    """`plan` with the inputs of joins in an order that connects them."""
    done: dict[Plan, Plan] = {}

    def ordered(node: Plan) -> Plan:
        if node in shared:
            return node
        if node not in done:
            inputs, conditions = _flat(node, shared) if isinstance(node, Filter | Join) else ([], [])
            if len(inputs) > 2:
                done[node] = restored(_connected([ordered(source) for source in inputs], conditions), node)
            else:
                done[node] = with_inputs(node, tuple(ordered(source) for source in node.inputs))
        return done[node]

    return ordered(plan)


def _flat(plan: Plan, shared: Shared) -> tuple[list[Plan], list[Expression]]:
    """The inputs of a tree of joins without keys, from left to right, and the conditions between and above them."""
    match plan:
        case Filter() if plan not in shared:
            inputs, conditions = _flat(plan.source, shared)
            return (inputs, [*conditions, *conditions_of(plan.predicate)]) if len(inputs) > 1 else ([plan], [])
        case Join(left_keys=(), by_version=False) if plan not in shared:
            left, right = _flat(plan.left, shared), _flat(plan.right, shared)
            return [*left[0], *right[0]], [*left[1], *right[1]]
    return [plan], []


def _connected(inputs: list[Plan], conditions: list[Expression]) -> Plan:
    """The inputs joined in an order that connects them, each condition as soon as all its columns are there."""
    first, *waiting = inputs
    plan: Plan = first
    while waiting:
        following = next((node for node in waiting if _connects(plan, node, conditions)), waiting[0])
        waiting.remove(following)
        plan = Join(plan, following, (), (), by_version=False)
        ready = [c for c in conditions if set(c.reads) <= set(plan.names)]
        conditions = [c for c in conditions if c not in ready]
        plan = filtered(plan, ready)
    return filtered(plan, conditions)


def _connects(left: Plan, right: Plan, conditions: list[Expression]) -> bool:
    return any(key_pair(condition, left.columns, right.columns) is not None for condition in conditions)
