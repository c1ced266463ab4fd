"""Qualified names in a query: what FROM bank.payments is called there.

As in SQL, it goes by the last part of its name, `payments`, unless it has an alias; and a column of it may be named
`bank.payments.amount` too. Both are said in a query's own words before it is planned: with an alias, and short names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from headwater.errors import SqlError, UnknownName, suggestion
from headwater.parser import syntax
from headwater.parser.syntax import Identifier, QualifiedName
from headwater.planner.catalog import Catalog

N = TypeVar("N", bound=syntax.Node)


def last_part(name: QualifiedName) -> Identifier:
    """What a relation goes by in a query that gives it no alias."""
    return Identifier(name.parts[-1], name.quoted, span=name.span)


def with_short_names(node: N) -> N:
    """`node` with an alias for each relation that has a qualified name and no alias, by which its columns go."""
    named = {
        tuple(part.lower() for part in inner.name.parts)
        for inner in syntax.walk(node)
        if isinstance(inner, syntax.Relation) and isinstance(inner.name, QualifiedName) and inner.alias is None
    }
    if not named:
        return node

    def change(inner: syntax.Node) -> syntax.Node | None:
        match inner:
            case syntax.Relation(name=QualifiedName() as name, alias=None):
                return replace(inner, alias=last_part(name))
            case syntax.Star(relation=QualifiedName() as name) if _lower(name.parts) in named:
                return replace(inner, relation=last_part(name), replace=syntax.rewrite(inner.replace, change))
            case syntax.Name(parts=parts):
                return _short(inner, parts)
        return None

    def _short(name: syntax.Name, parts: tuple[Identifier, ...]) -> syntax.Name:
        for length in range(len(parts) - 1, 1, -1):
            if _lower(tuple(part.text for part in parts[:length])) in named:
                return replace(name, parts=parts[length - 1 :])
        return name

    return syntax.rewrite(node, change)


def _lower(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.lower() for part in parts)


def refuse_place(name: Identifier, catalog: Catalog) -> None:
    """Raises SqlError for a name under which nothing can be made: in no schema that is there, or in an instance."""
    if "." not in name.text:
        return
    if not isinstance(name, QualifiedName):
        raise SqlError("a name has no dot in it", name.span, hint=f"without quotes it is one in a schema: {name.text}")
    schema = name.text.rpartition(".")[0]
    owner = catalog.owner(name.text)
    if owner is not None:
        raise SqlError(
            f'"{owner.name}" is an instance: what is in it is made by the pipeline {owner.pipeline}', name.span,
            hint=f"CREATE OR REPLACE PIPELINE {owner.pipeline}, or choose another name",
        )  # fmt: skip
    if schema.lower() not in catalog.schemas:
        hint = suggestion(schema, (s.name for s in catalog.schemas.values()), "schemas")
        hint = f"CREATE SCHEMA {schema}; first{f'; {hint}' if hint else ''}"
        raise UnknownName(f'there is no schema "{schema}"', name.span, hint=hint)


def refuse_part(known: str, name: Identifier, verb: str, catalog: Catalog) -> None:
    """Raises SqlError for what is in an instance, if it is to be treated otherwise than the instance as a whole."""
    owner = catalog.owner(known)
    if owner is not None:
        raise SqlError(
            f'"{known}" is a part of the instance {owner.name}', name.span, hint=f"{verb} INSTANCE {owner.name}"
        )


def as_a_whole(relation: str, catalog: Catalog) -> str:
    """What PAUSE and RESUME are told for a relation: its name or, where it is in one, its instance."""
    owner = catalog.owner(relation)
    return relation if owner is None else f"INSTANCE {owner.name}"


def refuse_inspecting(statement: syntax.Statement) -> None:
    """Raises SqlError where INSPECT stands in a statement that does more than look."""
    match statement:
        case syntax.Query() | syntax.Describe() | syntax.Explain() | syntax.ExplainRow() | syntax.Diff():
            return
        case syntax.Copy(direction="TO") | syntax.AssertValues() | syntax.AssertRelation():
            return
    for node in syntax.walk(statement):
        if isinstance(node, QualifiedName) and node.inspected:
            raise SqlError(
                "INSPECT is for looking into an instance, and this does more", node.span,
                hint="let the pipeline give it out, by an OUT port",
            )  # fmt: skip
