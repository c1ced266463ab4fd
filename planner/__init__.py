"""The planner: AST and catalog → logical plan, or DuckDB statement. Pure: it never touches the log."""

from headwater.planner.bind import BoundQuery, bind_query
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.create import define
from headwater.planner.explain import explain_plan, explain_warnings, plan_document
from headwater.planner.logical import Plan, walk_plan
from headwater.planner.snapshot import Input, SnapshotQuery, plan_snapshot
from headwater.planner.unsupported import refuse_statement

__all__ = [
    "BoundQuery",
    "Catalog",
    "Input",
    "Plan",
    "Relation",
    "SnapshotQuery",
    "bind_query",
    "define",
    "explain_plan",
    "explain_warnings",
    "plan_document",
    "plan_snapshot",
    "refuse_statement",
    "walk_plan",
]
