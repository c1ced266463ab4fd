"""The rewrites of a logical plan, in the order in which they are done. Each can be left out by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headwater.planner.fold_constants import fold_constants
from headwater.planner.fold_sessions import fold_sessions
from headwater.planner.join_keys import extract_join_keys
from headwater.planner.limit_rows import limit_rows
from headwater.planner.logical import Plan
from headwater.planner.merge_rows import merge_rows
from headwater.planner.order_joins import order_joins
from headwater.planner.prune import prune
from headwater.planner.push_filters import push_filters
from headwater.planner.rewrite import Shared


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A change of plans that leaves rows and columns of the output as they are."""

    name: str
    apply: Callable[[Plan, Shared], Plan]


REWRITES: tuple[Rewrite, ...] = (
    Rewrite("fold constants", fold_constants),
    Rewrite("push filters", push_filters),
    Rewrite("limit rows", limit_rows),
    Rewrite("order joins", order_joins),
    Rewrite("extract join keys", extract_join_keys),
    Rewrite("fold sessions", fold_sessions),
    Rewrite("merge rows", merge_rows),
    Rewrite("prune columns", prune),
)


def optimize(plan: Plan, shared: Shared = frozenset(), without: frozenset[str] = frozenset()) -> Plan:
    """`plan` after all rewrites but those named in `without`; the plans in `shared` stay as they are."""
    for rewrite in REWRITES:
        if rewrite.name not in without:
            plan = rewrite.apply(plan, shared)
    return plan
