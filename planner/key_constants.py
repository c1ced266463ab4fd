"""Point look-ups: which SELECT wants one row of a table at most, since its WHERE gives every column of the key a value.

Only what is found with the same meaning as DuckDB compares it: whole numbers with whole numbers, text with text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from headwater.parser import syntax
from headwater.planner.catalog import Relation
from headwater.planner.sql_types import arrow_type
from headwater.values import Column

Key = tuple[tuple[str, int | str], ...]  # columns, each with a value


def key_constants(select: syntax.Select, relation: Relation) -> Key:
    """The columns of the key of `relation`, from which alone `select` reads, with the values that WHERE asks of them.

    Nothing unless all of them have one.
    """
    source = select.source
    if not isinstance(source, syntax.Relation) or source.columns or source.changes is not None:
        return ()
    if relation.is_stream or not relation.key:
        return ()
    alias = (source.alias or source.name).text.lower()
    columns = {column.name.lower(): column for column in relation.columns}
    found: dict[str, int | str] = {}
    for condition in _conjuncts(select.where):
        for name, value in ((condition.left, condition.right), (condition.right, condition.left)):
            column = _column(name, alias, columns)
            constant = None if column is None else _constant(value, column)
            if column is not None and constant is not None:
                found.setdefault(column.name, constant)
    return tuple((name, found[name]) for name in relation.key) if found.keys() >= set(relation.key) else ()


def _conjuncts(condition: syntax.Expression | None) -> Iterator[syntax.Binary]:
    """The comparisons with = that must all be true."""
    if isinstance(condition, syntax.Binary) and condition.operator == "AND":
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    elif isinstance(condition, syntax.Binary) and condition.operator == "=":
        yield condition


def _column(node: syntax.Expression, alias: str, columns: Mapping[str, Column]) -> Column | None:
    """The column that a name means."""
    if not isinstance(node, syntax.Name):
        return None
    *relation, column = [part.text.lower() for part in node.parts]
    return columns.get(column) if relation in ([], [alias]) else None


def _constant(node: syntax.Expression, column: Column) -> int | str | None:
    """The value of a constant that a column is compared with."""
    sign = 1
    if isinstance(node, syntax.Unary) and node.operator == "-":
        sign, node = -1, node.operand
    if not isinstance(node, syntax.Literal):
        return None
    if node.kind == "string" and sign == 1 and column.type == "VARCHAR":  # a UUID is the same in capitals
        return node.text
    type_ = arrow_type(column.type)
    if node.kind == "number" and node.text.isdecimal() and pa.types.is_integer(type_):
        value = sign * int(node.text)
        return value if _fits(value, type_) else None
    return None


def _fits(value: int, type_: pa.DataType) -> bool:
    bits: int = type_.bit_width
    if pa.types.is_signed_integer(type_):
        return -(1 << bits - 1) <= value < 1 << bits - 1
    return 0 <= value < 1 << bits
