"""Queries, FROM and points of the log as SQL."""

from __future__ import annotations

from headwater.parser import syntax
from headwater.parser.quoting import quote
from headwater.parser.writing import (
    clause,
    duration,
    in_parentheses,
    list_clause,
    listed,
    optional,
    string,
    unparse,
    when,
    words,
)

# ---------------------------------------------------------------- queries


@unparse.register
def _query(node: syntax.Query) -> str:
    body = unparse(node.body)
    followed = node.order_by or node.limit or node.offset
    if isinstance(node.body, syntax.Query) or (node.as_of and not followed and _takes_as_of(node.body)):
        body = f"({body})"
    return words(
        list_clause("WITH RECURSIVE" if node.recursive else "WITH", node.ctes),
        body,
        list_clause("ORDER BY", node.order_by),
        clause("LIMIT", node.limit),
        clause("OFFSET", node.offset),
        optional(node.as_of),
        node.emit and f"EMIT {node.emit}",
    )


def _takes_as_of(body: syntax.QueryBody) -> bool:
    """Whether an AS OF after `body` would be taken for a part of its last relation or select item."""
    if isinstance(body, syntax.SetOperation):
        return _takes_as_of(body.right)
    if not isinstance(body, syntax.Select):
        return False
    if body.windows or body.qualify or body.having or body.partition_by or body.group_by or body.where or body.window:
        return False
    return not (isinstance(body.source, syntax.Join) and (body.source.on or body.source.using))


@unparse.register
def _common_table(node: syntax.CommonTable) -> str:
    materialized = {None: "", True: "MATERIALIZED ", False: "NOT MATERIALIZED "}[node.materialized]
    return words(quote(node.name), in_parentheses(node.columns), f"AS {materialized}({unparse(node.query)})")


@unparse.register
def _select(node: syntax.Select) -> str:
    return words(
        "SELECT",
        when(node.distinct, "DISTINCT"),
        in_parentheses(node.distinct_on, "DISTINCT ON"),
        listed(node.items),
        clause("FROM", node.source),
        optional(node.window),
        clause("WHERE", node.where),
        list_clause("GROUP BY", node.group_by),
        list_clause("PARTITION BY", node.partition_by),
        clause("HAVING", node.having),
        list_clause("WINDOW", node.windows),
        clause("QUALIFY", node.qualify),
    )


@unparse.register
def _named_window(node: syntax.NamedWindow) -> str:
    return f"{quote(node.name)} AS ({unparse(node.spec)})"


@unparse.register
def _values(node: syntax.Values) -> str:
    return "VALUES " + ", ".join(f"({listed(row)})" for row in node.rows)


@unparse.register
def _set_operation(node: syntax.SetOperation) -> str:
    level = _set_level(node)
    left, right = unparse(node.left), unparse(node.right)
    if _set_level(node.left) < level:
        left = f"({left})"
    if _set_level(node.right) <= level:
        right = f"({right})"
    return words(left, node.operator, when(node.all, "ALL"), when(node.by_name, "BY NAME"), right)


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


# ---------------------------------------------------------------- FROM


def _alias(alias: syntax.Identifier | None, columns: tuple[syntax.Identifier, ...] = ()) -> str | None:
    return None if alias is None else words("AS", quote(alias), in_parentheses(columns))


@unparse.register
def _relation(node: syntax.Relation) -> str:
    name = quote(node.name)
    if node.read_as:
        name = f"TABLE({name})" if node.read_as == "TABLE" else f"CHANGES OF {name}"
    start = None if node.start is None else f"FROM {point(node.start)}"
    return words(name, optional(node.as_of), optional(node.changes), start, _alias(node.alias, node.columns))


@unparse.register
def _derived(node: syntax.Derived) -> str:
    return words(when(node.lateral, "LATERAL"), f"({unparse(node.query)})", _alias(node.alias, node.columns))


@unparse.register
def _table_function(node: syntax.TableFunction) -> str:
    return words(
        when(node.lateral, "LATERAL"),
        unparse(node.call),
        when(node.ordinality, "WITH ORDINALITY"),
        _alias(node.alias, node.columns),
    )


@unparse.register
def _window_function(node: syntax.WindowFunction) -> str:
    source = unparse(node.source)
    if source.startswith("INSPECT ") and not node.partition_by:
        source = f"TABLE {source}"
    if node.partition_by:
        keys = listed(node.partition_by)
        source = f"TABLE {source} PARTITION BY {keys if len(node.partition_by) == 1 else f'({keys})'}"
    lengths = [_interval(length) for length in (node.step_us, node.size_us) if length is not None]
    return words(f"{node.kind}({', '.join([source, unparse(node.time), *lengths])})", _alias(node.alias))


def _interval(microseconds: int) -> str:
    amount, unit = duration(microseconds).split()
    return f"INTERVAL '{amount}' {unit.removesuffix('S')}"


@unparse.register
def _join(node: syntax.Join) -> str:
    kind = words(when(node.natural, "NATURAL"), when(node.kind != "INNER", node.kind), "JOIN")
    right = f"({unparse(node.right)})" if isinstance(node.right, syntax.Join) else unparse(node.right)
    using = in_parentheses(node.using, "USING")
    return words(unparse(node.left), kind, right, optional(node.within), clause("ON", node.on), using)


@unparse.register
def _within(node: syntax.Within) -> str:
    before, after = duration(node.before_us), duration(node.after_us)
    return words(
        f"WITHIN {before}" if before == after else f"WITHIN ({before}, {after})",
        None if node.grace_us is None else f"GRACE PERIOD {duration(node.grace_us)}",
    )


@unparse.register
def _window(node: syntax.Window) -> str:
    parts = [duration(node.size_us) if node.kind == "SESSION" else f"SIZE {duration(node.size_us)}"]
    if node.kind == "HOPPING":
        parts.append(f"ADVANCE BY {duration(node.advance_us)}")
    if node.retention_us is not None:
        parts.append(f"RETENTION {duration(node.retention_us)}")
    if node.grace_us is not None:
        parts.append(f"GRACE PERIOD {duration(node.grace_us)}")
    return f"WINDOW {node.kind} ({', '.join(parts)})"


# ---------------------------------------------------------------- points of the log


def point(node: syntax.AsOf) -> str:
    """A point of the log without the words before it."""
    match node.kind:
        case "offset" | "version":
            return f"{node.kind.upper()} {node.value}"
        case "offsets":
            positions = (f"{key if isinstance(key, int) else quote(key)} => {n}" for key, n in node.positions)
            return f"OFFSET ({', '.join(positions)})"
        case "timestamp":
            return f"TIMESTAMP {string(node.value)}"
        case "earliest" | "latest":
            return node.kind.upper()
        case _:
            return string(node.value)


@unparse.register
def _as_of(node: syntax.AsOf) -> str:
    if node.column is not None:
        return f"FOR SYSTEM_TIME AS OF {unparse(node.column)}"
    return f"AS OF {point(node)}"


@unparse.register
def _changes(node: syntax.Changes) -> str:
    end = None if node.end is None else f"TO {point(node.end)}"
    return words(f"CHANGES FROM {point(node.start)}", end)
