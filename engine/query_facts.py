"""What SHOW QUERIES and DESCRIBE … EXTENDED tell of continuous queries: how they are, what they hold, what failed."""

from __future__ import annotations

from headwater.engine import violations
from headwater.engine.budgets import Budget, budget_of, size
from headwater.engine.pipeline import Pipeline
from headwater.planner import Relation
from headwater.planner.catalog import error_stream
from headwater.storage import Log

NAMES = (
    "name", "kind", "status", "state rows", "state bytes", "state limit", "failed rows", "cause", "query",
)  # fmt: skip
NUMBERS = frozenset({"state rows", "state bytes", "state limit", "failed rows"})


def queries(pipeline: Pipeline) -> list[tuple[object, ...]]:
    """Values for `NAMES` of each query; of one that stands still nothing is held."""
    rows: list[tuple[object, ...]] = []
    with pipeline.lock:
        for relation in pipeline.derived():
            stop, budget = pipeline.stopped.get(relation.id), _budget(relation, pipeline)
            held = None if budget is None else sum(h.state.state_rows for h in budget.holdings)
            rows.append((
                relation.name, relation.kind, "running" if stop is None else stop.state,
                held, None if budget is None else budget.nbytes, _limit(relation, pipeline),
                pipeline.failed_rows.count(relation), None if stop is None else stop.cause, relation.definition,
            ))  # fmt: skip
    return rows


def facts(relation: Relation, pipeline: Pipeline) -> list[tuple[str, str]]:
    """Names and values of what there is to say of one query."""
    with pipeline.lock:
        stop, budget = pipeline.stopped.get(relation.id), _budget(relation, pipeline)
        found = [("status", "running" if stop is None else f"{stop.state} at version {stop.version}: {stop.cause}")]
        if budget is not None:
            limit = "no limit" if budget.limit is None else f"limit {size(budget.limit)}"
            found.append(("state", f"{budget.nbytes:,} bytes, {limit}"))
            for holding in budget.holdings:
                count = holding.state.state_rows
                found.append((f"state of {holding.name}", f"{count:,} rows in {holding.state.nbytes:,} bytes"))
        found.append(("rows that failed", str(pipeline.failed_rows.count(relation))))
        found.append(("rows that failed go to", _way_of_errors(relation, pipeline)))
        found += violations.facts(relation, pipeline.catalog, pipeline.failed_rows.violations(relation))
        last = _last_failure(relation, pipeline.log)
        if last is not None:
            found.append(("last failure", last))
    return found


def _last_failure(relation: Relation, log: Log) -> str | None:
    """The cause of the last row in the error stream of a query."""
    own = error_stream(relation)
    end = 0 if own is None else log.ends(own.id).get(0, 0)
    if own is None or end == log.starts(own.id).get(0, 0):
        return None
    version = log.version_of(own.id, 0, end - 1)
    *_, last = log.scan(own.id, version - 1, version, ["cause"])
    return str(last.rows.column("cause")[-1].as_py())


def _budget(relation: Relation, pipeline: Pipeline) -> Budget | None:
    if relation.id in pipeline.stopped:
        return None
    return budget_of(relation, pipeline.circuit, pipeline.catalog, pipeline.budgets.limit)


def _limit(relation: Relation, pipeline: Pipeline) -> int | None:
    return pipeline.budgets.limit if relation.state_limit is None else relation.state_limit


def _way_of_errors(relation: Relation, pipeline: Pipeline) -> str:
    own = error_stream(relation)
    if own is not None:
        return own.name
    if relation.on_error == "INSERT":
        return next(r.name for r in pipeline.catalog.relations.values() if r.id == relation.errors_into)
    return "nothing: they stop the query" if relation.on_error == "FAIL" else "nothing: they are counted"
