"""CREATE, DROP and PAUSE of what relations are put together by: schemas, pipelines and instances.

Each is one commit with one note, which says what the catalog has lost and gained by it: an instance is there with all
of its relations, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from headwater.engine.counts import counted
from headwater.engine.pipeline import Pipeline
from headwater.engine.result import Result
from headwater.engine.stops import refuse_stopped
from headwater.errors import NameTaken, SqlError, UnknownName, suggestion
from headwater.parser import syntax, unparse
from headwater.planner import Catalog, Item, Relation, View
from headwater.planner.components import Component, Instance, PipelineDefinition, Schema
from headwater.planner.instances import (
    check_pipeline,
    define_pipeline,
    find_instance,
    find_pipeline,
    instantiated,
    with_made,
)
from headwater.planner.ports import bound_ports
from headwater.planner.qualified import refuse_part, refuse_place
from headwater.planner.views import remade

Composition = syntax.CreateSchema | syntax.CreatePipeline | syntax.CreateInstance | syntax.Drop
CheckView = Callable[[View, Catalog], object]  # raises SqlError for a view that nobody could ask


def compose(statement: Composition, pipeline: Pipeline, check_view: CheckView) -> Result:
    """Runs the statement. Raises SqlError, and then nothing has changed."""
    catalog = pipeline.catalog
    name = statement.name
    if isinstance(statement, syntax.Drop):
        return _drop(statement, pipeline)
    kind = _KINDS[type(statement)]
    known = catalog.components.get((kind, name.text.lower()))
    if known is not None and statement.if_not_exists:
        return Result.of_message(f"{known.name} exists already")
    is_replaced = known is not None and not isinstance(statement, syntax.CreateSchema) and statement.or_replace
    if known is not None and not is_replaced:
        hint = "" if isinstance(known, Schema) else "write CREATE OR REPLACE, or "
        raise NameTaken(
            f'the {kind.lower()} "{known.name}" exists already',
            name.span,
            hint=f"{hint}DROP {kind} {known.name}; first",
        )
    match statement:
        case syntax.CreateSchema():
            if name.text.lower() in catalog.instances:
                raise NameTaken(f'"{name.text}" is an instance', name.span, hint="choose another name")
            after = catalog.with_component(Schema(name.text))
        case syntax.CreatePipeline():
            after = _with_pipeline(statement, catalog, check_view)
        case syntax.CreateInstance():
            after = _with_instance(statement, catalog)
    rows = change(pipeline, after, check_view)
    count = f" with {counted(rows, 'row')}" if rows else ""
    return Result.of_message(f"{'replaced' if is_replaced else 'created'} {kind.lower()} {name.text}{count}")


_KINDS = {syntax.CreateSchema: "SCHEMA", syntax.CreatePipeline: "PIPELINE", syntax.CreateInstance: "INSTANCE"}


def change(pipeline: Pipeline, after: Catalog, check_view: CheckView) -> int:
    """Makes `after` the catalog, in one commit with the rows so far of what it has more; gives how many."""
    before = pipeline.catalog
    made = [item for item in _items(after) if before.named(item.name) is not item]
    relations = [item for item in made if isinstance(item, Relation)]
    for item in made:
        if isinstance(item, View):
            check_view(item, after)
    refuse_stopped(relations, before, pipeline.stopped)
    note = note_of(before, after)
    if relations:
        return pipeline.define(after, relations, note)
    pipeline.rename(after, note)
    return 0


def note_of(before: Catalog, after: Catalog) -> dict[str, Any]:
    """The note that says what one catalog has lost and gained to become another: see `catalogs`."""
    gone = [item for item in _items(before) if after.named(item.name) is not item]
    made = [item for item in _items(after) if before.named(item.name) is not item]
    components = [c for key, c in after.components.items() if before.components.get(key) is not c]
    lost = [c for key, c in before.components.items() if key not in after.components]
    return {
        "drop": [item.name for item in reversed(gone)],
        "drop_components": [[c.kind, c.name] for c in reversed(lost)],
        "replace": [
            *({"create": _definition(c)} for c in components),
            *map(noted, made),
        ],
    }


def noted(item: Item) -> dict[str, Any]:
    """How an item that is made stands in a note: with its clock, if it has one of its own."""
    note: dict[str, Any] = {"create": item.definition, "id": item.id}
    return {**note, "clock": item.clock} if item.clock else note


def _definition(component: Component) -> str:
    if isinstance(component, Schema):
        return unparse(syntax.CreateSchema(syntax.Identifier(component.name, quoted=True)))
    return component.definition


def _items(catalog: Catalog) -> list[Item]:
    """Relations and views in the order of their making."""
    items: list[Item] = [*catalog.relations.values(), *catalog.views.values()]
    return sorted(items, key=lambda item: item.id)


def items_of(instance: Instance, catalog: Catalog) -> list[Item]:
    """All relations and views of an instance and of those inside it, in the order of their making."""
    return [item for item in _items(catalog) if _is_in(item.name, instance.name)]


def _is_in(name: str, place: str) -> bool:
    return name.lower().startswith(f"{place.lower()}.")


# ---------------------------------------------------------------- CREATE


def _with_instance(statement: syntax.CreateInstance, catalog: Catalog) -> Catalog:
    """A catalog with an instance, in the place of one of its name; what reads that follows."""
    name = statement.name
    refuse_place(name, catalog)
    if name.text.lower() in catalog.schemas:
        raise NameTaken(f'"{name.text}" is a schema', name.span, hint="choose another name")
    old = catalog.instances.get(name.text.lower())
    mine = [] if old is None else items_of(old, catalog)
    readers = [d for item in mine for d in catalog.dependents(item) if d not in mine]
    pipeline = find_pipeline(statement.pipeline, catalog)
    for _, relation in bound_ports(statement, pipeline, catalog).values():
        if relation in (*mine, *readers):
            raise SqlError(f'"{name.text}" would read itself, by way of {relation.name}', name.span)
    base = catalog if old is None else _without(mine, [old], catalog)
    made = instantiated(statement, base, {item.name.lower(): item for item in mine})
    gone = [item for item in mine if item not in made]
    _refuse_rewriting(gone, name)
    following = {d.id: d for item in gone for d in catalog.dependents(item) if d not in mine}
    after = base
    for reader in following.values():
        after = after.remove(reader.name)
    for item in made:
        after = with_made(after, item)
    for item in remade(sorted(following.values(), key=lambda d: d.id), after, f'"{name.text}"', name.span):
        after = after.add(item)
    return after


def _refuse_rewriting(gone: Iterable[Item], name: syntax.Identifier) -> None:
    """Raises SqlError for a ledger among what would be made anew."""
    ledger = next((item for item in gone if isinstance(item, Relation) and item.log.ledger), None)
    if ledger is not None:
        raise SqlError(
            f'"{ledger.name}" is a ledger, and would be written anew', name.span,
            hint=f"make another instance; or, if that is meant, DROP INSTANCE {name.text}; first",
        )  # fmt: skip


def _with_pipeline(statement: syntax.CreatePipeline, catalog: Catalog, check_view: CheckView) -> Catalog:
    """A catalog with a pipeline, in the place of one of its name; its instances follow."""
    name = statement.name
    refuse_place(name, catalog)
    pipeline = define_pipeline(statement)
    old = catalog.pipelines.get(name.text.lower())
    checked = check_pipeline(pipeline, catalog)
    for view in checked.views.values():
        check_view(view, checked)
    after = catalog.with_component(pipeline)
    if old is None:
        return after
    users = _users(old, catalog)
    instances = [i for i in outermost(catalog) if i.pipeline in (old.name, *(user.name for user in users))]
    if old.ports != pipeline.ports and instances:
        raise NameTaken(
            f'the ports of "{old.name}" cannot be changed: it has the instances {_names(instances)}', name.span,
            hint=f"DROP INSTANCE {instances[0].name}; first, or give the new pipeline another name",
        )  # fmt: skip
    following: list[PipelineDefinition | Instance] = [*users, *instances]
    for item in following:
        try:
            if isinstance(item, PipelineDefinition):
                check_pipeline(item, after)
            else:
                after = _with_instance(item.statement, after)
        except SqlError as error:
            raise NameTaken(
                f'"{old.name}" cannot be replaced by this: the {item.kind.lower()} {item.name} could not go on, as '
                f"{error.message}", name.span, hint=f"DROP {item.kind} {item.name}; first",
            ) from error  # fmt: skip
    return after


def _users(pipeline: PipelineDefinition, catalog: Catalog) -> list[PipelineDefinition]:
    """The pipelines in whose bodies there are instances of one, also by way of others."""
    found = {pipeline.name.lower()}
    users: list[PipelineDefinition] = []
    while more := [p for p in catalog.pipelines.values() if p.name.lower() not in found and found & set(p.used)]:
        found |= {p.name.lower() for p in more}
        users += more
    return users


def outermost(catalog: Catalog) -> list[Instance]:
    """The instances that users have created, not those inside them."""
    return [i for i in catalog.instances.values() if catalog.owner(i.name) is None]


def _names(items: Iterable[Component | Item]) -> str:
    return ", ".join(item.name for item in items)


# ---------------------------------------------------------------- DROP


def _drop(statement: syntax.Drop, pipeline: Pipeline) -> Result:
    catalog, name = pipeline.catalog, statement.name
    if statement.if_exists and (statement.kind, name.text.lower()) not in catalog.components:
        return Result.of_message(f"there is no {name.text}")
    after = _after_drop(statement, catalog)
    pipeline.rename(after, note_of(catalog, after))
    gone = [item for item in _items(catalog) if after.named(item.name) is None and catalog.owner(item.name) is None]
    own = (statement.kind, name.text.lower())
    lost = [c for key, c in catalog.components.items() if key not in after.components and key != own]
    parts = [c for c in lost if catalog.owner(c.name) is None]
    also = _names([*parts, *gone])
    return Result.of_message(f"dropped {statement.kind.lower()} {name.text}{f', and {also} with it' if also else ''}")


def _after_drop(statement: syntax.Drop, catalog: Catalog) -> Catalog:
    name = statement.name
    match statement.kind:
        case "PIPELINE":
            return _without_pipelines([find_pipeline(name, catalog)], statement, catalog)
        case "INSTANCE":
            instance = find_instance(name, catalog)
            refuse_part(instance.name, name, "DROP", catalog)
            return _without_instances([instance], statement, catalog)
    schema = catalog.schemas.get(name.text.lower())
    if schema is None:
        hint = suggestion(name.text, (s.name for s in catalog.schemas.values()), "schemas")
        raise UnknownName(f'there is no schema "{name.text}"', name.span, hint=hint)
    pipelines = [p for p in catalog.pipelines.values() if _is_in(p.name, schema.name)]
    instances = [i for i in outermost(catalog) if _is_in(i.name, schema.name)]
    items = [i for i in _items(catalog) if _is_in(i.name, schema.name) and catalog.owner(i.name) is None]
    _refuse_loss([*pipelines, *instances, *items], f'the schema "{schema.name}" holds', statement)
    catalog = _without_instances(instances, statement, catalog)
    catalog = _without_pipelines([p for p in pipelines if p.name.lower() in catalog.pipelines], statement, catalog)
    lost = with_readers([item for item in items if catalog.named(item.name) is not None], catalog)
    return without_items(lost, catalog).without_component("SCHEMA", schema.name)


def _without_pipelines(pipelines: list[PipelineDefinition], statement: syntax.Drop, catalog: Catalog) -> Catalog:
    """A catalog without pipelines, those that use them, and the instances of all of these."""
    users = [user for pipeline in pipelines for user in _users(pipeline, catalog) if user not in pipelines]
    gone = [*pipelines, *users]
    instances = [i for i in outermost(catalog) if i.pipeline in {p.name for p in gone}]
    if pipelines and statement.kind == "PIPELINE":
        _refuse_loss([*users, *instances], f'"{pipelines[0].name}" is used by', statement)
    catalog = _without_instances(instances, statement, catalog)
    for pipeline in gone:
        catalog = catalog.without_component("PIPELINE", pipeline.name)
    return catalog


def _without_instances(instances: list[Instance], statement: syntax.Drop, catalog: Catalog) -> Catalog:
    """A catalog without instances, all that is in them, and what reads that."""
    mine = [item for instance in instances for item in items_of(instance, catalog)]
    lost = with_readers(mine, catalog)
    if instances and statement.kind == "INSTANCE":
        _refuse_loss([i for i in lost if i not in mine], f'"{instances[0].name}" is read by', statement)
    return _without([], instances, without_items(lost, catalog))


def _refuse_loss(items: list[Any], why: str, statement: syntax.Drop) -> None:
    """Raises NameTaken if there is something that only CASCADE takes along."""
    if items and not statement.cascade:
        kind, name = statement.kind, statement.name
        raise NameTaken(
            f"{why} {_names(items)}", name.span, hint=f"drop them first, or write DROP {kind} {name.text} CASCADE"
        )


def with_readers(items: Iterable[Item], catalog: Catalog) -> list[Item]:
    """Items, all that reads them, and all of the instances that any of these is in: in the order of their making."""
    found: dict[int, Item] = {}
    ahead = list(items)
    while ahead:
        item = ahead.pop()
        if item.id in found:
            continue
        found[item.id] = item
        owner = catalog.owner(item.name)
        ahead += [*catalog.dependents(item), *(items_of(owner, catalog) if owner is not None else ())]
    return [found[id] for id in sorted(found)]


def without_items(items: Iterable[Item], catalog: Catalog) -> Catalog:
    """A catalog without items, and without the instances that they were in."""
    items = list(items)
    owners = [owner for item in items if (owner := catalog.owner(item.name)) is not None]
    return _without(items, owners, catalog)


def _without(items: Iterable[Item], instances: Iterable[Instance], catalog: Catalog) -> Catalog:
    for item in items:
        catalog = catalog.remove(item.name)
    for instance in instances:
        inner = [i.name for i in catalog.instances.values() if _is_in(i.name, instance.name)]
        for name in (instance.name, *inner):
            catalog = catalog.without_component("INSTANCE", name)
    return catalog
