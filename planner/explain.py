"""A plan for people and for programs: what each operator does, what it keeps, and what feeds it.

Aggregate by carrier: count(*)   [one row per group; O(1) per row]
└─ Project carrier
   └─ StreamSource flights #1 [carrier]

An operator that is read more than once is told of once: where it comes again, what feeds it is as above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from headwater.planner.duckdb_errors import with_users_names
from headwater.planner.logical import Plan, Watermark
from headwater.planner.state_bounds import state_of, warnings


def explain_plan(plan: Plan, note: Callable[[Plan], str | None] | None = None) -> str:
    """The tree of `plan`, the output first; `note` gives what stands in brackets, by default what is kept."""
    return "\n".join(_lines(plan, "", "", note or _kept, set()))


def explain_warnings(plan: Plan) -> list[str]:
    """Lines that warn of state without a bound."""
    return [f"warning: {sentence}" for sentence in warnings(plan)]


def plan_document(plan: Plan, more: Callable[[Plan], dict[str, Any]] = lambda _: {}) -> dict[str, Any]:
    """The tree of `plan` as JSON has it: per operator what it does, its columns, its key, its state, and `more`."""
    return _document(plan, more, set())


def _document(plan: Plan, more: Callable[[Plan], dict[str, Any]], told: set[Plan]) -> dict[str, Any]:
    """The document of a part; of one that was `told` of before it says just that, without its inputs."""
    state, is_repeated = state_of(plan), plan in told and bool(plan.inputs)
    told.add(plan)
    return {
        "operator": type(plan).__name__,
        "detail": with_users_names(plan.label()),
        "columns": [{"name": c.name, "type": c.type} for c in plan.columns],
        "key": None if plan.key is None else list(plan.key),
        "append_only": plan.append_only,
        "incremental": True,
        "state": None if state is None else asdict(state),
        **more(plan),
        **({"repeated": True} if is_repeated else {}),
        "inputs": [] if is_repeated else [_document(source, more, told) for source in plan.inputs],
    }


def _kept(node: Plan) -> str | None:
    state = state_of(node)
    return None if state is None else f"{state.what}; {state.cost}"


def _lines(node: Plan, first: str, rest: str, note: Callable[[Plan], str | None], shown: set[Plan]) -> list[str]:
    """The lines of a tree. What was `shown` before has no branch again, nor has a clock that is read from it."""
    is_repeated = node in shown and bool(node.inputs)
    noted = "as above" if is_repeated else note(node)
    inputs = () if is_repeated or (isinstance(node, Watermark) and node.source in shown) else node.inputs
    shown.add(node)
    lines = [f"{first}{type(node).__name__} {with_users_names(node.label())}" + (f"   [{noted}]" if noted else "")]
    for i, source in enumerate(inputs):
        last = i == len(inputs) - 1
        lines += _lines(source, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "), note, shown)
    return lines
