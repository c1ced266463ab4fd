"""AST to canonical SQL: one line, keywords in capitals, no parentheses but those that are needed or help reading.

`parse_statement(unparse(statement)) == statement`. Expressions, and queries without AS OF, EMIT and WINDOW, are also
valid DuckDB SQL of the same meaning: that is how they are run. For this, names that are words of DuckDB's grammar are
quoted; so such a name, if it was not quoted in the original, comes back from parsing as a quoted one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from headwater.parser.keywords import RESERVED
from headwater.parser.syntax import (
    Array,
    AsOf,
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Checkpoint,
    ColumnDefinition,
    CommonTable,
    CreateRelation,
    Derived,
    Describe,
    Drop,
    Exists,
    Explain,
    Expression,
    FromItem,
    Identifier,
    In,
    Insert,
    Interval,
    Join,
    Literal,
    Name,
    Node,
    OrderItem,
    Property,
    Query,
    QueryBody,
    Relation,
    Select,
    SelectItem,
    SetOperation,
    Show,
    Star,
    Struct,
    Subquery,
    Subscript,
    Unary,
    Values,
    Window,
    WindowSpec,
)

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

# Words that DuckDB does not take as the name of a column or table unless they are quoted.
_DUCKDB_RESERVED = frozenset(
    """ALL ANALYSE ANALYZE AND ANTI ANY ARRAY AS ASC ASOF ASYMMETRIC AT AUTHORIZATION BINARY BOTH BY CASE CAST CHECK
    COLLATE COLLATION COLUMN CONCURRENTLY CONSTRAINT CREATE CROSS DEFAULT DEFERRABLE DESC DESCRIBE DISTINCT DO ELSE END
    EXCEPT FALSE FETCH FOR FOREIGN FREEZE FROM FULL GLOB GROUP HAVING ILIKE IN INITIALLY INNER INTERSECT INTO IS ISNULL
    JOIN LAMBDA LATERAL LEADING LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL OFFSET ON ONLY OR ORDER OUTER OVERLAPS PIVOT
    PIVOT_LONGER PIVOT_WIDER PLACING POSITIONAL PRIMARY QUALIFY RECURSIVE REFERENCES RETURNING RIGHT SELECT SEMI SHOW
    SIMILAR SOME SUMMARIZE SYMMETRIC TABLE TABLESAMPLE THEN TO TRAILING TRUE UNION UNIQUE UNPACK UNPIVOT USING VARIADIC
    VERBOSE WHEN WHERE WINDOW WITH""".split()
)
_QUOTED = RESERVED | _DUCKDB_RESERVED

# As the name of a function, these need quotes too, and LEFT and RIGHT need none.
_QUOTED_FUNCTIONS = (_QUOTED - {"LEFT", "RIGHT"}) | frozenset(
    """BIGINT BIT BOOLEAN CHAR CHARACTER DEC DECIMAL EXTRACT FLOAT INOUT INT INTEGER INTERVAL NATIONAL NCHAR NONE NUMERIC
    OUT POSITION PRECISION REAL SETOF SMALLINT TIME TIMESTAMP TREAT TRY_CAST VALUES VARCHAR""".split()
)

# How tightly operators bind, as in grammar.lark. Higher is tighter.
_OR, _AND, _NOT, _TEST, _COMPARISON, _PREDICATE, _OTHER, _SUM, _PRODUCT, _POWER, _SIGN, _PRIMARY = range(12)
_LEVELS = {
    "OR": _OR, "AND": _AND,
    "IS DISTINCT FROM": _TEST, "IS NOT DISTINCT FROM": _TEST,
    "=": _COMPARISON, "<>": _COMPARISON, "<": _COMPARISON, "<=": _COMPARISON, ">": _COMPARISON, ">=": _COMPARISON,
    "LIKE": _PREDICATE, "ILIKE": _PREDICATE, "NOT LIKE": _PREDICATE, "NOT ILIKE": _PREDICATE,
    "||": _OTHER, "->": _OTHER, "->>": _OTHER, "&": _OTHER, "|": _OTHER, "<<": _OTHER, ">>": _OTHER,
    "+": _SUM, "-": _SUM,
    "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT,
    "^": _POWER,
}  # fmt: skip


def unparse(node: Node) -> str:
    """The canonical SQL of any node, without a `;`."""
    return _WRITERS[type(node)](node)


def quote(identifier: Identifier | str) -> str:
    """A name as SQL: in double quotes if it was quoted, or if it could not be read back otherwise.

    A str is a name in its exact spelling.
    """
    text = identifier if isinstance(identifier, str) else identifier.text
    if isinstance(identifier, Identifier) and identifier.quoted:
        return _quoted(text)
    return _bare_or_quoted(text, _QUOTED)


def _bare_or_quoted(text: str, words: frozenset[str]) -> str:
    return text if _PLAIN.fullmatch(text) and text.upper() not in words else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _list(nodes: Iterable[Node]) -> str:
    return ", ".join(map(unparse, nodes))


def _words(*words: str | None) -> str:
    """The non-empty of `words`, separated by spaces."""
    return " ".join(word for word in words if word)


# ---------------------------------------------------------------- expressions


def _level(node: Expression) -> int:
    match node:
        case Binary(operator=operator):
            return _LEVELS[operator]
        case Unary(operator="NOT"):
            return _NOT
        case Unary(operator="-" | "+"):
            return _SIGN
        case Unary():
            return _TEST
        case Between() | In():
            return _PREDICATE
        case _:
            return _PRIMARY


def _operand(node: Expression, level: int) -> str:
    """`node` as an operand of something that binds so tightly that it takes what has at least `level`."""
    text = _WRITERS[type(node)](node)
    return text if _level(node) >= level else f"({text})"


def _unary(node: Unary) -> str:
    if node.operator == "NOT":
        return f"NOT {_operand(node.operand, _COMPARISON)}"
    if node.operator in "+-":
        return f"{node.operator}{_operand(node.operand, _PRIMARY)}"
    return f"{_operand(node.operand, _SUM)} {node.operator}"


def _binary(node: Binary) -> str:
    level = _LEVELS[node.operator]
    if level in (_OR, _AND, _SUM, _PRODUCT):
        left, right = level, level + 1
    elif level <= _PREDICATE:
        left = right = _SUM
    else:
        # Parsers differ in how these bind among each other: only a chain of the same one goes without parentheses.
        chained = isinstance(node.left, Binary) and node.left.operator == node.operator
        left, right = level if chained else _PRIMARY, _PRIMARY
    return f"{_operand(node.left, left)} {node.operator} {_operand(node.right, right)}"


def _between(node: Between) -> str:
    operand, low, high = (_operand(part, _SUM) for part in (node.operand, node.low, node.high))
    return f"{operand} {'NOT ' if node.negated else ''}BETWEEN {low} AND {high}"


def _in(node: In) -> str:
    match node.choices:
        case (Subquery() as subquery,):
            choices = unparse(subquery)
        case choices_:
            choices = f"({_list(choices_)})"
    return f"{_operand(node.operand, _SUM)} {'NOT ' if node.negated else ''}IN {choices}"


def _literal(node: Literal) -> str:
    return _string(node.text) if node.kind == "string" else node.text.upper() if node.kind != "number" else node.text


def _interval(node: Interval) -> str:
    amount = unparse(node.amount)
    bare = isinstance(node.amount, Literal) and amount[0] in "'0123456789"
    return _words("INTERVAL", amount if bare else f"({amount})", node.unit)


def _case(node: Case) -> str:
    branches = " ".join(f"WHEN {unparse(condition)} THEN {unparse(result)}" for condition, result in node.branches)
    return _words(
        "CASE",
        node.operand and unparse(node.operand),
        branches,
        node.otherwise and f"ELSE {unparse(node.otherwise)}",
        "END",
    )


def _cast(node: Cast) -> str:
    return f"{'TRY_CAST' if node.is_try else 'CAST'}({unparse(node.operand)} AS {node.type})"


def _call(node: Call) -> str:
    name = _bare_or_quoted(node.name, _QUOTED_FUNCTIONS)
    arguments = _words("DISTINCT" if node.distinct else None, _list(node.arguments), _order_by(node.order_by))
    return _words(
        f"{name}({arguments})",
        node.filter and f"FILTER (WHERE {unparse(node.filter)})",
        node.over and f"OVER ({unparse(node.over)})",
    )


def _window_spec(node: WindowSpec) -> str:
    partition = f"PARTITION BY {_list(node.partition_by)}" if node.partition_by else None
    return _words(partition, _order_by(node.order_by), node.frame)


def _subscript(node: Subscript) -> str:
    operand = unparse(node.operand)
    bare = isinstance(node.operand, (Name, Subscript, Array, Struct, Cast)) or (
        isinstance(node.operand, Call) and node.operand.filter is None and node.operand.over is None
    )
    return f"{operand if bare else f'({operand})'}[{unparse(node.index)}]"


def _struct(node: Struct) -> str:
    return "{" + ", ".join(f"{_string(name)}: {unparse(value)}" for name, value in node.fields) + "}"


def _star(node: Star) -> str:
    return _words(
        f"{quote(node.relation)}.*" if node.relation else "*",
        f"EXCLUDE ({_list(node.exclude)})" if node.exclude else None,
        f"REPLACE ({_list(node.replace)})" if node.replace else None,
    )


# ---------------------------------------------------------------- queries


def _select_item(node: SelectItem) -> str:
    return _words(unparse(node.expression), node.alias and f"AS {quote(node.alias)}")


def _order_item(node: OrderItem) -> str:
    direction = None if node.direction == "ASC" else node.direction
    return _words(unparse(node.expression), direction, node.nulls and f"NULLS {node.nulls}")


def _order_by(items: tuple[OrderItem, ...]) -> str | None:
    return f"ORDER BY {_list(items)}" if items else None


def _select(node: Select) -> str:
    return _words(
        "SELECT DISTINCT" if node.distinct else "SELECT",
        _list(node.items),
        node.source and f"FROM {unparse(node.source)}",
        node.window and unparse(node.window),
        node.where and f"WHERE {unparse(node.where)}",
        f"GROUP BY {_list(node.group_by)}" if node.group_by else None,
        node.having and f"HAVING {unparse(node.having)}",
    )


def _values(node: Values) -> str:
    return "VALUES " + ", ".join(f"({_list(row)})" for row in node.rows)


def _set_operation(node: SetOperation) -> str:
    nested: tuple[type, ...] = (Query,)
    left, right = unparse(node.left), unparse(node.right)
    tighter = node.operator == "INTERSECT"
    if isinstance(node.left, nested) or (tighter and _is_union(node.left)):
        left = f"({left})"
    if isinstance(node.right, nested) or _is_union(node.right) or (tighter and isinstance(node.right, SetOperation)):
        right = f"({right})"
    return _words(left, node.operator, "ALL" if node.all else None, right)


def _is_union(body: QueryBody) -> bool:
    return isinstance(body, SetOperation) and body.operator != "INTERSECT"


def _query(node: Query) -> str:
    body = unparse(node.body)
    followed = node.order_by or node.limit or node.offset
    if isinstance(node.body, Query) or (node.as_of and not followed and _ends_in_relation(node.body)):
        body = f"({body})"
    return _words(
        f"WITH {'RECURSIVE ' if node.recursive else ''}{_list(node.ctes)}" if node.ctes else None,
        body,
        _order_by(node.order_by),
        node.limit and f"LIMIT {unparse(node.limit)}",
        node.offset and f"OFFSET {unparse(node.offset)}",
        node.as_of and unparse(node.as_of),
        node.emit and f"EMIT {node.emit}",
    )


def _ends_in_relation(body: QueryBody) -> bool:
    """Whether an AS OF after `body` would be taken for a part of its last relation or select item."""
    if isinstance(body, SetOperation):
        return _ends_in_relation(body.right)
    if not isinstance(body, Select) or body.window or body.where or body.group_by or body.having:
        return False
    return not (isinstance(body.source, Join) and (body.source.on or body.source.using))


def _common_table(node: CommonTable) -> str:
    columns = f" ({_list(node.columns)})" if node.columns else ""
    return f"{quote(node.name)}{columns} AS ({unparse(node.query)})"


# ---------------------------------------------------------------- FROM


def _relation(node: Relation) -> str:
    return _words(quote(node.name), node.as_of and unparse(node.as_of), _alias(node.alias))


def _derived(node: Derived) -> str:
    return _words(f"({unparse(node.query)})", _alias(node.alias))


def _alias(alias: Identifier | None) -> str | None:
    return alias and f"AS {quote(alias)}"


def _join(node: Join) -> str:
    kind = "JOIN" if node.kind == "INNER" else f"{node.kind} JOIN"
    condition = f"ON {unparse(node.on)}" if node.on else f"USING ({_list(node.using)})" if node.using else None
    return _words(unparse(node.left), kind, _right_side(node.right), condition)


def _right_side(item: FromItem) -> str:
    return f"({unparse(item)})" if isinstance(item, Join) else unparse(item)


def _as_of(node: AsOf) -> str:
    match node.kind:
        case "offset" | "version":
            return f"AS OF {node.kind.upper()} {node.value}"
        case "offsets":
            positions = (f"{key if isinstance(key, int) else quote(key)} => {n}" for key, n in node.positions)
            return f"AS OF OFFSET ({', '.join(positions)})"
        case "timestamp":
            return f"AS OF TIMESTAMP {_string(node.value)}"
        case _:
            return f"AS OF {_string(node.value)}"


def _window(node: Window) -> str:
    parts = [f"SIZE {_duration(node.size_us)}"]
    if node.kind == "HOPPING":
        parts.append(f"ADVANCE BY {_duration(node.advance_us)}")
    if node.retention_us is not None:
        parts.append(f"RETENTION {_duration(node.retention_us)}")
    if node.grace_us is not None:
        parts.append(f"GRACE PERIOD {_duration(node.grace_us)}")
    return f"WINDOW {node.kind} ({', '.join(parts)})"


_UNITS = {
    "DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000,
    "SECOND": 1_000_000, "MILLISECOND": 1_000, "MICROSECOND": 1,
}  # fmt: skip


def _duration(microseconds: int) -> str:
    unit = next(unit for unit, size in _UNITS.items() if microseconds % size == 0 and (microseconds or size == 1_000_000))
    amount = microseconds // _UNITS[unit]
    return f"{amount} {unit}{'' if amount == 1 else 'S'}"


# ---------------------------------------------------------------- statements


def _create_relation(node: CreateRelation) -> str:
    return _words(
        "CREATE OR REPLACE" if node.or_replace else "CREATE",
        node.kind,
        "IF NOT EXISTS" if node.if_not_exists else None,
        quote(node.name),
        _definitions(node.columns),
        f"WITH ({_list(node.properties)})" if node.properties else None,
        node.query and f"AS {unparse(node.query)}",
    )


def _definitions(columns: tuple[ColumnDefinition, ...]) -> str | None:
    if not columns:
        return None
    keys = [column.name for column in columns if column.primary_key]
    parts = [_column(column, primary_key=column.primary_key and len(keys) == 1) for column in columns]
    if len(keys) > 1:
        parts.append(f"PRIMARY KEY ({_list(keys)})")
    return f"({', '.join(parts)})"


def _column(node: ColumnDefinition, primary_key: bool) -> str:
    return _words(
        quote(node.name),
        node.type,
        "KEY" if node.key else None,
        "PRIMARY KEY" if primary_key else None,
        "NOT NULL" if node.not_null else None,
    )


def _column_definition(node: ColumnDefinition) -> str:
    return _column(node, node.primary_key)


def _property(node: Property) -> str:
    name = quote(Identifier(node.name, quoted=node.name != node.name.lower()))
    bare = _NUMBER.fullmatch(node.value) or node.value in ("true", "false")
    return f"{name} = {node.value if bare else _string(node.value)}"


def _insert(node: Insert) -> str:
    columns = f"({_list(node.columns)})" if node.columns else None
    return _words("INSERT INTO", quote(node.relation), columns, unparse(node.query))


def _drop(node: Drop) -> str:
    if_exists = "IF EXISTS" if node.if_exists else None
    return _words("DROP", node.kind, if_exists, quote(node.name), "CASCADE" if node.cascade else None)


_WRITERS: dict[type, Callable[[Any], str]] = {
    Array: lambda node: f"[{_list(node.items)}]",
    AsOf: _as_of,
    Between: _between,
    Binary: _binary,
    Call: _call,
    Case: _case,
    Cast: _cast,
    Checkpoint: lambda node: "CHECKPOINT",
    ColumnDefinition: _column_definition,
    CommonTable: _common_table,
    CreateRelation: _create_relation,
    Derived: _derived,
    Describe: lambda node: _words("DESCRIBE", quote(node.name), "EXTENDED" if node.extended else None),
    Drop: _drop,
    Exists: lambda node: f"EXISTS ({unparse(node.query)})",
    Explain: lambda node: f"EXPLAIN {unparse(node.statement)}",
    Identifier: quote,
    In: _in,
    Insert: _insert,
    Interval: _interval,
    Join: _join,
    Literal: _literal,
    Name: lambda node: ".".join(map(quote, node.parts)),
    OrderItem: _order_item,
    Property: _property,
    Query: _query,
    Relation: _relation,
    Select: _select,
    SelectItem: _select_item,
    SetOperation: _set_operation,
    Show: lambda node: f"SHOW {node.what}",
    Star: _star,
    Struct: _struct,
    Subquery: lambda node: f"({unparse(node.query)})",
    Subscript: _subscript,
    Unary: _unary,
    Values: _values,
    Window: _window,
    WindowSpec: _window_spec,
}
