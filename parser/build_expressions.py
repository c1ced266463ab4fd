"""From the parser's tree to the AST: expressions, select items and types. See build.py for how methods are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from headwater.errors import Span, SyntaxProblem
from headwater.parser import type_names
from headwater.parser.keywords import DUCKDB_RESERVED, RESERVED
from headwater.parser.quoting import quote
from headwater.parser.syntax import (
    Array,
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Exists,
    Expression,
    Identifier,
    In,
    Interval,
    Literal,
    Name,
    OrderItem,
    Query,
    SelectItem,
    Star,
    Struct,
    Subquery,
    Subscript,
    Unary,
    WindowSpec,
)
from headwater.parser.unparse import unparse

_SPELLINGS = {"!=": "<>", "DISTINCT FROM": "IS DISTINCT FROM", "NOT DISTINCT FROM": "IS NOT DISTINCT FROM"}


def placed(build: Callable[..., Any], rule: str, parts: list[Any], meta: Meta) -> Any:
    """Call a builder's method with the rule's place in the text, then its parts."""
    return build(Span(meta.start_pos, meta.end_pos), *parts)


def words(self: object, span: Span, *tokens: Token | None) -> str:
    """Keywords in upper case, as one text."""
    return " ".join(token.upper() for token in tokens if token is not None)


def text_of_string(token: str) -> str:
    """The value of a string in quotes ('it''s') or dollars ($$it's$$)."""
    if token.startswith("$$"):
        return token[2:-2]
    return token[1:-1].replace("''", "'")


@v_args(wrapper=placed)
class ExpressionBuilder(Transformer_NonRecursive[Token, Any]):
    """Builds expressions. Not recursive, since lists and nesting may be long."""

    direction = nulls = compare = like = not_word = distinct_from = truth_test = words
    other_operator = sum_operator = product_operator = power_operator = sign = words
    interval_unit = frame_unit = bound_side = words

    # ------------------------------------------------------------ names and constants

    def plain_name(self, span: Span, token: Token) -> Identifier:
        return Identifier(str(token), span=span)

    def quoted_name(self, span: Span, token: Token) -> Identifier:
        mark = token[0]
        text = token[1:-1].replace(mark * 2, mark)
        return Identifier(text, quoted=text.upper() not in DUCKDB_RESERVED - RESERVED, span=span)

    def names(self, span: Span, *names: Identifier) -> tuple[Identifier, ...]:
        return names

    def qualifier(self, span: Span, *parts: Any) -> tuple[Identifier, ...]:
        return parts if len(parts) == 1 else (*parts[0], parts[1])

    def column(self, span: Span, qualifier: tuple[Identifier, ...] | None, name: Identifier) -> Name:
        return Name((*(qualifier or ()), name), span=span)

    def number(self, span: Span, token: Token) -> Literal:
        return Literal("number", str(token), span=span)

    def string(self, span: Span, token: Token) -> Literal:
        return Literal("string", text_of_string(token), span=span)

    def true(self, span: Span) -> Literal:
        return Literal("boolean", "true", span=span)

    def false(self, span: Span) -> Literal:
        return Literal("boolean", "false", span=span)

    def null(self, span: Span) -> Literal:
        return Literal("null", "null", span=span)

    def typed_literal(self, span: Span, type_: Token, text: Token) -> Cast:
        return Cast(Literal("string", text_of_string(text), span=span), type_names.scalar_type(type_), span=span)

    def interval(self, span: Span, _keyword: Token, amount: Expression, unit: str | None) -> Interval:
        return Interval(amount, unit and unit.removesuffix("S"), span=span)

    # ------------------------------------------------------------ operators

    def binary(self, span: Span, left: Expression, operator: str, right: Expression) -> Binary:
        return Binary(_SPELLINGS.get(operator, operator), left, right, span=span)

    def binary_or(self, span: Span, left: Expression, right: Expression) -> Binary:
        return Binary("OR", left, right, span=span)

    def binary_and(self, span: Span, left: Expression, right: Expression) -> Binary:
        return Binary("AND", left, right, span=span)

    def not_(self, span: Span, operand: Expression) -> Unary:
        return Unary("NOT", operand, span=span)

    def tested(self, span: Span, operand: Expression, test: str) -> Unary:
        return Unary(f"IS {test}", operand, span=span)

    def signed(self, span: Span, operator: str, operand: Expression) -> Unary:
        return Unary(operator, operand, span=span)

    def between(self, span: Span, operand: Any, negated: str | None, low: Expression, high: Expression) -> Between:
        return Between(operand, low, high, negated is not None, span=span)

    def in_list(self, span: Span, operand: Expression, negated: str | None, *choices: Expression) -> In:
        return In(operand, choices, negated is not None, span=span)

    def in_query(self, span: Span, operand: Expression, negated: str | None, query: Query) -> In:
        return In(operand, (Subquery(query, span=query.span),), negated is not None, span=span)

    def at_time_zone(self, span: Span, operand: Expression, _keyword: Token, zone: Expression) -> Call:
        return Call("timezone", (zone, operand), span=span)

    def cast(self, span: Span, *parts: Any) -> Cast:
        *try_cast, operand, type_ = parts
        return Cast(operand, type_, bool(try_cast), span=span)

    def cast_operator(self, span: Span, operand: Expression, type_: str) -> Cast:
        return Cast(operand, type_, span=span)

    def subscript(self, span: Span, operand: Expression, index: Expression) -> Subscript:
        return Subscript(operand, index, span=span)

    def parenthesised(self, span: Span, expression: Expression) -> Expression:
        return expression

    # ------------------------------------------------------------ everything with its own form

    def case(self, span: Span, operand: Expression | None, *parts: Any) -> Case:
        *branches, otherwise = parts
        return Case(operand, tuple(branches), otherwise, span=span)

    def branch(self, span: Span, condition: Expression, result: Expression) -> tuple[Expression, Expression]:
        return condition, result

    def otherwise(self, span: Span, expression: Expression) -> Expression:
        return expression

    filter = otherwise

    def array(self, span: Span, *items: Expression | None) -> Array:
        return Array(tuple(item for item in items if item is not None), span=span)

    def struct(self, span: Span, *fields: tuple[str, Expression]) -> Struct:
        return Struct(fields, span=span)

    def field(self, span: Span, name: Identifier | Token, value: Expression) -> tuple[str, Expression]:
        return name.text if isinstance(name, Identifier) else text_of_string(name), value

    def subquery(self, span: Span, query: Query) -> Subquery:
        return Subquery(query, span=span)

    def exists(self, span: Span, query: Query) -> Exists:
        return Exists(query, span=span)

    def extract(self, span: Span, _keyword: Token, part: Token, source: Expression) -> Call:
        name = text_of_string(part) if part.type == "STRING" else str(part)
        return Call("date_part", (Literal("string", name.lower(), span=span), source), span=span)

    # ------------------------------------------------------------ calls

    def call(self, span: Span, name: Identifier, arguments: Any, filter_: Expression | None, over: Any) -> Call:
        distinct, values, order_by = arguments or (False, (), ())
        return Call(name.text, values, distinct, order_by, filter_, over, span=span)

    def arguments(self, span: Span, *parts: Any) -> tuple[bool, tuple[Expression, ...], tuple[OrderItem, ...]]:
        if len(parts) == 1:
            return False, parts, ()
        distinct, *values, order_by = parts
        return bool(distinct), tuple(values), order_by or ()

    def select_quantifier(self, span: Span, word: Token) -> bool:
        return word.upper() == "DISTINCT"

    def over(self, span: Span, partition_by: Any, order_by: Any, frame: str | None) -> WindowSpec:
        return WindowSpec(partition_by or (), order_by or (), frame, span=span)

    def partition_by(self, span: Span, *parts: Any) -> tuple[Any, ...]:
        return parts

    order_by = partition_by

    def order_item(self, span: Span, expression: Expression, direction: str | None, nulls: str | None) -> OrderItem:
        return OrderItem(expression, direction or "ASC", nulls, span=span)

    def frame(self, span: Span, unit: str, *bounds: str) -> str:
        return f"{unit} BETWEEN {bounds[0]} AND {bounds[1]}" if len(bounds) == 2 else f"{unit} {bounds[0]}"

    def unbounded(self, span: Span, side: str) -> str:
        return f"UNBOUNDED {side}"

    def current_row(self, span: Span) -> str:
        return "CURRENT ROW"

    def bound(self, span: Span, distance: Expression, side: str) -> str:
        return f"{unparse(distance)} {side}"

    # ------------------------------------------------------------ select items

    def select_item(self, span: Span, expression: Expression, alias: Identifier | None = None) -> SelectItem:
        return SelectItem(expression, alias, span=span)

    def star(self, span: Span, qualifier: Any, exclude: Any, replace: Any) -> Star:
        if qualifier is not None and len(qualifier) > 1:
            raise SyntaxProblem("only one name may stand before .*", span)
        return Star(qualifier and qualifier[0], exclude or (), replace or (), span=span)

    def exclude(self, span: Span, names: Identifier | tuple[Identifier, ...]) -> tuple[Identifier, ...]:
        return names if isinstance(names, tuple) else (names,)

    def replace(self, span: Span, *items: SelectItem) -> tuple[SelectItem, ...]:
        return items

    # ------------------------------------------------------------ types

    def scalar_type(self, span: Span, name: Token, *parameters: Token | None) -> str:
        return type_names.scalar_type(name, tuple(str(p) for p in parameters if p is not None))

    def array_type(self, span: Span, item: str, length: Token | None = None) -> str:
        return type_names.array_type(item, length)

    def map_type(self, span: Span, key: str, value: str) -> str:
        return type_names.map_type(key, value)

    def struct_type(self, span: Span, *fields: tuple[str, str]) -> str:
        return type_names.struct_type(fields)

    def type_field(self, span: Span, name: Identifier, type_: str) -> tuple[str, str]:
        return quote(name), type_
