"""The planner: AST and catalog → logical plan, or DuckDB statement. Pure: it never touches the log."""

from headwater.planner.alter import altered
from headwater.planner.assertions import paused_by
from headwater.planner.bind import BoundQuery, bind_query
from headwater.planner.catalog import Catalog, Relation, View
from headwater.planner.checks import Check, checked_nodes
from headwater.planner.create import define
from headwater.planner.define_function import define_function, replaced_function
from headwater.planner.explain import explain_plan, explain_warnings, plan_document
from headwater.planner.first_rows import is_only_ordered
from headwater.planner.logical import Plan, walk_plan
from headwater.planner.named_types import define_type, with_named_types
from headwater.planner.snapshot import Input, SnapshotQuery, plan_snapshot, point_of
from headwater.planner.unsupported import refuse_statement
from headwater.planner.user_functions import Function
from headwater.planner.views import Item, define_item, replaced

__all__ = [
    "BoundQuery",
    "Catalog",
    "Check",
    "Function",
    "Input",
    "Item",
    "Plan",
    "Relation",
    "SnapshotQuery",
    "View",
    "altered",
    "bind_query",
    "checked_nodes",
    "define",
    "define_function",
    "define_item",
    "define_type",
    "explain_plan",
    "explain_warnings",
    "is_only_ordered",
    "paused_by",
    "plan_document",
    "plan_snapshot",
    "point_of",
    "refuse_statement",
    "replaced",
    "replaced_function",
    "walk_plan",
    "with_named_types",
]
