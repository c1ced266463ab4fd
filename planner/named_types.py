"""Named types: what CREATE TYPE makes, and the types that stand for the names in a statement.

Names are replaced before anything else is done with a statement. So definitions hold no names of types, and nothing
depends on one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from headwater.errors import NameTaken, SqlError, TypeProblem
from headwater.parser import syntax
from headwater.planner.catalog import NamedType
from headwater.planner.sql_types import normal_type

_TYPED = (syntax.Cast, syntax.ColumnDefinition, syntax.CreateType, syntax.Parameter, syntax.PipelineParameter)

N = TypeVar("N", bound=syntax.Node)

# A quoted name, a text, a word, a parenthesis or a comma.
_PART = re.compile(r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'|\w+|[(),]')
_WITH_FIELDS = ("STRUCT", "ROW", "UNION")


def with_named_types(node: N, types: Mapping[str, NamedType]) -> N:
    """`node` with the types that `types`, by their names in lower case, stand for."""
    if not types:
        return node

    def change(inner: syntax.Node) -> syntax.Node | None:
        if isinstance(inner, syntax.CreateFunction):
            parameters = tuple(with_named_types(parameter, types) for parameter in inner.parameters)
            return replace(inner, parameters=parameters, returns=expanded(inner.returns, types))
        if not isinstance(inner, _TYPED):
            return None
        known = expanded(inner.type, types)
        return None if known == inner.type else with_named_types(replace(inner, type=known), types)

    return syntax.rewrite(node, change)


def expanded(type_name: str, types: Mapping[str, NamedType]) -> str:
    """The text of a type, with the types that names in it stand for. A field of a STRUCT keeps its name."""
    opened: list[str] = []  # the word before each parenthesis that is open
    before = ""
    parts = []
    position = 0
    for found in _PART.finditer(type_name):
        part = found.group()
        is_field = before in ("(", ",") and bool(opened) and opened[-1] in _WITH_FIELDS
        named = None if is_field else types.get(part.strip('"').lower())
        parts += [type_name[position : found.start()], part if named is None else named.type]
        position = found.end()
        if part == "(":
            opened.append(before.upper())
        elif part == ")" and opened:
            opened.pop()
        before = part
    return "".join([*parts, type_name[position:]])


def define_type(statement: syntax.CreateType, types: Mapping[str, NamedType]) -> NamedType:
    """The named type that `statement` makes. Raises SqlError for a name that is taken, or a type that is none."""
    name = statement.name
    if name.text.lower() in types and not statement.or_replace:
        raise NameTaken(f'the type "{name.text}" exists already', name.span, hint=f"DROP TYPE {name.text}; first")
    if _is_of_duckdb(name.text):
        raise SqlError(f'"{name.text}" is a type already', name.span, hint="choose another name")
    try:
        return NamedType(name.text, normal_type(statement.type))
    except TypeProblem as error:
        error.span = statement.span
        raise


def _is_of_duckdb(name: str) -> bool:
    try:
        normal_type(name)
    except TypeProblem:
        return False
    return True
