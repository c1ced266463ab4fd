"""CREATE VIEW: from the statement to the view that the catalog will hold, and what depends on what is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headwater.errors import NameTaken, Span, SqlError
from headwater.parser import parse_statement, syntax, unparse
from headwater.planner.assertions import define_assertion, refuse_unguarded, violating
from headwater.planner.catalog import Catalog, Relation, View
from headwater.planner.create import define
from headwater.planner.inserts import define_insert
from headwater.planner.names import relations_in
from headwater.planner.queues import define_queue
from headwater.planner.unsupported import refuse_snapshot
from headwater.planner.user_functions import functions_in

Item = Relation | View
OfQuery = syntax.CreateRelation | syntax.CreateView
Replacing = OfQuery | syntax.CreateAssertion
Definition = OfQuery | syntax.CreateQueue | syntax.CreateAssertion | syntax.Insert


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
        case syntax.CreateAssertion():
            return define_assertion(statement, catalog)
        case syntax.Insert():
            query = define_insert(statement, catalog)
            refuse_unguarded(query, catalog, statement.relation)
            return query
        case syntax.CreateRelation():
            relation = define(statement, catalog)
            refuse_unguarded(relation, catalog, statement.name)
            return relation


def replaced(statement: Replacing, old: Item, catalog: Catalog) -> tuple[list[Item], list[Item]]:
    """What CREATE OR REPLACE takes away, and what it makes in its place, both in an order of dependency.

    What depends on the old one is made anew from its own text. Raises SqlError if that is not the same any more.
    """
    span = statement.name.span
    _refuse_other_kind(statement, old)
    gone = [old, *catalog.dependents(old)]
    refuse_ledgers(gone, span)
    query = violating(statement) if isinstance(statement, syntax.CreateAssertion) else statement.query
    assert query is not None
    for name in relations_in(query):
        if catalog.named(name.text) in gone:
            raise SqlError(f'"{old.name}" would read itself', name.span, hint="read what it is made from")
    for item in reversed(gone):
        catalog = catalog.remove(item.name)
    made = define_item(statement, catalog)
    return gone, [made, *remade(gone[1:], catalog.add(made), f'"{old.name}"', span)]


def refuse_ledgers(gone: Sequence[Item], span: Span) -> None:
    """Raises SqlError where a replacement would take a ledger away."""
    for item in gone:
        if isinstance(item, Relation) and item.log.ledger:
            raise SqlError(
                f'the ledger "{item.name}" is not made anew: its records and their hashes would be gone', span,
                hint=f"DROP STREAM {item.name}; first, if that is meant, or make another ledger",
            )  # fmt: skip


def remade(dependents: list[Item], catalog: Catalog, replaced: str, span: Span) -> list[Item]:
    """Items made anew from their own texts, in the same order, because what they read was `replaced`.

    Their columns may be others then. Raises NameTaken for one that cannot go on.
    """
    made: list[Item] = []
    clocks: dict[int, int] = {}  # by those of what is made anew, the ones that it gets
    for dependent in dependents:
        if isinstance(dependent, Relation) and dependent.insertion is not None:
            raise NameTaken(
                f"{replaced} cannot be replaced: what {dependent.name} has inserted stays as it is", span,
                hint=f"DROP QUERY {dependent.name}; first, and INSERT INTO … WITH (start = 'latest') anew afterwards",
            )  # fmt: skip
        definition = parse_statement(dependent.definition)
        assert isinstance(definition, Definition)
        try:
            made.append(_defined_anew(definition, dependent, catalog, clocks))
        except SqlError as error:
            kind, name = dependent.kind, dependent.name
            raise NameTaken(
                f"{replaced} cannot be replaced by this: the {kind.lower()} {name} could not go on, as {error.message}",
                span, hint=f"keep what it reads, or DROP {kind} {name}; first, and make it anew afterwards",
            ) from error  # fmt: skip
        catalog = catalog.add(made[-1])
    return made


def _defined_anew(definition: Definition, old: Item, catalog: Catalog, clocks: dict[int, int]) -> Item:
    """An item from its own text, together in a clock with those with which it was together in one."""
    if old.clock == catalog.clock:
        return define_item(definition, catalog)
    clock = clocks.setdefault(old.clock, catalog.next_id)
    return define_item(definition, catalog.in_clock(clock)).seen_from(catalog.clock)


def _refuse_other_kind(statement: Replacing, old: Item) -> None:
    span = statement.name.span
    kind = "VIEW" if isinstance(statement, syntax.CreateView) else "ASSERTION"
    kind = statement.kind if isinstance(statement, syntax.CreateRelation) else kind
    if kind != old.made_as:
        article = "an" if old.made_as == "ASSERTION" else "a"
        raise SqlError(
            f'"{old.name}" is {article} {old.made_as.lower()}', span, hint=f"DROP {old.made_as} {old.name}; first"
        )
    has_query = not isinstance(statement, syntax.CreateRelation) or statement.query is not None
    if isinstance(old, Relation) and not (old.has_query and has_query):
        raise SqlError(
            f'"{old.name}" cannot be replaced: it has rows that no query makes', span,
            hint=f"ALTER {old.kind} {old.name} ADD COLUMN …, or DROP {old.kind} {old.name}; first",
        )  # fmt: skip
