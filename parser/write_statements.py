"""Statements as SQL."""

from __future__ import annotations

import re

from headwater.parser import syntax
from headwater.parser.quoting import quote
from headwater.parser.write_queries import point
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

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

_Creation = (
    syntax.CreateRelation | syntax.CreateView | syntax.CreateType | syntax.CreateFunction | syntax.CreateConnector
    | syntax.CreateQueue | syntax.CreatePipeline | syntax.CreateInstance | syntax.CreateAssertion | syntax.CreateRemote
)  # fmt: skip


def _create(node: _Creation, kind: str, *parts: str | None) -> str:
    """CREATE with the words that all kinds of it have, and then its own parts."""
    replace, exists = when(node.or_replace, "OR REPLACE"), when(node.if_not_exists, "IF NOT EXISTS")
    return words("CREATE", replace, kind, exists, quote(node.name), *parts)


def _properties(properties: tuple[syntax.Property, ...]) -> str | None:
    return in_parentheses(properties, "WITH")


def _wait(keyword: str, microseconds: int | None) -> str | None:
    return None if microseconds is None else f"{keyword} {duration(microseconds)}"


# ---------------------------------------------------------------- define


@unparse.register
def _create_relation(node: syntax.CreateRelation) -> str:
    definitions = _definitions(node.columns, node.watermark)
    kind = f"SOURCE {node.kind}" if node.source else node.kind
    query = clause("AS", node.query)
    rest = (query, *(unparse(check) for check in node.checks), optional(node.on_error))
    return _create(node, kind, definitions, _properties(node.properties), *rest)


def _definitions(columns: tuple[syntax.ColumnDefinition, ...], watermark: syntax.Watermark | None = None) -> str | None:
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
    return f"{quote(node.name)} = {_value(node.value)}"


def _value(value: str) -> str:
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
    return _create(node, "VIEW", in_parentheses(node.columns), clause("AS", node.query))


@unparse.register
def _create_schema(node: syntax.CreateSchema) -> str:
    return words("CREATE SCHEMA", when(node.if_not_exists, "IF NOT EXISTS"), quote(node.name))


@unparse.register
def _create_type(node: syntax.CreateType) -> str:
    return _create(node, "TYPE", f"AS {node.type}")


@unparse.register
def _create_function(node: syntax.CreateFunction) -> str:
    return _create(
        node,
        "AGGREGATE FUNCTION" if node.aggregate else "FUNCTION",
        f"({listed(node.parameters)})",
        f"RETURNS {node.returns}",
        f"LANGUAGE {quote(node.language)}",
        when(node.called_on_null, "CALLED ON NULL INPUT"),
        _properties(node.properties),
        clause("AS", node.body),
    )


@unparse.register
def _parameter(node: syntax.Parameter) -> str:
    return f"{quote(node.name)} {node.type}"


@unparse.register
def _create_connector(node: syntax.CreateConnector) -> str:
    return _create(node, f"{node.kind} CONNECTOR", _properties(node.properties))


# ---------------------------------------------------------------- change


@unparse.register
def _insert(node: syntax.Insert) -> str:
    columns, properties = in_parentheses(node.columns), _properties(node.properties)
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


# ---------------------------------------------------------------- consume, compose, guard


@unparse.register
def _fetch(node: syntax.Fetch) -> str:
    group = f"GROUP {quote(node.group)}"
    return words(f"FETCH {node.count} FROM", quote(node.relation), group, _wait("WAIT", node.wait_us))


@unparse.register
def _commit_group(node: syntax.CommitGroup) -> str:
    return f"COMMIT GROUP {quote(node.group)}"


@unparse.register
def _seek(node: syntax.Seek) -> str:
    return words("SEEK GROUP", quote(node.group), clause("ON", node.relation), f"TO {point(node.point)}")


@unparse.register
def _create_queue(node: syntax.CreateQueue) -> str:
    return _create(node, "QUEUE", f"ON {quote(node.relation)}", _properties(node.properties))


@unparse.register
def _receive(node: syntax.Receive) -> str:
    return words(f"RECEIVE {node.count} FROM", quote(node.queue), _wait("WAIT", node.wait_us))


@unparse.register
def _ack(node: syntax.Ack) -> str:
    return f"ACK {quote(node.queue)} ({listed(node.ids)})"


@unparse.register
def _nack(node: syntax.Nack) -> str:
    return f"NACK {quote(node.queue)} ({listed(node.ids)})"


@unparse.register
def _transaction(node: syntax.Transaction) -> str:
    return words(node.action, _properties(node.properties))


@unparse.register
def _create_pipeline(node: syntax.CreatePipeline) -> str:
    body = "".join(f"{unparse(statement)}; " for statement in node.statements)
    return _create(node, "PIPELINE", f"({listed(node.ports)})", f"AS BEGIN {body}END")


@unparse.register
def _port(node: syntax.Port) -> str:
    return words(node.direction, quote(node.name), node.kind, _definitions(node.columns))


@unparse.register
def _pipeline_parameter(node: syntax.PipelineParameter) -> str:
    return words("PARAM", quote(node.name), node.type, clause("DEFAULT", node.default))


