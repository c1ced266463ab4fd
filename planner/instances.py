"""CREATE PIPELINE and CREATE INSTANCE: an instance is made by making what the statements of its pipeline make.

In go the statements of a pipeline and what is given for its ports; out come the same statements about relations whose
names begin with that of the instance, one after the other, as if they had been typed. So nothing at run time knows of
instances, and equal parts of several are one computation. A pipeline is checked by making an instance of it over
relations that have what its IN ports declare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from headwater.errors import NameTaken, SqlError, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner import ports
from headwater.planner.bodies import Body, Meant, inside
from headwater.planner.catalog import Catalog, Relation, View
from headwater.planner.components import Component, Instance, PipelineDefinition, Schema
from headwater.planner.create import define
from headwater.planner.views import Item, define_item

Made = Item | Instance
Old = Mapping[str, Item]

CLOCKS = ("shared", "own")
DEPTH_MAX = 32  # of instances inside instances


def define_pipeline(statement: syntax.CreatePipeline) -> PipelineDefinition:
    """The pipeline that `statement` declares; see `check_pipeline` for whether it can be."""
    statement = replace(statement, or_replace=False, if_not_exists=False)
    return PipelineDefinition(statement.name.text, statement, unparse(statement))


def define_instance(statement: syntax.CreateInstance, catalog: Catalog) -> Instance:
    """The instance itself, without its relations."""
    statement = replace(statement, or_replace=False, if_not_exists=False)
    pipeline = find_pipeline(statement.pipeline, catalog)
    outputs = frozenset(port.name.text.lower() for port in pipeline.outputs)
    return Instance(statement.name.text, pipeline.name, statement, unparse(statement), outputs, _clock(statement))


def component_of(statement: syntax.Statement, catalog: Catalog) -> Component | None:
    """The schema, pipeline or instance that a statement makes; None for one that makes something else."""
    match statement:
        case syntax.CreateSchema():
            return Schema(statement.name.text)
        case syntax.CreatePipeline():
            return define_pipeline(statement)
        case syntax.CreateInstance():
            return define_instance(statement, catalog)
    return None


def find_pipeline(name: Identifier, catalog: Catalog) -> PipelineDefinition:
    """The pipeline that a name refers to. Raises UnknownName with the nearest one."""
    found = catalog.pipelines.get(name.text.lower())
    if found is None:
        hint = suggestion(name.text, (p.name for p in catalog.pipelines.values()), "pipelines")
        raise UnknownName(f'there is no pipeline "{name.text}"', name.span, hint=hint)
    return found


def find_instance(name: Identifier, catalog: Catalog) -> Instance:
    """The instance that a name refers to. Raises UnknownName with the nearest one."""
    found = catalog.instances.get(name.text.lower())
    if found is None:
        hint = suggestion(name.text, (i.name for i in catalog.instances.values()), "instances")
        raise UnknownName(f'there is no instance "{name.text}"', name.span, hint=hint)
    return found


def _clock(statement: syntax.CreateInstance) -> Literal["shared", "own"]:
    clock: Literal["shared", "own"] = "shared"
    for item in statement.properties:
        if item.name != "clock":
            raise UnknownName(f'an instance has no property "{item.name}"', item.span, hint="clock = 'shared'")
        if item.value not in CLOCKS:
            raise SqlError("clock is 'shared' or 'own'", item.span, hint="clock = 'shared' moves with the database")
        clock = "own" if item.value == "own" else "shared"
    return clock


# ---------------------------------------------------------------- instances


def instantiated(statement: syntax.CreateInstance, catalog: Catalog, old: Old = MappingProxyType({})) -> list[Made]:
    """The instance that `statement` makes and all that is in it, in the order of their making. Raises SqlError; one in
    the body of a pipeline, which has been checked, is told at the statement.

    Of the `old` relations and views, by their names in lower case, those stay that would be made again as they are. A
    stream does not, if queries have put rows there that do not: it would have these twice. All is made anew in an
    instance with a clock of its own: its relations are seen from there.
    """
    while True:
        made = list(_instantiated(statement, catalog, old, 0))
        kept = [item for item in made if isinstance(item, Relation) and old.get(item.name.lower()) is item]
        twice = {i.name.lower() for i in kept if _writers(i, made) != _writers(i, old.values())}
        if not twice:
            return made
        old = {name: item for name, item in old.items() if name not in twice}


def _writers(stream: Relation, items: Iterable[Made]) -> set[int]:
    """The ids of the queries among items that put rows into a stream."""
    return {item.id for item in items if isinstance(item, Relation) and stream.id in item.targets}


def _instantiated(statement: syntax.CreateInstance, catalog: Catalog, old: Old, depth: int) -> Iterator[Made]:
    if depth == DEPTH_MAX:
        raise Unsupported(f"there are more than {DEPTH_MAX} instances inside each other", statement.span)
    pipeline = find_pipeline(statement.pipeline, catalog)
    instance = define_instance(statement, catalog)
    bound = ports.bound_ports(statement, pipeline, catalog, inside=depth > 0)
    body = Body(pipeline, instance.name, ports.bound_values(statement, pipeline))
    for name, (port, relation) in bound.items():
        body.names[name] = Meant(inside(relation.name), port if _has_more(relation, port) else None)
    yield instance
    catalog = catalog.with_component(instance)
    if instance.clock == "own":
        catalog, old = catalog.in_clock(catalog.next_id), {}
    try:
        yield from _made(body, catalog, old, depth)
    except SqlError as error:
        error.message, error.span = f'in pipeline "{pipeline.name}": {error.message}', statement.name.span
        raise


def _made(body: Body, catalog: Catalog, old: Old, depth: int) -> Iterator[Made]:
    """What the statements of a body make, each known to those behind it."""
    for inner in body.pipeline.statement.statements:
        statement = body.renamed(inner)
        if isinstance(statement, syntax.CreateInstance):
            for made in _instantiated(statement, catalog, old, depth + 1):
                yield made
                catalog = with_made(catalog, made)
        else:
            item = define_item(statement, catalog)
            before = old.get(item.name.lower())
            if before is not None and _said(before) == _said(item):
                item = before
            yield item
            catalog = with_made(catalog, item)
        body.learn(inner, catalog)


def _said(item: Item) -> tuple[object, ...]:
    """What an item is made of: two of which this is equal are the same, but for their ids."""
    targets = item.targets if isinstance(item, Relation) else frozenset[int]()
    return item.definition, item.reads, targets


def with_made(catalog: Catalog, made: Made) -> Catalog:
    """A catalog with something more. Raises SqlError for a name that is taken."""
    if isinstance(made, Instance):
        return catalog.with_component(made)
    return catalog.add(made.seen_from(catalog.clock))


def _has_more(relation: Relation, port: syntax.Port) -> bool:
    """Whether a relation has other columns than those of the port, or in another order."""
    declared = [column.name.text.lower() for column in port.columns]
    return [column.name.lower() for column in relation.columns] != declared


# ---------------------------------------------------------------- pipelines


def check_pipeline(pipeline: PipelineDefinition, catalog: Catalog) -> Catalog:
    """Raises SqlError, at its place in the body, for a pipeline of which nobody could make an instance. Gives what the
    body makes, over relations for its IN ports.
    """
    _refuse_repeated(pipeline)
    _refuse_cycle(pipeline, catalog)
    pipelines = {("PIPELINE", name): known for name, known in catalog.pipelines.items()}
    known = Catalog(types=catalog.types, functions=catalog.functions, components=pipelines, next_id=catalog.next_id)
    values = {p.name.text.lower(): _any_value(p) for p in pipeline.parameters}
    body = Body(pipeline, pipeline.name, values)
    for port in pipeline.inputs:
        ports.refuse_queue(port)
        known = known.add(define(ports.as_source(port), known))
        body.names[port.name.text.lower()] = Meant(Identifier(port.name.text, quoted=True))
    known = known.with_component(_checked(pipeline))
    try:
        made = list(_made(body, known, {}, 0))
    except UnknownName as error:
        ports.tell_of_parameter(error, pipeline)
        raise
    for item in made:
        known = with_made(known, item)
    for port in pipeline.outputs:
        _check_output(port, pipeline, known)
    return known


def _checked(pipeline: PipelineDefinition) -> Instance:
    """The instance that a pipeline is checked as, in a catalog that has nothing else."""
    statement = syntax.CreateInstance(Identifier(pipeline.name), Identifier(pipeline.name))
    return Instance(pipeline.name, pipeline.name, statement, "", frozenset())


def _any_value(parameter: syntax.PipelineParameter) -> syntax.Expression:
    """A value that a body is checked with: the default, or NULL of the type."""
    return ports.value_of(parameter, parameter.default or syntax.Literal("null", "null", span=parameter.span))


def _check_output(port: syntax.Port, pipeline: PipelineDefinition, made: Catalog) -> None:
    name = port.name.text
    item = made.named(f"{pipeline.name}.{name}")
    creation = f"CREATE {port.kind} {name} {'ON a stream' if port.kind == 'QUEUE' else 'AS SELECT …'}"
    if item is None:
        raise SqlError(
            f'the body makes no {port.kind.lower()} "{name}", which is an OUT port', port.name.span,
            hint=f"add {creation};",
        )  # fmt: skip
    if isinstance(item, View) or item.made_as != port.kind:
        raise TypeProblem(
            f'the body makes a {item.made_as.lower()} "{name}", and the OUT port is a {port.kind.lower()}',
            port.name.span, hint=f"let the body {creation}",
        )  # fmt: skip
    records = item if item.queue is None else made.by_id(item.queue.stream)
    ports.refuse_other(port, replace(records, name=name), f"the port {name}", port, exactly=True)


def _refuse_repeated(pipeline: PipelineDefinition) -> None:
    seen: set[str] = set()
    for item in pipeline.statement.ports:
        if item.name.text.lower() in seen:
            raise NameTaken(f'"{item.name.text}" is declared twice', item.name.span, hint="choose another name")
        seen.add(item.name.text.lower())


def _refuse_cycle(pipeline: PipelineDefinition, catalog: Catalog) -> None:
    """Raises SqlError for a pipeline with an instance of itself in it, also by way of others."""
    own = pipeline.name.lower()
    known = {**catalog.pipelines, own: pipeline}

    def way(name: str, before: tuple[str, ...]) -> tuple[str, ...] | None:
        if name == own and before:
            return (*before, name)
        if name in before or name not in known:
            return None
        return next((found for used in known[name].used if (found := way(used, (*before, name)))), None)

    for inner in pipeline.statement.statements:
        if isinstance(inner, syntax.CreateInstance):
            cycle = way(inner.pipeline.text.lower(), (own,))
            if cycle is not None:
                raise SqlError(
                    f"a pipeline cannot be part of itself: {' → '.join(known[name].name for name in cycle)}",
                    inner.pipeline.span, hint="let it read what the other one gives, by an IN port",
                )  # fmt: skip
