"""Values of a program in a statement: `?`, in order, or `$name`.

In goes a statement as it was read, with its placeholders; out comes one in which each is a constant of the value's
type. So a value is never part of a text that is read, and cannot be more than a value.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from headwater.errors import DataError, SqlError, suggestion
from headwater.parser.expressions import Array, Cast, Expression, Interval, Literal, Placeholder, Unary
from headwater.parser.nodes import Node, rewrite, walk
from headwater.parser.statements import CreatePipeline

# Values by place, for `?`, or by name, for `$name`.
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

N = TypeVar("N", bound=Node)

_HINT = 'give them beside the text: sql("SELECT … WHERE price > ?", [10])'


def with_values(node: N, parameters: Parameters = ()) -> N:
    """`node` with a constant in place of each placeholder. Raises SqlError if the values are not those it asks for."""
    if isinstance(parameters, str | bytes):
        raise DataError("the values of a statement are a list or a dict, not one text", hint=_HINT)
    asked = [found for found in walk(node) if isinstance(found, Placeholder)]
    if isinstance(node, CreatePipeline):  # in which $name is a parameter, whose value an instance gives
        asked = [found for found in asked if found.name is None]
    if not asked and not parameters:
        return node
    if isinstance(parameters, Mapping):
        values = _by_name(asked, parameters)
    else:
        values = _by_place(asked, parameters)
    constants = {place.span: replace(_constant(value), span=place.span) for place, value in values}
    return rewrite(node, lambda found: constants.get(found.span) if isinstance(found, Placeholder) else None)


def _by_place(asked: list[Placeholder], values: Sequence[Any]) -> list[tuple[Placeholder, Any]]:
    named = next((place for place in asked if place.name is not None), None)
    if named is not None:
        raise SqlError(f"there is no value for ${named.name}", named.span, hint="give values by name, as a dict")
    asked = sorted(asked, key=lambda place: place.span.start)
    if len(asked) > len(values):
        hint = f"{len(values)} given, {len(asked)} asked for" if values else _HINT
        raise SqlError("there is no value for this ?", asked[len(values)].span, hint=hint)
    if len(asked) < len(values):
        raise SqlError(f"{len(values)} values are given, but the statement has {len(asked)} ?")
    return list(zip(asked, values, strict=True))


def _by_name(asked: list[Placeholder], values: Mapping[str, Any]) -> list[tuple[Placeholder, Any]]:
    for place in asked:
        if place.name is None:
            raise SqlError("this ? has no name", place.span, hint="give values in order, as a list, or write $name")
        if place.name not in values:
            hint = suggestion(place.name, values, "given")
            raise SqlError(f"there is no value for ${place.name}", place.span, hint=hint)
    unused = values.keys() - {place.name for place in asked}
    if unused:
        raise SqlError(f"the statement has no ${min(unused, key=str)}, for which a value is given")
    return [(place, values[place.name]) for place in asked if place.name is not None]


def _constant(value: Any) -> Expression:
    """A value as an expression of its type."""
    match value:
        case None:
            return Literal("null", "null")
        case bool():
            return Literal("boolean", str(value).lower())
        case str():
            return Literal("string", value)
        case bytes() | bytearray():
            return _typed("".join(f"\\x{byte:02X}" for byte in value), "BLOB")
        case Decimal() if value.is_finite():
            return _number(value.is_signed(), format(abs(value), "f"))
        case numbers.Integral():
            return _number(int(value) < 0, str(abs(int(value))))
        case numbers.Real():
            return _typed(repr(float(value)), "DOUBLE")
        case datetime():
            return _typed(str(value), "TIMESTAMP" if value.tzinfo is None else "TIMESTAMP WITH TIME ZONE")
        case date():
            return _typed(str(value), "DATE")
        case time() if value.tzinfo is None:
            return _typed(str(value), "TIME")
        case timedelta():
            return Interval(Literal("string", f"{value // timedelta(microseconds=1)} microseconds"))
        case UUID():
            return _typed(str(value), "UUID")
        case list() | tuple():
            return Array(tuple(map(_constant, value)))
    raise DataError(f"a {type(value).__name__} cannot be a value in a statement", hint="give it as text, and CAST it")


def _number(is_negative: bool, digits: str) -> Expression:
    return Unary("-", Literal("number", digits)) if is_negative else Literal("number", digits)


def _typed(text: str, type_: str) -> Cast:
    return Cast(Literal("string", text), type_)