@unparse.register
def _create_instance(node: syntax.CreateInstance) -> str:
    bindings = in_parentheses(node.bindings)
    return _create(node, "INSTANCE", f"OF {quote(node.pipeline)}", bindings, _properties(node.properties))


@unparse.register
def _binding(node: syntax.Binding) -> str:
    return f"{quote(node.name)} => {unparse(node.value)}"


@unparse.register
def _create_assertion(node: syntax.CreateAssertion) -> str:
    return _create(node, "ASSERTION", f"CHECK ({unparse(node.condition)})", f"ON VIOLATION {node.action}")


@unparse.register
def _create_remote(node: syntax.CreateRemote) -> str:
    return _create(node, "REMOTE", _properties(node.properties))


@unparse.register
def _sync(node: syntax.Sync) -> str:
    return f"SYNC {node.kind} {quote(node.name)} WITH {quote(node.remote)} {node.direction}"


@unparse.register
def _fork(node: syntax.Fork) -> str:
    return words("FORK DATABASE TO", string(node.path), optional(node.as_of))


@unparse.register
def _diff(node: syntax.Diff) -> str:
    return f"DIFF {node.kind} {quote(node.name)} WITH {string(node.path)}"


@unparse.register
def _explain_row(node: syntax.ExplainRow) -> str:
    kind = "MISSING" if node.missing else "ROW"
    return words("EXPLAIN", kind, quote(node.name), "WHERE", unparse(node.where), optional(node.as_of))


# ---------------------------------------------------------------- operate


@unparse.register
def _preview(node: syntax.Preview) -> str:
    return f"PREVIEW {unparse(node.statement)}"


@unparse.register
def _show(node: syntax.Show) -> str:
    return words("SHOW", node.what, when(node.extended, "EXTENDED"), optional(node.as_of))


@unparse.register
def _describe(node: syntax.Describe) -> str:
    return words("DESCRIBE", node.kind, quote(node.name), when(node.extended, "EXTENDED"), optional(node.as_of))


@unparse.register
def _describe_all(node: syntax.DescribeAll) -> str:
    return words("DESCRIBE", node.kind, when(node.extended, "EXTENDED"))


@unparse.register
def _explain(node: syntax.Explain) -> str:
    form = when(node.format != "text", f"(FORMAT {node.format})")
    return words("EXPLAIN", when(node.analyze, "ANALYZE"), form, unparse(node.statement))


@unparse.register
def _print(node: syntax.Print) -> str:
    return words(
        "PRINT",
        quote(node.relation),
        when(node.from_beginning, "FROM BEGINNING"),
        None if node.interval is None else f"INTERVAL {node.interval}",
        None if node.limit is None else f"LIMIT {node.limit}",
    )


@unparse.register
def _control(node: syntax.Control) -> str:
    what = when(node.is_instance, "INSTANCE")
    return words(node.action, what, quote(node.query) if node.query else "ALL")


@unparse.register
def _set_property(node: syntax.SetProperty) -> str:
    return f"{'ALTER SYSTEM' if node.system else 'SET'} {string(node.name)} = {_value(node.value)}"


@unparse.register
def _unset_property(node: syntax.UnsetProperty) -> str:
    return f"UNSET {string(node.name)}"


@unparse.register
def _define(node: syntax.Define) -> str:
    return f"DEFINE {quote(node.name)} = {string(node.value)}"


@unparse.register
def _undefine(node: syntax.Undefine) -> str:
    return f"UNDEFINE {quote(node.name)}"


@unparse.register
def _run_script(node: syntax.RunScript) -> str:
    return f"RUN SCRIPT {string(node.path)}"


@unparse.register
def _checkpoint(node: syntax.Checkpoint) -> str:
    return "CHECKPOINT"


@unparse.register
def _copy(node: syntax.Copy) -> str:
    source = f"({unparse(node.source)})" if isinstance(node.source, syntax.Query) else quote(node.source)
    options = ", ".join(f"{quote(option.name)} {_value(option.value)}" for option in node.options)
    columns = in_parentheses(node.columns)
    return words("COPY", source, columns, node.direction, string(node.path), when(options, f"({options})"))


# ---------------------------------------------------------------- assert


@unparse.register
def _assert_values(node: syntax.AssertValues) -> str:
    kind, word = ("NULL VALUES", "KEY") if node.null else ("VALUES", "VALUES")
    return words("ASSERT", kind, quote(node.relation), in_parentheses(node.columns), f"{word} ({listed(node.values)})")


@unparse.register
def _assert_relation(node: syntax.AssertRelation) -> str:
    return words("ASSERT", node.kind, quote(node.name), _definitions(node.columns), _properties(node.properties))


def _exists(exists: bool) -> str | None:
    return when(not exists, "NOT EXISTS")


@unparse.register
def _assert_topic(node: syntax.AssertTopic) -> str:
    timeout = _wait("TIMEOUT", node.timeout_us)
    return words("ASSERT", _exists(node.exists), "TOPIC", quote(node.name), _properties(node.properties), timeout)


@unparse.register
def _assert_schema(node: syntax.AssertSchema) -> str:
    subject, number = clause("SUBJECT", node.subject), clause("ID", node.id)
    return words("ASSERT", _exists(node.exists), "SCHEMA", subject, number, _wait("TIMEOUT", node.timeout_us))
