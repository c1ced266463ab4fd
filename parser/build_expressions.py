"""From the parser's tree to the AST: expressions, select items and types. See build.py for how methods are called."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from headwater.errors import Span, SyntaxProblem
from headwater.parser import type_names
from headwater.parser.keywords import DUCKDB_RESERVED, RESERVED
from headwater.parser.quoting import quote
from headwater.parser.syntax import (
    All,
    Array,
    ArrayQuery,
    Between,
    Binary,
    Bound,
    Call,
    Case,
    Cast,
    Exists,
    Expression,
    Field,
    Frame,
    Identifier,
    In,
    Interval,
    Lambda,
    Like,
    Literal,
    Map,
    Name,
    NamedArgument,
    OrderItem,
    Placeholder,
    QualifiedName,
    Quantified,
    Query,
    Row,
    SelectItem,
    Slice,
    Star,
    Struct,
    Subquery,
    Subscript,
    Unary,
    WindowSpec,
)


def joined_name(parts: tuple[Identifier, ...], span: Span) -> QualifiedName:
    """The parts of a name with dots between them as one name."""
    dotted = next((part for part in parts if "." in part.text), None)
    if dotted is not None:
        raise SyntaxProblem(
            "a part of a name with dots has no dot in it itself", dotted.span, hint="give it another name"
        )
    return QualifiedName(".".join(part.text for part in parts), any(part.quoted for part in parts), span=span)


class Arguments(NamedTuple):
    """What stands between the parentheses of a call."""

    values: tuple[Any, ...] = ()
    distinct: bool = False
    nulls: str | None = None
    order_by: tuple[OrderItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """`key := value` or `key => value` in a call, before it is known what the call makes of it."""

    key: Expression
    value: Expression
    span: Span

    def named(self) -> NamedArgument:
        """As the argument of that name."""
        return NamedArgument(self._name("an argument"), self.value, span=self.span)

    def function(self) -> Lambda:
        """As the function with that parameter."""
        return Lambda((self._name("a parameter"),), self.value, span=self.span)

    def _name(self, what: str) -> Identifier:
        if isinstance(self.key, Name) and len(self.key.parts) == 1:
            return self.key.parts[0]
        raise SyntaxProblem(f"{what} is given by its name", self.key.span, hint="write f(name := value)")


_SPELLINGS = {"!=": "<>", "DISTINCT FROM": "IS DISTINCT FROM", "NOT DISTINCT FROM": "IS NOT DISTINCT FROM"}


def placed(build: Callable[..., Any], rule: str, parts: list[Any], meta: Meta) -> Any:
    """Call a builder's method with the rule's place in the text, then its parts."""
    return build(Span(meta.start_pos, meta.end_pos), *parts)


def words(self: object, span: Span, *tokens: Token | None) -> str:
    """Keywords in upper case, as one text."""
    return " ".join(token.upper() for token in tokens if token is not None)


def items(self: object, span: Span, *parts: Any) -> tuple[Any, ...]:
    """The parts of a list, which may be empty."""
    return tuple(part for part in parts if part is not None)


def only(self: object, span: Span, part: Any) -> Any:
    """The one part of a rule that is there for its place in the grammar."""
    return part


def present(self: object, span: Span) -> bool:
    """An optional word that is there."""
    return True


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
    interval_unit = frame_unit = bound_side = excluded = words
    names = partition_by = order_by = replace = items
    parenthesised = otherwise = filter = within_group = frame_exclusion = only

    # ------------------------------------------------------------ names and constants

    def plain_name(self, span: Span, token: Token) -> Identifier:
        return Identifier(str(token), span=span)

    keyword_name = plain_name

    def quoted_name(self, span: Span, token: Token) -> Identifier:
        mark = token[0]
        text = token[1:-1].replace(mark * 2, mark)
        return Identifier(text, quoted=text.upper() not in DUCKDB_RESERVED - RESERVED, span=span)

    def qualified_name(self, span: Span, *parts: Identifier) -> QualifiedName:
        return joined_name(parts, span)

    def inspected_name(self, span: Span, *parts: Identifier) -> QualifiedName:
        return replace(joined_name(parts, span), inspected=True)

    def qualifier(self, span: Span, *parts: Any) -> tuple[Identifier, ...]:
        return parts if len(parts) == 1 else (*parts[0], parts[1])

    def column(self, span: Span, qualifier: tuple[Identifier, ...] | None, name: Identifier) -> Name:
        return Name((*(qualifier or ()), name), span=span)

    def number(self, span: Span, token: Token) -> Literal:
        return Literal("number", str(token), span=span)

    def string(self, span: Span, token: Token) -> Literal:
        return Literal("string", text_of_string(token), span=span)

    def placeholder(self, span: Span, token: Token) -> Placeholder:
        return Placeholder(token[1:] or None, span=span)

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

    def like_pattern(
        self, span: Span, operand: Expression, operator: str, pattern: Expression, escape: Expression | None
    ) -> Like:
        return Like(operator, operand, pattern, escape, span=span)

    def quantified(self, span: Span, operand: Expression, operator: str, word: Token, values: Expression) -> Quantified:
        return _quantified(span, operand, operator, word, values)

    def quantified_query(self, span: Span, operand: Expression, operator: str, word: Token, query: Query) -> Quantified:
        return _quantified(span, operand, operator, word, Subquery(query, span=query.span))

    def binary_or(self, span: Span, left: Expression, right: Expression) -> Binary:
        return Binary("OR", left, right, span=span)

    def binary_and(self, span: Span, left: Expression, right: Expression) -> Binary:
        return Binary("AND", left, right, span=span)

    def not_(self, span: Span, operand: Expression) -> Unary:
        return Unary("NOT", operand, span=span)

    def tested(self, span: Span, operand: Expression, test: str) -> Unary:
        return Unary(f"IS {test.replace('UNKNOWN', 'NULL')}", operand, span=span)

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

    def slice(self, span: Span, operand: Expression, start: Expression | None, end: Expression | None) -> Slice:
        return Slice(operand, start, end, span=span)

    def field_of(self, span: Span, operand: Expression, name: Identifier) -> Name | Field:
        if isinstance(operand, Name):
            return Name((*operand.parts, name), span=span)
        return Field(operand, name, span=span)

    # ------------------------------------------------------------ everything with its own form

    def case(self, span: Span, operand: Expression | None, *parts: Any) -> Case:
        *branches, otherwise = parts
        return Case(operand, tuple(branches), otherwise, span=span)

    def branch(self, span: Span, condition: Expression, result: Expression) -> tuple[Expression, Expression]:
        return condition, result

    def array(self, span: Span, *items: Expression | None) -> Array:
        return Array(tuple(item for item in items if item is not None), span=span)

    def struct(self, span: Span, *fields: tuple[str, Expression]) -> Struct:
        return Struct(fields, span=span)

    def field(self, span: Span, name: Identifier | Token, value: Expression) -> tuple[str, Expression]:
        return name.text if isinstance(name, Identifier) else text_of_string(name), value

    def map(self, span: Span, *entries: tuple[Expression, Expression] | None) -> Map:
        return Map(tuple(entry for entry in entries if entry is not None), span=span)

    def entry(self, span: Span, key: Expression, value: Expression) -> tuple[Expression, Expression]:
        return key, value

    def row_value(self, span: Span, *values: Expression) -> Row:
        return Row(values, span=span)

    def array_query(self, span: Span, query: Query) -> ArrayQuery:
        return ArrayQuery(query, span=span)

    def subquery(self, span: Span, query: Query) -> Subquery:
        return Subquery(query, span=span)

    def exists(self, span: Span, query: Query) -> Exists:
        return Exists(query, span=span)

    def extract(self, span: Span, _keyword: Token, part: Token, source: Expression) -> Call:
        name = text_of_string(part) if part.type == "STRING" else str(part)
        return Call("date_part", (Literal("string", name.lower(), span=span), source), span=span)

    def position_in(self, span: Span, part: Expression, whole: Expression) -> Call:
        return Call("strpos", (whole, part), span=span)

    def trim(self, span: Span, name: Token, side: Token, characters: Expression | None, text: Expression) -> Call:
        if name.upper() != "TRIM":
            place = Span(side.start_pos or 0, side.end_pos or 0)
            raise SyntaxProblem(
                f"{name.lower()}() takes no {side.upper()}", place, hint="write TRIM(BOTH 'x' FROM text)"
            )
        function = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[side.upper()]
        return Call(function, (text,) if characters is None else (text, characters), span=span)

    # ------------------------------------------------------------ calls

    def call(
        self,
        span: Span,
        name: Identifier,
        given: Arguments | None,
        within_group: Any,
        nulls: Any,
        filter_: Any,
        over: Any,
    ) -> Call | Map | Struct:
        given = given or Arguments()
        word = name.text.upper() if given.values and all(isinstance(value, Pair) for value in given.values) else ""
        if word == "MAP":
            return Map(tuple((pair.key, pair.value) for pair in given.values), span=span)
        arguments = tuple(value.named() if isinstance(value, Pair) else value for value in given.values)
        if word == "STRUCT":
            return Struct(tuple((argument.name.text, argument.value) for argument in arguments), span=span)
        nulls = given.nulls or (nulls and _first_word(nulls))
        return Call(
            name.text, arguments, given.distinct, given.order_by, filter_, over, nulls, within_group or (), span=span
        )

    def arguments(self, span: Span, *parts: Any) -> Arguments:
        if len(parts) == 1:
            return Arguments(parts)
        distinct, *values, nulls, order_by = parts
        return Arguments(tuple(values), bool(distinct), nulls and _first_word(nulls), order_by or ())

    def ordered_arguments(self, span: Span, *parts: Any) -> Arguments:
        *others, order_by, nulls = parts
        return self.arguments(span, *others, nulls, order_by)

    def plain_call(self, span: Span, name: Token, given: Arguments | None) -> Call:
        values, distinct, nulls, order_by = given or Arguments()
        return Call(str(name), values, distinct, order_by, nulls=nulls, span=span)

    def call_from(self, span: Span, name: Token, first: Expression, second: Expression, length: Any) -> Call:
        if name.upper() == "TRIM":
            if length is not None:
                raise SyntaxProblem("trim() takes no FOR", length.span, hint="write TRIM('x' FROM text)")
            return Call(str(name), (second, first), span=span)
        return Call(str(name), (first, second) if length is None else (first, second, length), span=span)

    def named_argument(self, span: Span, key: Expression, value: Expression) -> Pair:
        return Pair(key, value, span)

    def arrow(self, span: Span, name: Token, value: Expression) -> Pair:
        place = Span(span.start, span.start + len(name))
        return Pair(Name((Identifier(str(name), span=place),), span=place), value, span)

    def thin_arrow(self, span: Span, name: Identifier, body: Expression) -> Lambda:
        return Lambda((name,), body, span=span)

    def lambda_(self, span: Span, names: Token, body: Expression) -> Lambda:
        parameters = tuple(
            Identifier(found.group(), span=Span(span.start + found.start(), span.start + found.end()))
            for found in re.finditer(r"\w+", names)
        )
        return Lambda(parameters, body, span=span)

    def lambda_word(self, span: Span, *parts: Any) -> Lambda:
        *parameters, body = parts
        return Lambda(tuple(parameters), body, span=span)

    def lambda_call(self, span: Span, name: Token, *arguments: Any) -> Call:
        values = (value.function() if isinstance(value, Pair) else value for value in arguments)
        return Call(str(name), tuple(values), span=span)

    def select_quantifier(self, span: Span, word: Token) -> bool:
        return word.upper() == "DISTINCT"

    # ------------------------------------------------------------ order and windows

    def over(self, span: Span, window: WindowSpec | Identifier) -> WindowSpec | Identifier:
        return window

    def window_spec(self, span: Span, base: Identifier | None, partition_by: Any, order_by: Any, frame: Any) -> Any:
        return WindowSpec(partition_by or (), order_by or (), frame, base, span=span)

    def order_item(self, span: Span, expression: Expression, direction: str | None, nulls: str | None) -> OrderItem:
        return OrderItem(expression, direction or "ASC", nulls, span=span)

    def all_columns(self, span: Span) -> All:
        return All(span=span)

    def frame(self, span: Span, unit: str, *parts: Any) -> Frame:
        start, *end, exclude = parts
        return Frame(unit, start, end[0] if end else None, exclude, span=span)

    def unbounded(self, span: Span, side: str) -> Bound:
        return Bound(side, span=span)

    def current_row(self, span: Span) -> Bound:
        return Bound("CURRENT ROW", span=span)

    def bound(self, span: Span, distance: Expression, side: str) -> Bound:
        return Bound(side, distance, span=span)

    # ------------------------------------------------------------ select items

    def select_item(self, span: Span, expression: Expression, alias: Identifier | None = None) -> SelectItem:
        return SelectItem(expression, alias, span=span)

    def star(self, span: Span, qualifier: Any, exclude: Any, replace: Any) -> Star:
        relation = None
        if qualifier is not None:
            relation = qualifier[0] if len(qualifier) == 1 else joined_name(qualifier, span)
        return Star(relation, exclude or (), replace or (), span=span)

    def struct_star(self, span: Span, name: Identifier) -> Star:
        return Star(name, span=span)

    def exclude(self, span: Span, names: Identifier | tuple[Identifier, ...]) -> tuple[Identifier, ...]:
        return names if isinstance(names, tuple) else (names,)

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


def _first_word(token: Token) -> str:
    return str(token.split()[0].upper())


def _quantified(span: Span, operand: Expression, operator: str, word: Token, values: Expression) -> Quantified:
    quantifier = "ALL" if word.upper() == "ALL" else "ANY"  # SOME is ANY
    return Quantified(_SPELLINGS.get(operator, operator), operand, quantifier, values, span=span)
