"""Definitions: statements that change the catalog, each one commit with a note, of which `catalogs` is the fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from headwater.engine import functions
from headwater.engine.composing import compose, note_of, noted, with_readers, without_items
from headwater.engine.counts import counted
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.rejecting import refuse_violated
from headwater.engine.result import Result
from headwater.engine.starts import begun
from headwater.engine.stops import refuse_stopped
from headwater.errors import NameTaken, SqlError, UnknownName, suggestion
from headwater.executor.row_errors import json_of
from headwater.parser import syntax, unparse
from headwater.planner import (
    Catalog,
    Item,
    Relation,
    View,
    altered,
    define_item,
    define_type,
    replaced,
)
from headwater.planner.alerts import FIRST_ID as FIRST_ALERT_ID
from headwater.planner.alter import added_checks, violating_check
from headwater.planner.qualified import refuse_part, refuse_place
from headwater.values import Column

Definition = (
    syntax.CreateRelation
    | syntax.CreateView
    | syntax.CreateQueue
    | syntax.CreateAssertion
    | syntax.CreateSchema
    | syntax.CreatePipeline
    | syntax.CreateInstance
    | syntax.CreateType
    | syntax.CreateFunction
    | syntax.Insert
    | syntax.Alter
    | syntax.Drop
)


_Create = syntax.CreateRelation | syntax.CreateView | syntax.CreateQueue | syntax.CreateAssertion


def define(statement: Definition, pipeline: Pipeline, reader: Reader, known: functions.Functions) -> Result:
    """Runs a statement that changes the catalog. Raises SqlError, and then nothing has changed."""
    with pipeline.defining:
        result = _defined(statement, pipeline, reader, known)
        reader.catalogs.learn(pipeline.catalog)
        return result


def _defined(statement: Definition, pipeline: Pipeline, reader: Reader, known: functions.Functions) -> Result:
    match statement:
        case syntax.CreateType():
            return _create_type(statement, pipeline)
        case syntax.CreateFunction():
            return functions.create(statement, pipeline, known, lambda v, c: _check_view(v, c, statement, reader))
        case syntax.Drop(kind="FUNCTION"):
            return functions.drop(statement, pipeline)
        case syntax.Insert():
            return _insert(statement, pipeline, reader)
        case syntax.Alter():
            return _alter(statement, pipeline, reader)
        case syntax.Drop(kind="TYPE"):
            return _drop_type(statement, pipeline)
        case syntax.CreateSchema() | syntax.CreatePipeline() | syntax.CreateInstance():
            return compose(statement, pipeline, lambda v, c: columns_of_view(v, c, reader))
        case syntax.Drop(kind="SCHEMA" | "PIPELINE" | "INSTANCE"):
            return compose(statement, pipeline, lambda v, c: columns_of_view(v, c, reader))
        case syntax.Drop():
            return _drop(statement, pipeline)
        case _:
            return _create(statement, pipeline, reader)


@dataclass(frozen=True, slots=True)
class Making:
    """What a CREATE would do: the items that it makes, the catalog with them, and the note that says so."""

    made: Sequence[Item]
    catalog: Catalog
    note: dict[str, Any]

    @property
    def relations(self) -> list[Relation]:
        """Those of the items that are relations."""
        return [item for item in self.made if isinstance(item, Relation)]


def making(statement: _Create, pipeline: Pipeline, reader: Reader) -> Making:
    """What a CREATE [OR REPLACE] would do. Raises SqlError where it cannot be done."""
    if isinstance(statement, syntax.CreateRelation):
        statement = begun(statement, pipeline, reader.points())
    catalog = pipeline.catalog
    existing = catalog.named(statement.name.text)
    refuse_place(statement.name, catalog)
    _refuse_error_stream(existing, statement.name, catalog)
    if existing is not None and isinstance(statement, syntax.CreateQueue) and statement.or_replace:
        raise SqlError(
            "a queue is not replaced: what it has handed out would be forgotten", statement.name.span,
            hint=f"DROP QUEUE {existing.name}; first, if that is meant",
        )  # fmt: skip
    if existing is not None and statement.or_replace and not isinstance(statement, syntax.CreateQueue):
        gone, made = replaced(statement, existing, catalog)
        for item in gone:
            catalog = catalog.remove(item.name)
        note: dict[str, Any] = {
            "drop": [item.name for item in reversed(gone)],
            "replace": [noted(item) for item in made],
        }
    else:
        if existing is not None:
            catalog.add(existing, statement.name.span)
        made = [define_item(statement, catalog)]
        note = noted(made[0])
    refuse_stopped([item for item in made if isinstance(item, Relation)], pipeline.catalog, pipeline.stopped)
    for item in made:
        catalog = catalog.add(item, statement.name.span)
        if isinstance(item, View):
            _check_view(item, catalog, statement, reader)
    return Making(made, catalog, note)


def _create(statement: _Create, pipeline: Pipeline, reader: Reader) -> Result:
    existing = pipeline.catalog.named(statement.name.text)
    if existing is not None and statement.if_not_exists:
        _refuse_error_stream(existing, statement.name, pipeline.catalog)
        return Result.of_message(f"{existing.name} exists already")
    planned = making(statement, pipeline, reader)
    made = planned.made
    for relation in planned.relations:
        if relation.reaction == "REJECT":
            refuse_violated(relation, pipeline.log, statement)
    rows = pipeline.define(planned.catalog, planned.relations, planned.note)
    word = "created" if existing is None else "replaced"
    also = f", and {', '.join(item.name for item in made[1:])} with it" if made[1:] else ""
    count = f" with {counted(rows, 'row')}" if rows else ""
    return Result.of_message(f"{word} {made[0].made_as.lower()} {made[0].name}{also}{count}")


def _insert(statement: syntax.Insert, pipeline: Pipeline, reader: Reader) -> Result:
    """Runs an INSERT that goes on."""
    catalog = pipeline.catalog
    query = define_item(begun(statement, pipeline, reader.points()), catalog)
    assert isinstance(query, Relation)
    refuse_stopped([query], pipeline.catalog, pipeline.stopped)
    note = {"create": query.definition, "id": query.id}
    rows = pipeline.define(catalog.add(query, statement.relation.span), [query], note)
    into, count = statement.relation.text, "" if not rows else f", {counted(rows, 'row')} so far"
    return Result.of_message(f"created query {query.name}, which inserts into {into}{count}")


def _refuse_error_stream(item: Item | None, name: syntax.Identifier, catalog: Catalog) -> None:
    """Raises SqlError for the error stream of a query, which is not defined for itself."""
    if isinstance(item, Relation) and item.errors_of is not None:
        owner = next(r for r in catalog.relations.values() if r.id == item.errors_of)
        if item.id >= FIRST_ALERT_ID:
            raise SqlError(
                f'"{item.name}" is the stream of alerts of "{owner.name}"', name.span,
                hint=f"it comes and goes with {owner.name}",
            )  # fmt: skip
        raise SqlError(
            f'"{item.name}" is the error stream of "{owner.name}"', name.span,
            hint=f"it comes and goes with {owner.name}; ON ERROR says where its errors go",
        )  # fmt: skip


def _check_view(
    view: View,
    catalog: Catalog,
    statement: _Create | syntax.CreateFunction,
    reader: Reader,
) -> None:
    """Raises SqlError for a view that nobody could ask."""
    try:
        columns_of_view(view, catalog, reader)
    except SqlError as error:
        if view.name != statement.name.text:
            raise NameTaken(
                f'"{statement.name.text}" cannot be replaced by this: the view {view.name} could not go on',
                statement.name.span, hint=f"DROP VIEW {view.name}; first",
            ) from error  # fmt: skip
        raise


def columns_of_view(view: View, catalog: Catalog, reader: Reader) -> tuple[Column, ...]:
    """The columns that `SELECT * FROM view` has."""
    columns = reader.columns(view.query, catalog)
    if len(view.columns) > len(columns):
        raise SqlError(
            f'"{view.name}" has {len(columns)} columns, and here are {len(view.columns)} names',
            view.columns[len(columns)].span, hint=f"columns: {', '.join(c.name for c in columns)}",
        )  # fmt: skip
    named = [Column(i.text, c.type) for i, c in zip(view.columns, columns, strict=False)]
    return (*named, *columns[len(named) :])


def _create_type(statement: syntax.CreateType, pipeline: Pipeline) -> Result:
    known = pipeline.catalog.types
    if statement.name.text.lower() in known and statement.if_not_exists:
        return Result.of_message(f"{statement.name.text} exists already")
    named = define_type(statement, known)
    definition = unparse(replace(statement, type=named.type, or_replace=False))
    pipeline.rename(pipeline.catalog.with_type(named), {"create": definition})
    return Result.of_message(f"created type {named.name}")


def _alter(statement: syntax.Alter, pipeline: Pipeline, reader: Reader) -> Result:
    _refuse_error_stream(pipeline.catalog.get(statement.name.text), statement.name, pipeline.catalog)
    relation, before = altered(statement, pipeline.catalog), pipeline.catalog.find(statement.name)
    for clause in added_checks(statement):
        try:
            found = reader.query(violating_check(clause, before, relation))
        except SqlError as error:  # about a row on which it cannot be computed
            error.span = clause.span
            raise
        for rows in found.arrow().to_batches():
            row = json_of(found.columns, rows)[0].as_py()
            raise SqlError(
                f'there is a row in "{relation.name}" that violates this: {row}', clause.span,
                hint="CREATE … AS SELECT … CHECK (…) ON VIOLATION DROP has those that do not",
            )  # fmt: skip
    pipeline.define(pipeline.catalog.with_item(relation), [relation], {"alter": unparse(statement)})
    return Result.of_message(f"altered {relation.kind.lower()} {relation.name}")


def _drop_type(statement: syntax.Drop, pipeline: Pipeline) -> Result:
    known = pipeline.catalog.types
    named = known.get(statement.name.text.lower())
    if named is None:
        if statement.if_exists:
            return Result.of_message(f"there is no {statement.name.text}")
        hint = suggestion(statement.name.text, (t.name for t in known.values()), "types")
        raise UnknownName(f'there is no type "{statement.name.text}"', statement.name.span, hint=hint)
    pipeline.rename(pipeline.catalog.without_type(named.name), {"drop_type": named.name})
    return Result.of_message(f"dropped type {named.name}")


def _drop(statement: syntax.Drop, pipeline: Pipeline) -> Result:
    catalog = pipeline.catalog
    if statement.if_exists and catalog.named(statement.name.text) is None:
        return Result.of_message(f"there is no {statement.name.text}")
    dropped = to_drop(statement, catalog)
    after = without_items(dropped, catalog)
    pipeline.rename(after, note_of(catalog, after))
    return Result.of_message(f"dropped {', '.join(item.name for item in dropped)}")


def to_drop(statement: syntax.Drop, catalog: Catalog) -> Sequence[Item]:
    """What a DROP removes, dependants first. Raises where it must not."""
    item = catalog.view(statement.name) or catalog.find(statement.name, queries=True)
    _refuse_error_stream(item, statement.name, catalog)
    if item.made_as != statement.kind:
        article = "an" if item.made_as == "ASSERTION" else "a"
        raise SqlError(
            f'"{item.name}" is {article} {item.made_as.lower()}', statement.name.span,
            hint=f"DROP {item.made_as} {item.name}",
        )  # fmt: skip
    refuse_part(item.name, statement.name, "DROP", catalog)
    dependents = [other for other in with_readers([item], catalog) if other is not item]
    if dependents and not statement.cascade:
        names = ", ".join(d.name for d in dependents)
        raise NameTaken(
            f'"{item.name}" is {"read" if _are_readers(dependents) else "used"} by {names}', statement.name.span,
            hint=f"drop them first, or write DROP {item.kind} {item.name} CASCADE",
        )  # fmt: skip
    return [*reversed(dependents), item]


def _are_readers(dependents: Sequence[Item]) -> bool:
    return not any(isinstance(item, Relation) and item.insertion is not None for item in dependents)
