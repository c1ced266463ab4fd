"""CREATE VIEW: from the statement to the view that the catalog will hold, and what depends on what is replaced."""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import NameTaken, Span, SqlError
from headwater.parser import parse_statement, syntax, unparse
from headwater.planner.catalog import Catalog, Relation, View
from headwater.planner.create import define
from headwater.planner.inserts import define_insert
from headwater.planner.names import relations_in
from headwater.planner.queues import define_queue
from headwater.planner.unsupported import refuse_snapshot
from headwater.planner.user_functions import functions_in

Item = Relation | View
OfQuery = syntax.CreateRelation | syntax.CreateView
Definition = OfQuery | syntax.CreateQueue | syntax.Insert


def define_view(statement: syntax.CreateView, catalog: Catalog) -> View:
    """The view that `statement` makes, whatever it replaces. Raises SqlError for names that are not there."""
    query = replace(statement.query, emit="FINAL" if statement.query.emit == "FINAL" else None)
    refuse_snapshot(query)
    return View(
        name=statement.name.text,
        id=catalog.next_id,
        query=query,
        definition=unparse(replace(statement, or_replace=False)),
        columns=statement.columns,
        reads=tuple(
            sorted({*(catalog.item(n).id for n in relations_in(query)), *functions_in(query, catalog.functions)})
        ),
    )


def define_item(statement: Definition, catalog: Catalog) -> Item:
    """The relation or view that `statement` makes; of a queue the table of its state."""
    match statement:
        case syntax.CreateView():
            return define_view(statement, catalog)
        case syntax.CreateQueue():
            return define_queue(statement, catalog)
        case syntax.Insert():
            return define_insert(statement, catalog)
        case syntax.CreateRelation():
            return define(statement, catalog)


def replaced(statement: OfQuery, old: Item, catalog: Catalog) -> tuple[list[Item], list[Item]]:
    """What CREATE OR REPLACE takes away, and what it makes in its place, both in an order of dependency.

    What depends on the old one is made anew from its own text. Raises SqlError if that is not the same any more.
    """
    span = statement.name.span
    _refuse_other_kind(statement, old)
    gone = [old, *catalog.dependents(old)]
    assert statement.query is not None
    for name in relations_in(statement.query):
        if catalog.named(name.text) in gone:
            raise SqlError(f'"{old.name}" would read itself', name.span, hint="read what it is made from")
    for item in reversed(gone):
        catalog = catalog.remove(item.name)
    made = define_item(statement, catalog)
    return gone, [made, *remade(gone[1:], catalog.add(made), f'"{old.name}"', span)]


def remade(dependents: list[Item], catalog: Catalog, replaced: str, span: Span) -> list[Item]:
    """Items made anew from their own texts, in the same order, because what they read was `replaced`.

    Their columns may be others then. Raises NameTaken for one that cannot go on.
    """
    made: list[Item] = []
    for dependent in dependents:
        if isinstance(dependent, Relation) and dependent.insertion is not None:
            raise NameTaken(
                f"{replaced} cannot be replaced: what {dependent.name} has inserted stays as it is", span,
                hint=f"DROP QUERY {dependent.name}; first, and INSERT INTO … WITH (start = 'latest') anew afterwards",
            )  # fmt: skip
        definition = parse_statement(dependent.definition)
        assert isinstance(definition, Definition)
        try:
            made.append(define_item(definition, catalog))
        except SqlError as error:
            kind, name = dependent.kind, dependent.name
            raise NameTaken(
                f"{replaced} cannot be replaced by this: the {kind.lower()} {name} could not go on, as {error.message}",
                span, hint=f"keep what it reads, or DROP {kind} {name}; first, and make it anew afterwards",
            ) from error  # fmt: skip
        catalog = catalog.add(made[-1])
    return made


def _refuse_other_kind(statement: OfQuery, old: Item) -> None:
    span = statement.name.span
    kind = "VIEW" if isinstance(statement, syntax.CreateView) else statement.kind
    if kind != old.kind:
        raise SqlError(f'"{old.name}" is a {old.kind.lower()}', span, hint=f"DROP {old.kind} {old.name}; first")
    if isinstance(old, Relation) and not (old.has_query and statement.query is not None):
        raise SqlError(
            f'"{old.name}" cannot be replaced: it has rows that no query makes', span,
            hint=f"ALTER {old.kind} {old.name} ADD COLUMN …, or DROP {old.kind} {old.name}; first",
        )  # fmt: skip
