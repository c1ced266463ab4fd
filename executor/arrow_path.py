"""Simple filters and projections as Arrow kernels: what a DuckDB call costs at least, they do not.

A call of DuckDB costs half a millisecond however small the batch is, a kernel some microseconds. So expressions that
are made of columns, constants, comparisons, + − * and %, AND, OR, NOT, IS NULL, BETWEEN, IN, CASE and COALESCE are
computed here, in the very types that DuckDB has for them. Where the two could differ in a batch (an overflow, a NaN in
a comparison, an infinity), the batch is left to DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.parser import syntax
from headwater.planner.logical import Expression, Filter, Project
from headwater.planner.rewrite import tree_of
from headwater.planner.sql_types import arrow_schema, arrow_type
from headwater.values import Column, Delta, empty_batch

Value = Any  # an Arrow array with a value for each row, or a scalar for all of them
Compute = Callable[[pa.RecordBatch], Value]
Chain = tuple[Filter | Project, ...]

_COMPARED = {
    "=": pc.equal, "<>": pc.not_equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater,
    ">=": pc.greater_equal,
}  # fmt: skip
_OF_INTEGERS = {"+": pc.add_checked, "-": pc.subtract_checked, "*": pc.multiply_checked}
_OF_FLOATS = {"+": pc.add, "-": pc.subtract, "*": pc.multiply}
_INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_HUGE = pa.decimal128(38, 0)  # HUGEINT, which sums of whole numbers are
_COMPARABLE = (*_INTEGERS, _HUGE, pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us"), pa.date32())

# SQL types of which a value is the same for Arrow, and compares as it does there.
_PLAIN = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN"})

_CHOICES_MAX = 8  # of an IN list: one comparison each
_DIGITS_MAX = 15  # of a decimal constant: fewer make the same double however they are read


class _Unknown(Exception):
    """An expression that is left to DuckDB."""


class _Elsewhere(Exception):
    """A batch in which DuckDB could give something else."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """How to compute an expression, and the type of its values."""

    compute: Compute
    type: pa.DataType


class ArrowPath:
    """A chain of `Filter` and `Project` nodes, from the input upwards, as Arrow kernels."""

    def __init__(self, chain: Chain, texts: Sequence[str]) -> None:
        """Raises `_Unknown` for a chain with other expressions; use `arrow_path`."""
        given = [*arrow_schema(chain[0].source.columns), *(pa.field(name, pa.string()) for name in texts)]
        self._steps = [_step(node, {name: pa.string() for name in texts}) for node in chain]
        self._schema = arrow_schema(chain[-1].columns)
        if self.run(Delta(empty_batch(pa.schema(given)))) is None:
            raise _Unknown

    def run(self, delta: Delta) -> Delta | None:
        """The rows that the chain gives; None where DuckDB must say."""
        try:
            for step in self._steps:
                delta = step(delta)
        except (_Elsewhere, pa.ArrowInvalid, pa.ArrowTypeError):
            return None
        own = delta.rows.columns[: len(self._schema)]  # filters alone leave the texts behind them
        return Delta(pa.RecordBatch.from_arrays(own, schema=self._schema), delta.weights)


def values_of(
    trees: Sequence[tuple[syntax.Expression, str]], columns: Sequence[Column], rows: pa.RecordBatch
) -> list[pa.Array] | None:
    """Expressions over the columns of rows, each cast to an SQL type, without asking DuckDB what is in them; None where
    it must say.

    Whole numbers are computed in the type they are cast to. DuckDB may take a wider one, so what does not fit is left
    to it: what fits is the same in both.
    """
    types = {c.name: arrow_type(c.type) for c in columns if c.type in _PLAIN}
    compiler = _Compiler(types)
    try:
        if not all(type_ in _PLAIN for _, type_ in trees):
            return None
        computes = [compiler.of_type(tree, arrow_type(type_)).compute for tree, type_ in trees]
        return [_array(c(rows), rows.num_rows, arrow_type(t)) for c, (_, t) in zip(computes, trees, strict=True)]
    except (_Unknown, _Elsewhere, pa.ArrowInvalid, pa.ArrowTypeError):
        return None


def arrow_path(chain: Chain, texts: Sequence[str] = ()) -> ArrowPath | None:
    """The chain as Arrow kernels, if all of it can be had so; rows of its input have columns of `texts` besides."""
    try:
        return ArrowPath(chain, texts)
    except _Unknown:
        return None


def _step(node: Filter | Project, more: dict[str, pa.DataType]) -> Callable[[Delta], Delta]:
    types = {f.name: f.type for f in arrow_schema(node.source.columns)} | more
    if isinstance(node, Filter):
        predicate = _of_type(node.predicate, types)
        return lambda delta: _filtered(delta, predicate)
    schema = arrow_schema(node.columns)
    items = [_of_type(expression, types) for _, expression in node.items]
    return lambda delta: _projected(delta, items, schema)


def _of_type(expression: Expression, types: dict[str, pa.DataType]) -> Compute:
    """How to compute a bound expression, in the type that DuckDB has said."""
    if expression.is_column:
        return _Compiler(types).column(expression.reads[0]).compute
    expected = arrow_type(expression.type)
    found = _Compiler(types).compiled(tree_of(expression.sql), expected)
    if found.type != expected:
        raise _Unknown
    return found.compute


def _filtered(delta: Delta, predicate: Compute) -> Delta:
    kept = _array(predicate(delta.rows), len(delta), pa.bool_())
    if kept.null_count:
        kept = kept.fill_null(False)
    if kept.true_count == len(delta):
        return delta
    weights = None if delta.weights is None else delta.weights[kept.to_numpy(zero_copy_only=False)]
    return Delta(delta.rows.filter(kept), weights)


def _projected(delta: Delta, items: list[Compute], schema: pa.Schema) -> Delta:
    arrays = [_array(item(delta.rows), len(delta), field.type) for item, field in zip(items, schema, strict=True)]
    return Delta(pa.RecordBatch.from_arrays(arrays, schema=schema), delta.weights)


def _array(value: Value, count: int, type_: pa.DataType) -> pa.Array:
    if isinstance(value, pa.Scalar):
        return pa.repeat(value, count) if value.is_valid else pa.nulls(count, type_)
    return value


class _Compiler:
    """Turns the syntax of a bound expression into kernels over columns of these types."""

    def __init__(self, types: dict[str, pa.DataType]) -> None:
        self.types = types

    def column(self, name: str) -> _Typed:
        if name not in self.types:
            raise _Unknown
        return _Typed(lambda rows: rows.column(name), self.types[name])

    def compiled(self, tree: syntax.Expression, expected: pa.DataType | None = None) -> _Typed:
        """An expression; a constant, which has many types, is of the `expected` one."""
        match tree:
            case syntax.Name(parts=(part,)):
                return self.column(part.text)
            case syntax.Literal() | syntax.Unary(operator="-", operand=syntax.Literal()):
                return self.constant(tree, expected)
            case syntax.Unary(operator="IS NULL" | "IS NOT NULL" as operator, operand=operand):
                return self.mapped(pc.is_null if operator == "IS NULL" else pc.is_valid, self.compiled(operand))
            case syntax.Unary(operator="NOT", operand=operand):
                return self.mapped(pc.invert, self.boolean(operand))
            case syntax.Binary(operator="AND" | "OR" as operator, left=left, right=right):
                combine = pc.and_kleene if operator == "AND" else pc.or_kleene
                return self.mapped(combine, self.boolean(left), self.boolean(right))
            case syntax.Binary(operator=operator, left=left, right=right) if operator in _COMPARED:
                return self.comparison(_COMPARED[operator], left, right)
            case syntax.Binary(operator="%", left=left, right=right):
                return self.remainder(left, right)
            case syntax.Binary(operator=operator, left=left, right=right) if operator in _OF_INTEGERS:
                return self.arithmetic(operator, left, right)
            case syntax.Between(operand=operand, low=low, high=high, negated=negated):
                above = self.comparison(pc.greater_equal, operand, low)
                found = self.mapped(pc.and_kleene, above, self.comparison(pc.less_equal, operand, high))
                return self.mapped(pc.invert, found) if negated else found
            case syntax.In(operand=operand, choices=choices, negated=negated) if len(choices) <= _CHOICES_MAX:
                equal = [self.comparison(pc.equal, operand, choice) for choice in choices]
                found = reduce(lambda a, b: self.mapped(pc.or_kleene, a, b), equal)
                return self.mapped(pc.invert, found) if negated else found
            case syntax.Case(operand=None, branches=branches, otherwise=otherwise):
                return self.case(branches, otherwise, expected)
            case syntax.Call(name=name, arguments=arguments) if name.lower() == "coalesce":
                return self.coalesce(arguments, expected)
        raise _Unknown

    def mapped(self, kernel: Callable[..., Value], *inputs: _Typed, type: pa.DataType = pa.bool_()) -> _Typed:  # noqa: B008
        computes = [i.compute for i in inputs]
        return _Typed(lambda rows: kernel(*(compute(rows) for compute in computes)), type)

    def boolean(self, tree: syntax.Expression) -> _Typed:
        found = self.compiled(tree, pa.bool_())
        if found.type != pa.bool_():
            raise _Unknown
        return found

    def constant(self, tree: syntax.Expression, expected: pa.DataType | None) -> _Typed:
        sign = "-" if isinstance(tree, syntax.Unary) else ""
        literal = tree.operand if isinstance(tree, syntax.Unary) else tree
        assert isinstance(literal, syntax.Literal)
        scalar = _scalar(literal.kind, sign + literal.text, expected)
        return _Typed(lambda _: scalar, scalar.type)

    def comparison(self, kernel: Callable[..., Value], left: syntax.Expression, right: syntax.Expression) -> _Typed:
        a, b = self.pair(left, right)
        both_integers = a.type in _INTEGERS and b.type in _INTEGERS
        if not both_integers and (a.type != b.type or a.type not in _COMPARABLE):
            raise _Unknown
        if a.type == pa.float64():
            a, b = self.without_nan(a), self.without_nan(b)
        return self.mapped(kernel, a, b)

    def without_nan(self, operand: _Typed) -> _Typed:
        """NaN equals itself and is above all numbers in DuckDB, and is neither in Arrow."""

        def checked(value: Value) -> Value:
            if isinstance(value, pa.Array) and pc.any(pc.is_nan(value), min_count=0).as_py():
                raise _Elsewhere
            return value

        return self.mapped(checked, operand, type=operand.type)

    def arithmetic(self, operator: str, left: syntax.Expression, right: syntax.Expression) -> _Typed:
        a, b = self.pair(left, right)
        if a.type != b.type:
            raise _Unknown
        if a.type in _INTEGERS:
            return self.mapped(_OF_INTEGERS[operator], a, b, type=a.type)
        if a.type != pa.float64():
            raise _Unknown
        return self.mapped(lambda x, y: _finite(_OF_FLOATS[operator](x, y)), a, b, type=a.type)

    def remainder(self, left: syntax.Expression, right: syntax.Expression) -> _Typed:
        a, b = self.pair(left, right)
        divisor = b.compute(empty_batch(pa.schema([]))) if isinstance(right, syntax.Literal) else None
        if a.type not in _INTEGERS or b.type != a.type or divisor is None or divisor.as_py() <= 0:
            raise _Unknown
        return self.mapped(lambda values: _remainders(values, divisor.as_py()), a, type=a.type)

    def pair(self, left: syntax.Expression, right: syntax.Expression) -> tuple[_Typed, _Typed]:
        """Two operands; a constant has the type of the other one."""
        if _is_constant(left):
            b = self.compiled(right)
            return self.compiled(left, b.type), b
        a = self.compiled(left)
        return a, self.compiled(right, a.type)

    def case(
        self, branches: tuple[tuple[syntax.Expression, syntax.Expression], ...], otherwise: syntax.Expression | None,
        expected: pa.DataType | None,
    ) -> _Typed:  # fmt: skip
        if expected is None:
            raise _Unknown
        conditions = [self.boolean(condition).compute for condition, _ in branches]
        values = [self.of_type(value, expected).compute for _, value in branches]
        nothing = pa.scalar(None, expected)
        constant: Compute = lambda _: nothing  # noqa: E731
        last = constant if otherwise is None else self.of_type(otherwise, expected).compute

        def compute(rows: pa.RecordBatch) -> Value:
            result = last(rows)
            for condition, value in reversed(list(zip(conditions, values, strict=True))):
                chosen = _array(condition(rows), rows.num_rows, pa.bool_())
                result = pc.if_else(chosen.fill_null(False) if chosen.null_count else chosen, value(rows), result)
            return result

        return _Typed(compute, expected)

    def coalesce(self, arguments: tuple[syntax.Expression, ...], expected: pa.DataType | None) -> _Typed:
        if expected is None:
            raise _Unknown
        return self.mapped(pc.coalesce, *(self.of_type(a, expected) for a in arguments), type=expected)

    def of_type(self, tree: syntax.Expression, type_: pa.DataType) -> _Typed:
        found = self.compiled(tree, type_)
        if found.type != type_:
            raise _Unknown
        return found


def _is_constant(tree: syntax.Expression) -> bool:
    match tree:
        case syntax.Unary(operator="-", operand=operand):
            return isinstance(operand, syntax.Literal)
    return isinstance(tree, syntax.Literal)


def _scalar(kind: str, text: str, type_: pa.DataType | None) -> pa.Scalar:
    """A constant in a type in which it is the same for DuckDB. Raises `_Unknown` if it is not."""
    is_whole = text.removeprefix("-").isdigit()
    try:
        if kind == "null" and type_ is not None:
            return pa.scalar(None, type_)
        if kind in ("true", "false", "boolean") and type_ == pa.bool_():
            return pa.scalar(text.lower() == "true" or kind == "true", type_)
        if kind == "string" and type_ == pa.string():
            return pa.scalar(text, type_)
        if kind == "number" and is_whole and type_ in _INTEGERS:
            return pa.scalar(int(text), type_)
        if kind == "number" and is_whole and type_ == _HUGE:
            return pa.scalar(Decimal(text), type_)
        if kind == "number" and type_ == pa.float64() and sum(c.isdigit() for c in text) <= _DIGITS_MAX:
            return pa.scalar(float(text), type_)
    except (pa.ArrowInvalid, OverflowError):
        pass
    raise _Unknown


def _finite(values: Value) -> Value:
    """The results of arithmetic with floats, of which DuckDB has its own opinion when they are not finite."""
    if isinstance(values, pa.Array) and not pc.all(pc.is_finite(values), min_count=0).as_py():
        raise _Elsewhere
    return values


def _remainders(values: pa.Array, divisor: int) -> pa.Array:
    """Remainders with the sign of the dividend, as in C. NULL stays NULL."""
    numbers = (values.fill_null(0) if values.null_count else values).to_numpy()
    remainders: Any = np.fmod(numbers, np.array(divisor, dtype=numbers.dtype))
    mask = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    return pa.array(remainders, mask=mask)
