"""PAUSE, RESUME and TERMINATE: queries stand still where they are, and go on from there.

A query that stands still takes those along that read it. To RESUME is to bring its plan to where it stopped, and to
catch up from there in one commit; if it fails again, nothing has changed.
"""

from __future__ import annotations

from typing import Literal

from headwater.engine.apart import Apart
from headwater.engine.composing import items_of
from headwater.engine.pipeline import Pipeline
from headwater.engine.result import Result
from headwater.engine.stops import Stop
from headwater.errors import SqlError
from headwater.parser import syntax
from headwater.planner import Catalog, Relation
from headwater.planner.instances import find_instance
from headwater.planner.qualified import as_a_whole, refuse_part

_DONE = {"PAUSE": "paused", "RESUME": "resumed", "TERMINATE": "terminated"}


def control(statement: syntax.Control, apart: Apart) -> Result:
    """Runs the statement. Raises SqlError for what is no query, and QueryFailed for one that fails again."""
    catalog, pipelines = apart.main.catalog, apart.all
    if statement.query is not None and statement.is_instance:
        instance = find_instance(statement.query, catalog)
        refuse_part(instance.name, statement.query, statement.action, catalog)
        items = items_of(instance, catalog)
        clocks = {item.clock for item in items if isinstance(item, Relation) and item.has_query} or {catalog.clock}
        pipelines = [pipeline for pipeline in pipelines if pipeline.catalog.clock in clocks]
    elif statement.query is not None:
        relation = catalog.find(statement.query, queries=True)
        refuse_part(relation.name, statement.query, statement.action, catalog)
        pipelines = [apart.of(relation)]
    names = ", ".join(relation.name for pipeline in pipelines for relation in _controlled(statement, pipeline))
    return Result.of_message(f"{_DONE[statement.action]} {names or 'nothing'}")


def _controlled(statement: syntax.Control, pipeline: Pipeline) -> list[Relation]:
    """The queries of a clock that stand still, or go on, by a statement."""
    with pipeline.defining, pipeline.feeding.turn(pipeline.gate, pipeline.catalog), pipeline.lock:
        wanted = _wanted(statement, pipeline)
        if statement.action == "RESUME":
            return pipeline.resume(wanted)
        state: Literal["paused", "terminated"] = "paused" if statement.action == "PAUSE" else "terminated"
        cause = "it is paused" if statement.action == "PAUSE" else "it was terminated"
        now = pipeline.log.version
        while pipeline.position < now:  # and not until a loop is at rest, which may be what it stops
            pipeline.step()
        at = pipeline.circuit.version
        return pipeline.halt([Stop(r.id, state, at, cause) for r in wanted if r.id not in pipeline.stopped])


def _wanted(statement: syntax.Control, pipeline: Pipeline) -> list[Relation]:
    """The relations that a statement is about. Raises SqlError for one that is not written by a query."""
    resumes = statement.action == "RESUME"
    if statement.query is None:
        if not resumes:
            return pipeline.running()
        return [r for r in pipeline.derived() if _can_go_on(pipeline.stopped.get(r.id))]
    if statement.is_instance:
        return _of_instance(statement, statement.query, pipeline)
    relation = pipeline.catalog.find(statement.query, queries=True)
    span, stop = statement.query.span, pipeline.stopped.get(relation.id)
    if not relation.is_derived:
        raise SqlError(f'"{relation.name}" is not computed by a query', span, hint="SHOW QUERIES lists those")
    if resumes and stop is None:
        raise SqlError(f'"{relation.name}" runs already', span)
    if resumes and stop is not None and stop.state == "terminated":
        hint = f"CREATE OR REPLACE {relation.kind} {relation.name} AS …"
        raise SqlError(f'"{relation.name}" was terminated and does not go on', span, hint=hint)
    if resumes and stop is not None and stop.because is not None:
        first = next((r.name for r in pipeline.derived() if r.id == stop.because), None)
        if first is not None and stop.because in pipeline.stopped:
            raise _waits(relation.name, first, statement.query, pipeline.catalog)
    if not resumes and stop is not None:
        raise SqlError(f'"{relation.name}" stands still already: {stop.cause}', span, hint=f"RESUME {relation.name}")
    return [relation]


def _of_instance(statement: syntax.Control, name: syntax.Identifier, pipeline: Pipeline) -> list[Relation]:
    """The queries of an instance, and of those inside it. Raises SqlError where none of them can be told to."""
    instance = find_instance(name, pipeline.catalog)
    queries = [i for i in items_of(instance, pipeline.catalog) if isinstance(i, Relation) and i.is_derived]
    if statement.action != "RESUME":
        going = [query for query in queries if query.id not in pipeline.stopped]
        if queries and not going:
            raise SqlError(
                f'"{instance.name}" stands still already', name.span, hint=f"RESUME INSTANCE {instance.name}"
            )
        return going
    stopped = {query.id: pipeline.stopped[query.id] for query in queries if query.id in pipeline.stopped}
    if not stopped:
        raise SqlError(f'"{instance.name}" runs already', name.span)
    if any(stop.state == "terminated" for stop in stopped.values()):
        raise SqlError(
            f'"{instance.name}" was terminated and does not go on', name.span,
            hint=f"DROP INSTANCE {instance.name}; and create it anew",
        )  # fmt: skip
    outside = {stop.because for stop in stopped.values()} - stopped.keys() - {None}
    first = next((r.name for r in pipeline.derived() if r.id in outside and r.id in pipeline.stopped), None)
    if first is not None:
        raise _waits(instance.name, first, name, pipeline.catalog)
    return [query for query in queries if query.id in stopped]


def _waits(reader: str, first: str, at: syntax.Identifier, catalog: Catalog) -> SqlError:
    """The error for what cannot go on before what it reads does."""
    message = f'"{reader}" reads "{first}", which stands still'
    return SqlError(message, at.span, hint=f"RESUME {as_a_whole(first, catalog)}")


def _can_go_on(stop: Stop | None) -> bool:
    return stop is not None and stop.state != "terminated" and stop.because is None
