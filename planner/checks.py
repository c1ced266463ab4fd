"""CHECK: conditions on each row of a relation, and what becomes of a row that violates one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from headwater.errors import SqlError, TypeProblem, Unsupported
from headwater.parser import syntax, unparse
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.expressions import NOW_NAMES, bind_predicate
from headwater.planner.logical import Checked, Expression, Plan, StreamOutput
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.sql_types import aggregate_functions, volatile_functions
from headwater.planner.user_functions import functions_in
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.catalog import Catalog, Relation

Action = Literal["DROP", "FAIL", "INSERT"]


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on the columns of a row; NULL counts as true. `into` is the id of the stream of INSERT INTO."""

    condition: Expression
    text: str  # CHECK (…), as it was written
    action: Action
    into: int | None = None

    @property
    def predicate(self) -> Expression:
        """The condition, which is never NULL."""
        return replace(self.condition, sql=f"COALESCE({self.condition.sql}, true)")


def checks_of(
    clauses: Sequence[syntax.Check], name: str, columns: Sequence[Column], not_null: Sequence[str], catalog: Catalog
) -> tuple[Check, ...]:
    """The checks of a relation with such a name and columns. Raises SqlError where one cannot be."""
    scope = Scope(tuple(ScopeColumn(name, c.name, c.name, c.type) for c in columns))
    return tuple(_check(clause, scope, columns, not_null, catalog) for clause in clauses)


def clauses_of(statement: syntax.CreateRelation) -> list[syntax.Check]:
    """All CHECK clauses of a statement: those of columns first."""
    return [*(check for column in statement.columns for check in column.checks), *statement.checks]


def with_checks(plan: Plan, checks: Sequence[Check]) -> Plan:
    """The rows of a plan that violate no check: each check looks at what the ones before it have let through."""
    if isinstance(plan, StreamOutput):
        return replace(plan, source=with_checks(plan.source, checks))
    for check in checks:
        plan = Checked(plan, check.predicate)
    return plan


def checked_nodes(relation: Relation) -> list[Checked]:
    """The nodes of the plan of a derived relation that are its own checks, in their order."""
    node = relation.plan.source if isinstance(relation.plan, StreamOutput) else relation.plan
    found: list[Checked] = []
    for _ in relation.checks:
        assert isinstance(node, Checked)
        found.append(node)
        node = node.source
    return found[::-1]


def _check(
    clause: syntax.Check, scope: Scope, columns: Sequence[Column], not_null: Sequence[str], catalog: Catalog
) -> Check:
    _refuse_other_than_row(clause.condition, catalog)
    condition = bind_predicate(with_duckdb_calls(clause.condition, catalog.functions), scope, "CHECK")
    target = None if clause.into is None else _target(clause.into, columns, not_null, catalog)
    action: Action = "INSERT" if target else "DROP" if clause.action == "DROP" else "FAIL"
    return Check(condition, f"CHECK ({unparse(clause.condition)})", action, None if target is None else target.id)


def _refuse_other_than_row(condition: syntax.Expression, catalog: Catalog) -> None:
    """Raises for a condition that does not follow from the values of one row alone."""
    for node in syntax.walk(condition):
        if isinstance(node, syntax.Subquery | syntax.Exists):
            raise SqlError(
                "a CHECK looks at one row alone, and this is a query", node.span,
                hint="CREATE ASSERTION name CHECK (NOT EXISTS (SELECT …)) looks at all rows",
            )  # fmt: skip
        if not isinstance(node, syntax.Call):
            continue
        name = node.name.lower()
        if functions_in(node, catalog.functions):
            raise Unsupported(
                f"a CHECK cannot call {node.name}(), a function of yours, yet", node.span,
                hint="let a continuous query compute it, and check its column",
            )  # fmt: skip
        if node.over is not None or node.within_group or name in aggregate_functions():
            raise TypeProblem(
                f"a CHECK looks at one row alone, and {node.name}() at many", node.span,
                hint="CREATE ASSERTION name CHECK (NOT EXISTS (SELECT … HAVING …)) looks at all rows",
            )  # fmt: skip
        if name in NOW_NAMES or name in volatile_functions():
            raise SqlError(
                f"{node.name}() has another value each time, and a row that passes a CHECK passes it for ever",
                node.span, hint="compare columns and constants",
            )  # fmt: skip


def _target(name: syntax.Identifier, columns: Sequence[Column], not_null: Sequence[str], catalog: Catalog) -> Relation:
    """The stream of ON VIOLATION INSERT INTO. Raises SqlError for one that cannot take the rows."""
    target = catalog.find_target(name)
    wanted = ", ".join(f"{column.name} {column.type}" for column in columns)
    hint = f"CREATE STREAM {target.name} ({wanted}), or leave columns out"
    if not target.is_stream or target.has_query or target.errors_of is not None or target.files is not None:
        raise SqlError(
            f'rows cannot go into "{target.name}", which is not a stream that rows are put into', name.span, hint=hint
        )
    if target.checks:
        raise SqlError(f'rows cannot go into "{target.name}", which has a CHECK of its own', name.span, hint=hint)
    if target.timestamp is not None:
        raise SqlError(
            f'rows cannot go into "{target.name}": its event time is a column', name.span, hint="let it be ROWTIME"
        )
    known = {column.name.lower(): column.type for column in columns}
    for column in target.columns:
        if known.get(column.name.lower()) != column.type:
            raise TypeProblem(
                f'rows do not fit into "{target.name}": they have no {column.name} {column.type}', name.span, hint=hint
            )
    filled = {column.lower() for column in not_null}
    empty = next((column for column in target.not_null if column.lower() not in filled), None)
    if empty is not None:
        raise SqlError(f'rows do not fit into "{target.name}": {empty} cannot be NOT NULL', name.span, hint=hint)
    return target
