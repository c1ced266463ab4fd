"""EXPLAIN: how a query is computed, as a tree for people or as JSON, and with ANALYZE what each operator has done.

A continuous query shows its plan, with a warning for each state that nothing bounds. Of one that runs (`EXPLAIN ANALYZE
its_name`) the counters of its operators are shown; of one that does not, it is run once over the log so far. A snapshot
query shows the SQL that DuckDB runs, and the plans of its inputs. Of a DROP, what would go is listed, in order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from headwater.engine.apart import Apart
from headwater.engine.definitions import to_drop
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.starts import begun
from headwater.errors import SqlError, Unsupported
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.operators import Stateful
from headwater.executor.past import circuit_at
from headwater.parser import quote, syntax, unparse
from headwater.planner import (
    Catalog,
    Input,
    Plan,
    bind_query,
    define,
    explain_plan,
    explain_warnings,
    is_only_ordered,
    plan_document,
    walk_plan,
)
from headwater.planner.change_rows import ChangeSource
from headwater.planner.duckdb_errors import with_users_names
from headwater.planner.inserts import define_insert, goes_on


def explain(statement: syntax.Explain, apart: Apart, reader: Reader) -> list[str]:
    """The lines of the answer to EXPLAIN. Raises SqlError for what there is nothing to say of."""
    target, pipeline = statement.statement, apart.main
    if isinstance(target, syntax.Query) and target.emit is None:
        return _snapshot(statement, target, reader)
    if isinstance(target, syntax.Drop):
        return [f"DROP {item.made_as} {quote(item.name)}" for item in to_drop(target, pipeline.catalog)]
    once = isinstance(target, syntax.Insert) and not goes_on(target, pipeline.catalog)
    if once or isinstance(target, syntax.CreateView | syntax.Update | syntax.Delete):
        raise Unsupported("EXPLAIN of this statement is not supported yet", target.span)
    if isinstance(target, syntax.Identifier):
        pipeline = apart.of(pipeline.catalog.find(target, queries=True))
    else:
        target = begun(target, pipeline, reader.points())
    plan = _plan(target, pipeline.catalog)
    if statement.analyze:
        if any(isinstance(node, ChangeSource) for node in walk_plan(plan)):
            raise Unsupported("EXPLAIN ANALYZE of changes is not supported yet", target.span, hint="leave out ANALYZE")
        return _analyzed(statement, plan, pipeline)
    if statement.format == "json":
        return _json({**plan_document(plan), "warnings": explain_warnings(plan)})
    return [*explain_plan(plan).splitlines(), *_notes(target), *explain_warnings(plan)]


def _notes(target: syntax.Node) -> list[str]:
    """What the statement says and the plan does not show."""
    if isinstance(target, syntax.CreateRelation) and target.query is not None and is_only_ordered(target.query):
        return ["note: a table has no order, so ORDER BY is left out; order it when you ask"]
    return []


def _plan(target: syntax.Query | syntax.CreateRelation | syntax.Insert | syntax.Identifier, catalog: Catalog) -> Plan:
    """The plan of a continuous query: a running one by its name, or one that is given."""
    if isinstance(target, syntax.Query):
        return bind_query(target, catalog, watched=True).plan
    if isinstance(target, syntax.Insert):
        plan = define_insert(target, catalog).plan
    elif isinstance(target, syntax.CreateRelation):
        if target.query is None:
            raise SqlError("there is nothing to explain without AS SELECT", target.span)
        plan = define(target, catalog).query_plan
    else:
        plan = catalog.find(target, queries=True).plan
        if plan is None:
            raise SqlError(f'"{target.text}" is not computed by a query', target.span, hint="SHOW QUERIES lists those")
    assert plan is not None
    return plan


def _json(document: dict[str, Any]) -> list[str]:
    return json.dumps(document, ensure_ascii=False, indent=2).splitlines()


# ---------------------------------------------------------------- ANALYZE


def _analyzed(statement: syntax.Explain, plan: Plan, pipeline: Pipeline) -> list[str]:
    pipeline.catch_up()
    with pipeline.lock:
        circuit = pipeline.circuit
        if plan not in circuit.roots:
            circuit = circuit_at(pipeline.log, [plan], Cut(circuit.version))
        if statement.format == "json":
            return _json(plan_document(plan, lambda node: _measures(node, circuit)))
        return explain_plan(plan, lambda node: _measured(node, circuit)).splitlines()


def _measures(node: Plan, circuit: Circuit) -> dict[str, Any]:
    """What the operator of a node has done and holds; nothing for one that is part of the operator above it."""
    work = circuit.work_of(node)
    if work is None:
        return {}
    operator = dict(circuit.operators_of(node))[node]
    held = {"state_rows": operator.state_rows, "state_bytes": operator.nbytes} if isinstance(operator, Stateful) else {}
    failed = {"failed": work.failed} if work.failed else {}
    spent = {"milliseconds": round(work.seconds * 1000, 3)}
    return {"rows_in": work.rows_in, "rows_out": work.rows_out, **failed, **spent, **held}


def _measured(node: Plan, circuit: Circuit) -> str | None:
    found = _measures(node, circuit)
    if not found:
        return None
    note = f"{found['rows_in']:,} rows → {found['rows_out']:,}; {found['milliseconds']:,.1f} ms"
    if "failed" in found:
        note = f"{note}; {found['failed']:,} failed"
    if "state_bytes" not in found:
        return note
    return f"{note}; holds {found['state_rows']:,} rows in {found['state_bytes']:,} bytes"


# ---------------------------------------------------------------- snapshot queries


def _snapshot(statement: syntax.Explain, query: syntax.Query, reader: Reader) -> list[str]:
    if statement.analyze:
        raise Unsupported(
            "EXPLAIN ANALYZE of a snapshot query is not supported yet", statement.span,
            hint="name a continuous query, or write EMIT CHANGES",
        )  # fmt: skip
    snapshot = reader.plan(query)
    if statement.format == "json":
        return _json({
            "operator": "DuckDB",
            "detail": with_users_names(snapshot.sql),
            "incremental": False,
            "inputs": [_input(i) for i in snapshot.inputs],
        })  # fmt: skip
    return ["DuckDB runs:", f"  {with_users_names(snapshot.sql)}", *_inputs(snapshot.inputs)]


def _input(source: Input) -> dict[str, Any]:
    changes = {} if source.changes is None else {"changes": unparse(source.changes)}
    return {"name": source.name, "plan": plan_document(source.plan), **changes}


def _inputs(inputs: Sequence[Input]) -> list[str]:
    lines = []
    for source in inputs:
        what = source.relation.name if source.relation else "a windowed query" if source.changes is None else "a view"
        changes = "" if source.changes is None else f" {unparse(source.changes)}"
        lines.append(f"{quote(source.name)} ← {what}{changes}")
        lines += ["  " + line for line in explain_plan(source.plan).splitlines()]
    return lines
