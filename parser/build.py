"""From the parser's tree to the AST: statements, queries and FROM; expressions are in build_expressions.py.

Every method is named after a rule of grammar.lark and gets the rule's place in the text and what was built from its
parts, in the order of the grammar; an absent [part] is None.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lark import v_args

from headwater.errors import Span, SyntaxProblem, UnknownName
from headwater.parser.build_expressions import ExpressionBuilder, placed, text_of_string, words
from headwater.parser.syntax import (
    AsOf,
    Checkpoint,
    ColumnDefinition,
    CommonTable,
    CreateRelation,
    Derived,
    Describe,
    Drop,
    Explain,
    Expression,
    FromItem,
    Identifier,
    Insert,
    Join,
    Property,
    Query,
    QueryBody,
    Relation,
    Select,
    SetOperation,
    Show,
    Statement,
    Values,
    Window,
)

_MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}


@v_args(wrapper=placed)
class Builder(ExpressionBuilder):
    """Builds a statement from the tree of `start`."""

    def start(self, span: Span, statement: Statement) -> Statement:
        return replace(statement, span=span)

    # ------------------------------------------------------------ define and change

    def create_relation(
        self,
        span: Span,
        or_replace: bool | None,
        kind: str,
        if_not_exists: bool | None,
        name: Identifier,
        columns: tuple[ColumnDefinition, ...] | None,
        properties: tuple[Property, ...] | None,
        query: Query | None,
    ) -> CreateRelation:
        if columns is None and properties is None and query is None:
            raise SyntaxProblem(
                f"CREATE {kind} needs columns or a query", Span(span.end, span.end),
                hint=f"CREATE {kind} {name.text} (id BIGINT, …), or CREATE {kind} {name.text} AS SELECT …",
            )  # fmt: skip
        return CreateRelation(
            kind, name, columns or (), properties or (), query, bool(or_replace), bool(if_not_exists), span=span
        )

    def create_materialized_view(
        self,
        span: Span,
        or_replace: bool | None,
        if_not_exists: bool | None,
        name: Identifier,
        properties: tuple[Property, ...] | None,
        query: Query,
    ) -> CreateRelation:
        return CreateRelation(
            "TABLE", name, (), properties or (), query, bool(or_replace), bool(if_not_exists), span=span
        )

    def or_replace(self, span: Span) -> bool:
        return True

    if_not_exists = if_exists = cascade = extended = recursive = analyze = or_replace
    relation_kind = subject = emit_mode = union_operator = intersect_operator = time_unit = words

    def definitions(self, span: Span, *parts: Any) -> tuple[ColumnDefinition, ...]:
        columns = [part for part in parts if isinstance(part, ColumnDefinition)]
        for name in (name for part in parts if isinstance(part, tuple) for name in part):
            places = [i for i, column in enumerate(columns) if column.name.text.lower() == name.text.lower()]
            if not places:
                raise UnknownName(f'PRIMARY KEY names "{name.text}", which is not among the columns', name.span)
            columns[places[0]] = replace(columns[places[0]], primary_key=True)
        return tuple(columns)

    def column_definition(self, span: Span, name: Identifier, type_: str, *constraints: str) -> ColumnDefinition:
        return ColumnDefinition(
            name, type_, "KEY" in constraints, "PRIMARY KEY" in constraints, "NOT NULL" in constraints, span=span
        )

    def key(self, span: Span) -> str:
        return "KEY"

    def primary_key_column(self, span: Span) -> str:
        return "PRIMARY KEY"

    def not_null(self, span: Span) -> str:
        return "NOT NULL"

    def primary_key(self, span: Span, names: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
        return names

    def properties(self, span: Span, *properties: Property) -> tuple[Property, ...]:
        return properties

    def property(self, span: Span, name: Any, value: str) -> Property:
        text = name.text if isinstance(name, Identifier) else text_of_string(name)
        return Property(text.lower(), value, span=span)

    def property_value(self, span: Span, *parts: Any) -> str:
        last = parts[-1]
        if isinstance(last, Identifier):
            return last.text
        if last.type == "STRING":
            return text_of_string(last)
        if last.type == "NUMBER":
            return "".join(part for part in parts if part is not None)
        return str(last).lower()

    def insert(self, span: Span, relation: Identifier, columns: tuple[Identifier, ...] | None, query: Query) -> Insert:
        return Insert(relation, columns or (), query, span=span)

    def drop(self, span: Span, kind: str, if_exists: bool | None, name: Identifier, cascade: bool | None) -> Drop:
        return Drop(kind, name, bool(if_exists), bool(cascade), span=span)

    def drop_kind(self, span: Span, *kind: Any) -> str:
        return "TABLE" if len(kind) == 2 else str(kind[0]).upper()

    # ------------------------------------------------------------ look and operate

    def show(self, span: Span, what: str) -> Show:
        return Show(what, span=span)

    def describe(self, span: Span, name: Identifier, extended: bool | None) -> Describe:
        return Describe(name, bool(extended), span=span)

    def explain(
        self, span: Span, analyze: bool | None, form: str | None, statement: Query | CreateRelation | Identifier
    ) -> Explain:
        return Explain(statement, bool(analyze), form or "text", span=span)

    def explain_format(self, span: Span, name: Identifier) -> str:
        if name.text.lower() not in ("text", "json"):
            raise SyntaxProblem(f'there is no format "{name.text}"', name.span, hint="(FORMAT text) or (FORMAT json)")
        return name.text.lower()

    def checkpoint(self, span: Span) -> Checkpoint:
        return Checkpoint(span=span)

    # ------------------------------------------------------------ queries

    def query(
        self,
        span: Span,
        with_clause: tuple[bool, tuple[CommonTable, ...]] | None,
        body: QueryBody,
        order_by: Any,
        *endings: AsOf | tuple[str, Any],
    ) -> Query:
        recursive, ctes = with_clause or (False, ())
        clauses: dict[str, Any] = {}
        for ending in endings:
            name, value = ("as_of", ending) if isinstance(ending, AsOf) else ending
            if name in clauses:
                raise SyntaxProblem(f"{name.upper().replace('_', ' ')} is given twice in one query", span)
            clauses[name] = value
        if isinstance(body, Query) and not (ctes or order_by or clauses):
            return body
        return Query(_bare(body), ctes, recursive, order_by or (), span=span, **clauses)

    def limit(self, span: Span, count: Expression) -> tuple[str, Expression]:
        return "limit", count

    def offset(self, span: Span, count: Expression) -> tuple[str, Expression]:
        return "offset", count

    def emit(self, span: Span, mode: str) -> tuple[str, str]:
        return "emit", mode

    def with_clause(self, span: Span, recursive: bool | None, *tables: CommonTable) -> tuple[bool, Any]:
        return bool(recursive), tables

    def common_table(self, span: Span, name: Identifier, columns: Any, query: Query) -> CommonTable:
        return CommonTable(name, columns or (), query, span=span)

    def set_operation(self, span: Span, left: QueryBody, operator: str, all_: bool | None, right: QueryBody) -> Any:
        return SetOperation(operator, _bare(left), _bare(right), bool(all_), span=span)

    def all(self, span: Span, word: str) -> bool:
        return word.upper() == "ALL"

    def nested_query(self, span: Span, query: Query) -> Query:
        return query

    def values(self, span: Span, _keyword: str, *rows: tuple[Expression, ...]) -> Values:
        return Values(rows, span=span)

    def row(self, span: Span, *values: Expression) -> tuple[Expression, ...]:
        return values

    def select(
        self, span: Span, distinct: bool | None, items: Any, source: Any, where: Any, group_by: Any, having: Any
    ) -> Select:
        relations, window = source or (None, None)
        return Select(items, relations, window, where, group_by or (), having, bool(distinct), span=span)

    def select_items(self, span: Span, *items: Any) -> tuple[Any, ...]:
        return items

    group_by = select_items

    def where(self, span: Span, condition: Expression) -> Expression:
        return condition

    having = where

    # ------------------------------------------------------------ FROM

    def from_clause(self, span: Span, source: FromItem, window: Window | None) -> tuple[FromItem, Window | None]:
        return source, window

    def relation(self, span: Span, name: Identifier, *parts: Identifier | AsOf) -> Relation:
        alias, as_of = _alias_and_as_of(parts)
        return Relation(name, alias, as_of, span=span)

    def derived(self, span: Span, query: Query, *parts: Identifier | AsOf) -> Derived:
        alias, as_of = _alias_and_as_of(parts)
        if as_of and query.as_of:
            raise SyntaxProblem("AS OF is given twice for one query", as_of.span)
        return Derived(replace(query, as_of=as_of) if as_of else query, alias, span=span)

    def as_of_query(self, span: Span, body: Query, *endings: Any) -> Query:
        return self.query(span, None, body, None, *endings)

    def join(self, span: Span, left: FromItem, kind: str, right: FromItem, on: Expression) -> Join:
        return Join(kind, left, right, on, span=span)

    def using_join(self, span: Span, left: FromItem, kind: str, right: FromItem, using: tuple[Identifier, ...]) -> Join:
        return Join(kind, left, right, None, using, span=span)

    def cross_join(self, span: Span, left: FromItem, right: FromItem) -> Join:
        return Join("CROSS", left, right, span=span)

    comma_join = cross_join

    def join_kind(self, span: Span, *written: Any) -> str:
        kind = next(word for word in written if word is not None).upper()
        return "INNER" if kind == "JOIN" else str(kind)

    def as_of_offset(self, span: Span, offset: str) -> AsOf:
        return AsOf("offset", str(_whole(offset)), span=span)

    def as_of_offsets(self, span: Span, *positions: tuple[int | str, int]) -> AsOf:
        return AsOf("offsets", positions=positions, span=span)

    def as_of_version(self, span: Span, version: str) -> AsOf:
        return AsOf("version", str(_whole(version)), span=span)

    def as_of_timestamp(self, span: Span, timestamp: Any) -> AsOf:
        return AsOf("timestamp", text_of_string(timestamp), span=span)

    def as_of_text(self, span: Span, text: Any) -> AsOf:
        value = text_of_string(text)
        return AsOf("ago" if value.lower().rstrip().endswith("ago") else "timestamp", value, span=span)

    def position(self, span: Span, key: Any, offset: Any) -> tuple[int | str, int]:
        return key.text if isinstance(key, Identifier) else _whole(key), _whole(offset)

    def tumbling(self, span: Span, size: int, *options: tuple[str, int]) -> Window:
        return self.hopping(span, size, size, *options, kind="TUMBLING")

    def hopping(self, span: Span, size: int, advance: int, *options: tuple[str, int], kind: str = "HOPPING") -> Window:
        given = dict(options)
        if len(given) < len(options):
            raise SyntaxProblem("GRACE PERIOD or RETENTION is given twice in one window", span)
        return Window(kind, size, advance, given.get("grace"), given.get("retention"), span=span)

    def retention(self, span: Span, duration: int) -> tuple[str, int]:
        return "retention", duration

    def grace(self, span: Span, duration: int) -> tuple[str, int]:
        return "grace", duration

    def duration(self, span: Span, amount: Any, unit: str) -> int:
        return _whole(amount) * _MICROSECONDS[unit.removesuffix("S")]


def _bare(body: QueryBody) -> QueryBody:
    """`body` without a Query around it that only stands for parentheses."""
    if isinstance(body, Query) and body == Query(body.body):
        return body.body
    return body


def _alias_and_as_of(parts: tuple[Identifier | AsOf, ...]) -> tuple[Identifier | None, AsOf | None]:
    """The one and the other of what may follow a relation, in either order."""
    alias = next((part for part in parts if isinstance(part, Identifier)), None)
    as_of = next((part for part in parts if isinstance(part, AsOf)), None)
    return alias, as_of


def _whole(number: Any) -> int:
    if not number.isdigit():
        raise SyntaxProblem(f"expected a whole number instead of {number}", Span(number.start_pos, number.end_pos))
    return int(number)
