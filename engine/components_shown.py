"""SHOW SCHEMAS, PIPELINES and INSTANCES, and DESCRIBE of a pipeline or an instance: what there is, and how it fares."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from headwater.engine import query_facts
from headwater.engine.apart import Apart
from headwater.engine.composing import items_of, outermost
from headwater.engine.query_pace import pace
from headwater.engine.result import Result
from headwater.parser import syntax, unparse
from headwater.planner import Catalog, Relation
from headwater.planner.components import Instance, PipelineDefinition, is_inside
from headwater.planner.instances import find_instance, find_pipeline
from headwater.planner.qualified import refuse_part
from headwater.values import Column

_TYPES = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}
_INSTANCES = {
    "name": "VARCHAR", "pipeline": "VARCHAR", "clock": "VARCHAR", "state": "VARCHAR", "queries": "BIGINT",
    "rows read/s": "DOUBLE", "lag": "BIGINT", "state rows": "BIGINT", "state bytes": "BIGINT",
}  # fmt: skip


def show_components(what: str, catalog: Catalog) -> Result:
    """The answer to SHOW SCHEMAS or PIPELINES."""
    if what == "SCHEMAS":
        return _table({"name": "VARCHAR", "relations": "BIGINT"}, list(_schemas(catalog)))
    names = {"name": "VARCHAR", "in": "VARCHAR", "out": "VARCHAR", "parameters": "VARCHAR", "instances": "BIGINT"}
    return _table(names, [_pipeline(p, catalog) for p in catalog.pipelines.values()])


def show_instances(apart: Apart, now_us: int) -> Result:
    """The answer to SHOW INSTANCES."""
    catalog = apart.main.catalog
    apart.main.catch_up()
    return _table(_INSTANCES, [_instance(i, apart, now_us) for i in outermost(catalog)])


def describe_component(statement: syntax.Describe, catalog: Catalog) -> Result:
    """The answer to DESCRIBE PIPELINE or DESCRIBE INSTANCE."""
    if statement.kind == "PIPELINE":
        pipeline = find_pipeline(statement.name, catalog)
        rows = list(_ports(pipeline))
        if statement.extended:
            rows += [("· statement", unparse(inner), None) for inner in pipeline.statement.statements]
        return _table({"name": "VARCHAR", "is": "VARCHAR", "what": "VARCHAR"}, rows)
    instance = find_instance(statement.name, catalog)
    if not is_inside(statement.name):
        refuse_part(instance.name, statement.name, "DESCRIBE", catalog)
    return _table({"name": "VARCHAR", "is": "VARCHAR", "what": "VARCHAR"}, list(_parts(instance, catalog)))


def _schemas(catalog: Catalog) -> Iterator[tuple[object, ...]]:
    for schema in catalog.schemas.values():
        names = [*catalog.relations, *catalog.views]
        yield (
            schema.name,
            sum(name.startswith(f"{schema.name.lower()}.") for name in names if _is_outside(name, catalog)),
        )


def _is_outside(name: str, catalog: Catalog) -> bool:
    return catalog.owner(name) is None


def _pipeline(pipeline: PipelineDefinition, catalog: Catalog) -> tuple[object, ...]:
    parameters = ", ".join(unparse(p).removeprefix("PARAM ") for p in pipeline.parameters)
    count = sum(instance.pipeline == pipeline.name for instance in catalog.instances.values())
    inputs, outputs = (", ".join(p.name.text for p in ports) for ports in (pipeline.inputs, pipeline.outputs))
    return pipeline.name, inputs or None, outputs or None, parameters or None, count


def _instance(instance: Instance, apart: Apart, now_us: int) -> tuple[object, ...]:
    """One line of SHOW INSTANCES: what its queries, and those inside it, do together."""
    items = items_of(instance, apart.main.catalog)
    queries = [i.seen_from(i.clock) for i in items if isinstance(i, Relation) and i.has_query]
    found = [row for pipeline in apart.all for row in query_facts.queries(pipeline)]
    known = {row[0]: dict(zip(query_facts.NAMES, row, strict=True)) for row in found}
    facts = [known[query.name] for query in queries if query.name in known]
    states = sorted({str(fact["status"]) for fact in facts}, key=_ORDER.index)
    paces = [pace(query, apart.of(query), now_us) for query in queries]
    rows, nbytes = (
        sum(int(str(f[name])) for f in facts if f[name] is not None) for name in ("state rows", "state bytes")
    )
    rate = round(sum(p.read_per_second for p in paces), 1)
    lag = max((p.waiting for p in paces), default=0)
    state = ", ".join(states) or "running"
    return instance.name, instance.pipeline, instance.clock, state, len(queries), rate, lag, rows, nbytes


_ORDER = ("failed", "terminated", "paused", "running")


def _ports(pipeline: PipelineDefinition) -> Iterator[tuple[object, ...]]:
    for port in pipeline.statement.ports:
        text = unparse(port)
        if isinstance(port, syntax.Port):
            word = f"{port.direction} {port.kind}"
            yield port.name.text, word, text.partition(f" {port.kind} ")[2]
        else:
            yield port.name.text, "PARAM", text.split(" ", 2)[2]


def _parts(instance: Instance, catalog: Catalog) -> Iterator[tuple[object, ...]]:
    """What was given for the ports, and what the pipeline has made: first what others see."""
    yield instance.name, "instance of", instance.pipeline
    for binding in instance.statement.bindings:
        yield binding.name.text, "given", unparse(binding.value)
    items = items_of(instance, catalog)
    for item in sorted(items, key=lambda item: catalog.is_private(item.name)):
        is_private = catalog.is_private(item.name)
        yield item.name, f"{'private ' if is_private else ''}{item.made_as.lower()}", item.definition


def _table(columns: dict[str, str], rows: list[tuple[object, ...]]) -> Result:
    named = tuple(Column(name, type_name) for name, type_name in columns.items())
    return Result.of_rows(named, rows, [_TYPES[column.type] for column in named])
