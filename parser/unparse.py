"""AST to canonical SQL: one line, keywords in capitals, no parentheses but those that are needed or help reading.

`parse_statement(unparse(statement)) == statement` for every statement that was parsed. Expressions, and queries without
AS OF, EMIT and WINDOW, are also valid DuckDB SQL of the same meaning: that is how they are run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from headwater.parser import syntax
from headwater.parser.quoting import quote, quote_function

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

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


def unparse(node: syntax.Node) -> str:
    """The canonical SQL of any node, without a `;`."""
    return _WRITERS[type(node)](node)


def _string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _list(nodes: Iterable[syntax.Node]) -> str:
    return ", ".join(map(unparse, nodes))


def _words(*words: str | None) -> str:
    """The non-empty of `words`, separated by spaces."""
    return " ".join(word for word in words if word)


def _clause(keyword: str, node: syntax.Node | None) -> str | None:
    return None if node is None else f"{keyword} {unparse(node)}"


def _optional(node: syntax.Node | None) -> str | None:
    return None if node is None else unparse(node)


# ---------------------------------------------------------------- expressions


def _level(node: syntax.Expression) -> int:
    match node:
        case syntax.Binary(operator=operator):
            return _LEVELS[operator]
        case syntax.Unary(operator="NOT"):
            return _NOT
        case syntax.Unary(operator="-" | "+"):
            return _SIGN
        case syntax.Unary():
            return _TEST
        case syntax.Between() | syntax.In():
            return _PREDICATE
        case _:
            return _PRIMARY


def _operand(node: syntax.Expression, level: int) -> str:
    """`node` as an operand of something that binds so tightly that it takes what has at least `level`."""
    text = _WRITERS[type(node)](node)
    return text if _level(node) >= level else f"({text})"


def _unary(node: syntax.Unary) -> str:
    if node.operator == "NOT":
        return f"NOT {_operand(node.operand, _COMPARISON)}"
    if node.operator in "+-":
        return f"{node.operator}{_operand(node.operand, _PRIMARY)}"
    return f"{_operand(node.operand, _SUM)} {node.operator}"


def _binary(node: syntax.Binary) -> str:
    level = _LEVELS[node.operator]
    if level in (_OR, _AND, _SUM, _PRODUCT):
        left, right = level, level + 1
    elif level <= _PREDICATE:
        left = right = _SUM
    else:
        # Parsers differ in how these bind among each other: only a chain of the same one goes without parentheses.
        chained = isinstance(node.left, syntax.Binary) and node.left.operator == node.operator
        left, right = level if chained else _PRIMARY, _PRIMARY
    return f"{_operand(node.left, left)} {node.operator} {_operand(node.right, right)}"


def _between(node: syntax.Between) -> str:
    operand, low, high = (_operand(part, _SUM) for part in (node.operand, node.low, node.high))
    return f"{operand} {'NOT ' if node.negated else ''}BETWEEN {low} AND {high}"


def _in(node: syntax.In) -> str:
    match node.choices:
        case (syntax.Subquery() as subquery,):
            choices = unparse(subquery)
        case choices_:
            choices = f"({_list(choices_)})"
    return f"{_operand(node.operand, _SUM)} {'NOT ' if node.negated else ''}IN {choices}"


def _literal(node: syntax.Literal) -> str:
    return _string(node.text) if node.kind == "string" else node.text.upper() if node.kind != "number" else node.text


def _interval(node: syntax.Interval) -> str:
    amount = unparse(node.amount)
    bare = isinstance(node.amount, syntax.Literal) and amount[0] in "'0123456789"
    return _words("INTERVAL", amount if bare else f"({amount})", node.unit)


def _case(node: syntax.Case) -> str:
    branches = " ".join(f"WHEN {unparse(condition)} THEN {unparse(result)}" for condition, result in node.branches)
    return _words("CASE", _optional(node.operand), branches, _clause("ELSE", node.otherwise), "END")


def _cast(node: syntax.Cast) -> str:
    return f"{'TRY_CAST' if node.is_try else 'CAST'}({unparse(node.operand)} AS {node.type})"


def _call(node: syntax.Call) -> str:
    name = quote_function(node.name)
    arguments = _words("DISTINCT" if node.distinct else None, _list(node.arguments), _order_by(node.order_by))
    return _words(
        f"{name}({arguments})",
        None if node.filter is None else f"FILTER (WHERE {unparse(node.filter)})",
        None if node.over is None else f"OVER ({unparse(node.over)})",
    )


def _window_spec(node: syntax.WindowSpec) -> str:
    partition = f"PARTITION BY {_list(node.partition_by)}" if node.partition_by else None
    return _words(partition, _order_by(node.order_by), node.frame)


def _subscript(node: syntax.Subscript) -> str:
    operand = unparse(node.operand)
    bare = isinstance(node.operand, (syntax.Name, syntax.Subscript, syntax.Array, syntax.Struct, syntax.Cast)) or (
        isinstance(node.operand, syntax.Call) and node.operand.filter is None and node.operand.over is None
    )
    return f"{operand if bare else f'({operand})'}[{unparse(node.index)}]"


def _struct(node: syntax.Struct) -> str:
    return "{" + ", ".join(f"{_string(name)}: {unparse(value)}" for name, value in node.fields) + "}"


def _star(node: syntax.Star) -> str:
    return _words(
        f"{quote(node.relation)}.*" if node.relation else "*",
        f"EXCLUDE ({_list(node.exclude)})" if node.exclude else None,
        f"REPLACE ({_list(node.replace)})" if node.replace else None,
    )


# ---------------------------------------------------------------- queries


def _select_item(node: syntax.SelectItem) -> str:
    return _words(unparse(node.expression), _clause("AS", node.alias))


def _order_item(node: syntax.OrderItem) -> str:
    direction = None if node.direction == "ASC" else node.direction
    return _words(unparse(node.expression), direction, node.nulls and f"NULLS {node.nulls}")


def _order_by(items: tuple[syntax.OrderItem, ...]) -> str | None:
    return f"ORDER BY {_list(items)}" if items else None


def _select(node: syntax.Select) -> str:
    return _words(
        "SELECT DISTINCT" if node.distinct else "SELECT",
        _list(node.items),
        _clause("FROM", node.source),
        _optional(node.window),
        _clause("WHERE", node.where),
        f"GROUP BY {_list(node.group_by)}" if node.group_by else None,
        _clause("HAVING", node.having),
    )


def _values(node: syntax.Values) -> str:
    return "VALUES " + ", ".join(f"({_list(row)})" for row in node.rows)


def _set_operation(node: syntax.SetOperation) -> str:
    level = _set_level(node)
    left, right = unparse(node.left), unparse(node.right)
    if _set_level(node.left) < level:
        left = f"({left})"
    if _set_level(node.right) <= level:
        right = f"({right})"
    return _words(left, node.operator, "ALL" if node.all else None, right)


def _set_level(body: syntax.QueryBody) -> int:
    """How tightly a part of a set operation binds: a query with an ORDER BY, say, always needs parentheses."""
    match body:
        case syntax.Query():
            return 0
        case syntax.SetOperation(operator="INTERSECT"):
            return 2
        case syntax.SetOperation():
            return 1
        case _:
            return 3


def _query(node: syntax.Query) -> str:
    body = unparse(node.body)
    followed = node.order_by or node.limit or node.offset
    if isinstance(node.body, syntax.Query) or (node.as_of and not followed and _ends_in_relation(node.body)):
        body = f"({body})"
    return _words(
        f"WITH {'RECURSIVE ' if node.recursive else ''}{_list(node.ctes)}" if node.ctes else None,
        body,
        _order_by(node.order_by),
        _clause("LIMIT", node.limit),
        _clause("OFFSET", node.offset),
        _optional(node.as_of),
        node.emit and f"EMIT {node.emit}",
    )


def _ends_in_relation(body: syntax.QueryBody) -> bool:
    """Whether an AS OF after `body` would be taken for a part of its last relation or select item."""
    if isinstance(body, syntax.SetOperation):
        return _ends_in_relation(body.right)
    if not isinstance(body, syntax.Select) or body.window or body.where or body.group_by or body.having:
        return False
    return not (isinstance(body.source, syntax.Join) and (body.source.on or body.source.using))


def _common_table(node: syntax.CommonTable) -> str:
    columns = f" ({_list(node.columns)})" if node.columns else ""
    return f"{quote(node.name)}{columns} AS ({unparse(node.query)})"


# ---------------------------------------------------------------- FROM


def _relation(node: syntax.Relation) -> str:
    return _words(quote(node.name), _optional(node.as_of), _clause("AS", node.alias))


def _derived(node: syntax.Derived) -> str:
    return _words(f"({unparse(node.query)})", _clause("AS", node.alias))


def _join(node: syntax.Join) -> str:
    kind = "JOIN" if node.kind == "INNER" else f"{node.kind} JOIN"
    right = f"({unparse(node.right)})" if isinstance(node.right, syntax.Join) else unparse(node.right)
    using = f"USING ({_list(node.using)})" if node.using else None
    return _words(unparse(node.left), kind, right, _clause("ON", node.on), using)


def _as_of(node: syntax.AsOf) -> str:
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


def _window(node: syntax.Window) -> str:
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
    unit = next(unit for unit, size in _UNITS.items() if microseconds % size == 0)
    amount = microseconds // _UNITS[unit]
    return f"{amount} {unit}{'' if amount == 1 else 'S'}"


# ---------------------------------------------------------------- statements


def _create_relation(node: syntax.CreateRelation) -> str:
    return _words(
        "CREATE OR REPLACE" if node.or_replace else "CREATE",
        node.kind,
        "IF NOT EXISTS" if node.if_not_exists else None,
        quote(node.name),
        _definitions(node.columns),
        f"WITH ({_list(node.properties)})" if node.properties else None,
        _clause("AS", node.query),
    )


def _definitions(columns: tuple[syntax.ColumnDefinition, ...]) -> str | None:
    if not columns:
        return None
    keys = [column.name for column in columns if column.primary_key]
    parts = [_column(column, primary_key=column.primary_key and len(keys) == 1) for column in columns]
    if len(keys) > 1:
        parts.append(f"PRIMARY KEY ({_list(keys)})")
    return f"({', '.join(parts)})"


def _column(node: syntax.ColumnDefinition, primary_key: bool) -> str:
    return _words(
        quote(node.name),
        node.type,
        "KEY" if node.key else None,
        "PRIMARY KEY" if primary_key else None,
        "NOT NULL" if node.not_null else None,
    )


def _column_definition(node: syntax.ColumnDefinition) -> str:
    return _column(node, node.primary_key)


def _property(node: syntax.Property) -> str:
    bare = _NUMBER.fullmatch(node.value) or node.value in ("true", "false")
    return f"{quote(node.name)} = {node.value if bare else _string(node.value)}"


def _insert(node: syntax.Insert) -> str:
    columns = f"({_list(node.columns)})" if node.columns else None
    return _words("INSERT INTO", quote(node.relation), columns, unparse(node.query))


def _explain(node: syntax.Explain) -> str:
    form = None if node.format == "text" else f"(FORMAT {node.format})"
    return _words("EXPLAIN", "ANALYZE" if node.analyze else None, form, unparse(node.statement))


def _drop(node: syntax.Drop) -> str:
    if_exists = "IF EXISTS" if node.if_exists else None
    return _words("DROP", node.kind, if_exists, quote(node.name), "CASCADE" if node.cascade else None)


_WRITERS: dict[type, Callable[[Any], str]] = {
    syntax.Array: lambda node: f"[{_list(node.items)}]",
    syntax.AsOf: _as_of,
    syntax.Between: _between,
    syntax.Binary: _binary,
    syntax.Call: _call,
    syntax.Case: _case,
    syntax.Cast: _cast,
    syntax.Checkpoint: lambda node: "CHECKPOINT",
    syntax.ColumnDefinition: _column_definition,
    syntax.CommonTable: _common_table,
    syntax.CreateRelation: _create_relation,
    syntax.Derived: _derived,
    syntax.Describe: lambda node: _words("DESCRIBE", quote(node.name), "EXTENDED" if node.extended else None),
    syntax.Drop: _drop,
    syntax.Exists: lambda node: f"EXISTS ({unparse(node.query)})",
    syntax.Explain: _explain,
    syntax.Identifier: quote,
    syntax.In: _in,
    syntax.Insert: _insert,
    syntax.Interval: _interval,
    syntax.Join: _join,
    syntax.Literal: _literal,
    syntax.Name: lambda node: ".".join(map(quote, node.parts)),
    syntax.OrderItem: _order_item,
    syntax.Property: _property,
    syntax.Query: _query,
    syntax.Relation: _relation,
    syntax.Select: _select,
    syntax.SelectItem: _select_item,
    syntax.SetOperation: _set_operation,
    syntax.Show: lambda node: f"SHOW {node.what}",
    syntax.Star: _star,
    syntax.Struct: _struct,
    syntax.Subquery: lambda node: f"({unparse(node.query)})",
    syntax.Subscript: _subscript,
    syntax.Unary: _unary,
    syntax.Values: _values,
    syntax.Window: _window,
    syntax.WindowSpec: _window_spec,
}
