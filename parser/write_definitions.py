"""Statements that define, and that change rows, as SQL."""

from __future__ import annotations

import re

from headwater.parser import syntax
from headwater.parser.quoting import quote
from headwater.parser.writing import (
    clause,
    in_parentheses,
    list_clause,
    listed,
    optional,
    string,
    unparse,
    when,
    words,
)

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_Creation = (
    syntax.CreateRelation | syntax.CreateView | syntax.CreateType | syntax.CreateFunction | syntax.CreateConnector
    | syntax.CreateQueue | syntax.CreatePipeline | syntax.CreateInstance | syntax.CreateAssertion | syntax.CreateRemote
)  # fmt: skip


def create(node: _Creation, kind: str, *parts: str | None) -> str:
    """CREATE with the words that all kinds of it have, and then its own parts."""
    replace, exists = when(node.or_replace, "OR REPLACE"), when(node.if_not_exists, "IF NOT EXISTS")
    return words("CREATE", replace, kind, exists, quote(node.name), *parts)


def with_clause(properties: tuple[syntax.Property, ...]) -> str | None:
    """WITH (name = 'value', …), if there are some."""
    return in_parentheses(properties, "WITH")


@unparse.register
def _create_relation(node: syntax.CreateRelation) -> str:
    definitions = column_list(node.columns, node.watermark)
    kind = f"SOURCE {node.kind}" if node.source else node.kind
    query = clause("AS", node.query)
    rest = (query, *(unparse(check) for check in node.checks), optional(node.on_error))
    return create(node, kind, definitions, with_clause(node.properties), *rest)


def column_list(columns: tuple[syntax.ColumnDefinition, ...], watermark: syntax.Watermark | None = None) -> str | None:
    keys = [column.name for column in columns if column.primary_key]
    together = len(keys) > 1 and len({key.text.lower() for key in keys}) == len(keys)
    parts = [_column(column, primary_key=column.primary_key and not together) for column in columns]
    if together:
        parts.append(f"PRIMARY KEY ({listed(keys)})")
    if watermark is not None:
        parts.append(unparse(watermark))
    return f"({', '.join(parts)})" if parts else None


def _column(node: syntax.ColumnDefinition, primary_key: bool) -> str:
    computed = (
        None
        if node.computed is None
        else f"AS ({unparse(node.computed)})"
        if node.type
        else f"AS {unparse(node.computed)}"
    )
    header = None if node.header is None else f"HEADER({string(node.header)})" if node.header else "HEADERS"
    default = None if node.default is None else f"DEFAULT {_default(node.default)}"
    return words(
        quote(node.name),
        node.type,
        when(node.key, "KEY"),
        when(primary_key, "PRIMARY KEY"),
        when(node.not_null, "NOT NULL"),
        default,
        computed,
        header,
        *(unparse(check) for check in node.checks),
    )


def _default(value: syntax.Expression) -> str:
    return unparse(value) if isinstance(value, syntax.Literal) else f"({unparse(value)})"


@unparse.register
def _column_definition(node: syntax.ColumnDefinition) -> str:
    return _column(node, node.primary_key)


@unparse.register
def _watermark(node: syntax.Watermark) -> str:
    return f"WATERMARK FOR {quote(node.column)} AS {unparse(node.expression)}"


@unparse.register
def _property(node: syntax.Property) -> str:
    return f"{quote(node.name)} = {option_value(node.value)}"


def option_value(value: str) -> str:
    return value if _NUMBER.fullmatch(value) or value in ("true", "false") else string(value)


@unparse.register
def _check(node: syntax.Check) -> str:
    action = node.action if node.into is None else f"INSERT INTO {quote(node.into)}"
    return f"CHECK ({unparse(node.condition)}) ON VIOLATION {action}"


@unparse.register
def _on_error(node: syntax.OnError) -> str:
    return f"ON ERROR {node.action if node.into is None else f'INSERT INTO {quote(node.into)}'}"


