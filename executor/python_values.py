"""Values between Arrow and Python: what the functions of users get, and what they may give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pyarrow as pa

from headwater.planner.sql_types import arrow_type
from headwater.planner.user_functions import carrier

_WHOLE = ("HUGEINT", "UHUGEINT")


class FunctionFailed(Exception):
    """A function of a user could not be computed for a row; the text says why."""


def failure(name: str, error: BaseException) -> FunctionFailed:
    """The exception that a function raised, as the cause of a row's failure."""
    if isinstance(error, FunctionFailed):
        return error
    text = str(error).partition("\n")[0]
    return FunctionFailed(f"{name}(): {type(error).__name__}{f': {text}' if text else ''}")


def arrow_form(type_name: str) -> pa.DataType:
    """The type of the Arrow arrays that carry values of a SQL type."""
    return arrow_type(carrier(type_name))


def python_values(column: pa.Array | pa.ChunkedArray, type_name: str) -> list[Any]:
    """The values as Python has them: HUGEINT as int, UUID as uuid.UUID, MAP as dict, times without a zone (UTC)."""
    values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    if type_name in _WHOLE:
        return [None if v is None else int(v) for v in values]
    if type_name == "UUID":
        return [None if v is None else UUID(v) for v in values]
    return values


def arrow_values(values: Sequence[Any], type_name: str, name: str) -> pa.Array:
    """What a function returned as an array. Raises FunctionFailed for a value of another type."""
    type_ = arrow_form(type_name)
    try:
        return _array(values, type_)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        for value in values:
            try:
                _array([value], type_)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                raise FunctionFailed(f"{name}() returned {_shown(value)}, which is no {type_name}") from None
        raise


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        for value in values:
            if isinstance(value, float) and (pa.types.is_decimal(type_) or not value.is_integer()):
                raise TypeError  # which Arrow would cut off
    if pa.types.is_string(type_):
        values = [str(v) if isinstance(v, UUID) else v for v in values]
    return pa.array(values, type_)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
