"""Which columns can be named at a place in a query, and what a name there means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.errors import UnknownName, suggestion
from headwater.parser.syntax import Identifier, Name
from headwater.values import ROWOFFSET, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART

# What makes the pseudo-columns be there.
_ONLY_WITH = {
    ROWTIME: "only a stream has it",
    ROWPARTITION: "only a stream has it",
    ROWOFFSET: "only a stream has it",
    WINDOWSTART: "write WINDOW TUMBLING (SIZE …) after FROM",
    WINDOWEND: "write WINDOW TUMBLING (SIZE …) after FROM",
}


@dataclass(frozen=True)
class ScopeColumn:
    """A column that can be named: by its relation's alias and its name. `internal` is its name in the plan.

    Hidden columns (ROWTIME, WINDOWSTART …) can be named but are not part of `*`. A merged one, which USING has made one
    with a column of the other side, can be named as its relation's alone.
    """

    relation: str | None
    name: str
    internal: str
    type: str
    hidden: bool = False
    merged: bool = False


@dataclass(frozen=True)
class Scope:
    """The columns in reach, in the order of `*`."""

    columns: tuple[ScopeColumn, ...]

    def resolve(self, name: Name) -> tuple[ScopeColumn, tuple[Identifier, ...]]:
        """The column that `name` means, and the parts left over, which are struct fields.

        Raises UnknownName: with the nearest name, or with the candidates of an ambiguous one.
        """
        parts = name.parts
        if len(parts) > 1 and any(c.relation is not None and _same(parts[0], c.relation) for c in self.columns):
            members = [c for c in self.columns if c.relation is not None and _same(parts[0], c.relation)]
            found = [c for c in members if _same(parts[1], c.name)]
            if found:
                return found[0], parts[2:]
            raise self._unknown(parts[1], members, f" in {parts[0].text}")
        found = [c for c in self.columns if not c.merged and _same(parts[0], c.name)]
        if len(found) > 1:
            listed = " or ".join(f"{c.relation}.{c.name}" for c in found)
            raise UnknownName(f'column "{parts[0].text}" is ambiguous', name.span, hint=f"write {listed}")
        if found:
            return found[0], parts[1:]
        if len(parts) > 1:
            relations = sorted({c.relation for c in self.columns if c.relation})
            hint = suggestion(parts[0].text, relations, "relations here")
            raise UnknownName(f'there is no relation "{parts[0].text}" in FROM', parts[0].span, hint=hint)
        raise self._unknown(parts[0], self.columns, "")

    def has(self, name: Name) -> bool:
        """Whether `name` means exactly one column here."""
        try:
            self.resolve(name)
        except UnknownName:
            return False
        return True

    def visible(self, relation: Identifier | None = None) -> list[ScopeColumn]:
        """The columns of `*`, or of `relation.*`."""
        if relation is None:
            return [c for c in self.columns if not c.hidden and not c.merged]
        aliases = {c.relation for c in self.columns if c.relation is not None}
        if not any(_same(relation, alias) for alias in aliases):
            hint = suggestion(relation.text, aliases, "relations here")
            raise UnknownName(f'there is no relation "{relation.text}" in FROM', relation.span, hint=hint)
        return [c for c in self.columns if not c.hidden and c.relation is not None and _same(relation, c.relation)]

    def _unknown(self, part: Identifier, candidates: Iterable[ScopeColumn], where: str) -> UnknownName:
        names = [c.name for c in candidates if not c.hidden]
        hint = _ONLY_WITH.get(part.text.upper()) or suggestion(part.text, names, "columns")
        return UnknownName(f'there is no column "{part.text}"{where}', part.span, hint=hint)


def _same(identifier: Identifier, name: str) -> bool:
    """Whether an identifier as written means `name`: exactly when quoted, else without regard to case."""
    return identifier.text == name if identifier.quoted else identifier.text.lower() == name.lower()