@unparse.register
def _create_view(node: syntax.CreateView) -> str:
    return create(node, "VIEW", in_parentheses(node.columns), clause("AS", node.query))


@unparse.register
def _create_schema(node: syntax.CreateSchema) -> str:
    return words("CREATE SCHEMA", when(node.if_not_exists, "IF NOT EXISTS"), quote(node.name))


@unparse.register
def _create_type(node: syntax.CreateType) -> str:
    return create(node, "TYPE", f"AS {node.type}")


@unparse.register
def _create_function(node: syntax.CreateFunction) -> str:
    return create(
        node,
        "AGGREGATE FUNCTION" if node.aggregate else "FUNCTION",
        f"({listed(node.parameters)})",
        f"RETURNS {node.returns}",
        f"LANGUAGE {quote(node.language)}",
        when(node.called_on_null, "CALLED ON NULL INPUT"),
        with_clause(node.properties),
        clause("AS", node.body),
    )


@unparse.register
def _parameter(node: syntax.Parameter) -> str:
    return f"{quote(node.name)} {node.type}"


@unparse.register
def _create_connector(node: syntax.CreateConnector) -> str:
    return create(node, f"{node.kind} CONNECTOR", with_clause(node.properties))


# ---------------------------------------------------------------- change


@unparse.register
def _insert(node: syntax.Insert) -> str:
    columns, properties = in_parentheses(node.columns), with_clause(node.properties)
    rest = (properties, unparse(node.query), optional(node.on_conflict), _if_version(node), optional(node.on_error))
    return words("INSERT INTO", quote(node.relation), columns, *rest)


@unparse.register
def _on_conflict(node: syntax.OnConflict) -> str:
    action = words("DO UPDATE", list_clause("SET", node.assignments)) if node.assignments else "DO NOTHING"
    where = None if node.where is None else f"WHERE {unparse(node.where)}"
    return words("ON CONFLICT", in_parentheses(node.columns), action, where)


@unparse.register
def _update(node: syntax.Update) -> str:
    return words("UPDATE", quote(node.relation), list_clause("SET", node.assignments), _where(node))


@unparse.register
def _assignment(node: syntax.Assignment) -> str:
    return f"{quote(node.column)} = {unparse(node.value)}"


@unparse.register
def _delete(node: syntax.Delete) -> str:
    return words("DELETE FROM", quote(node.relation), _where(node))


def _where(node: syntax.Update | syntax.Delete) -> str:
    return words(clause("WHERE", node.where), _if_version(node))


def _if_version(node: syntax.Insert | syntax.Update | syntax.Delete) -> str | None:
    return None if node.if_version is None else f"IF VERSION = {node.if_version}"


@unparse.register
def _drop(node: syntax.Drop) -> str:
    exists, cascade = when(node.if_exists, "IF EXISTS"), when(node.cascade, "CASCADE")
    return words("DROP", node.kind, exists, quote(node.name), cascade, when(node.delete_topic, "DELETE TOPIC"))


@unparse.register
def _alter(node: syntax.Alter) -> str:
    return f"ALTER {node.kind} {quote(node.name)} {listed(node.actions)}"


@unparse.register
def _add_column(node: syntax.AddColumn) -> str:
    return f"ADD COLUMN {unparse(node.column)}"


@unparse.register
def _add_check(node: syntax.AddCheck) -> str:
    return f"ADD {unparse(node.check)}"


@unparse.register
def _drop_column(node: syntax.DropColumn) -> str:
    return f"DROP COLUMN {quote(node.name)}"


@unparse.register
def _rename_column(node: syntax.RenameColumn) -> str:
    return f"RENAME COLUMN {quote(node.old)} TO {quote(node.new)}"


@unparse.register
def _rename_relation(node: syntax.RenameRelation) -> str:
    return f"RENAME TO {quote(node.new)}"
