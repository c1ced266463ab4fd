"""Statements as SQL: those that consume, compose, guard and operate."""

from __future__ import annotations

from headwater.parser import syntax
from headwater.parser.quoting import quote
from headwater.parser.write_definitions import column_list, create, option_value, with_clause
from headwater.parser.write_queries import point
from headwater.parser.writing import (
    clause,
    duration,
    in_parentheses,
    listed,
    optional,
    string,
    unparse,
    when,
    words,
)


def _wait(keyword: str, microseconds: int | None) -> str | None:
    return None if microseconds is None else f"{keyword} {duration(microseconds)}"


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
    return create(node, "QUEUE", f"ON {quote(node.relation)}", with_clause(node.properties))


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
    return words(node.action, with_clause(node.properties))


@unparse.register
def _create_pipeline(node: syntax.CreatePipeline) -> str:
    body = "".join(f"{unparse(statement)}; " for statement in node.statements)
    return create(node, "PIPELINE", f"({listed(node.ports)})", f"AS BEGIN {body}END")


@unparse.register
def _port(node: syntax.Port) -> str:
    return words(node.direction, quote(node.name), node.kind, column_list(node.columns))


@unparse.register
def _pipeline_parameter(node: syntax.PipelineParameter) -> str:
    return words("PARAM", quote(node.name), node.type, clause("DEFAULT", node.default))


@unparse.register
def _create_instance(node: syntax.CreateInstance) -> str:
    bindings = in_parentheses(node.bindings)
    return create(node, "INSTANCE", f"OF {quote(node.pipeline)}", bindings, with_clause(node.properties))


@unparse.register
def _binding(node: syntax.Binding) -> str:
    return f"{quote(node.name)} => {unparse(node.value)}"


@unparse.register
def _create_assertion(node: syntax.CreateAssertion) -> str:
    return create(node, "ASSERTION", f"CHECK ({unparse(node.condition)})", f"ON VIOLATION {node.action}")


@unparse.register
def _create_remote(node: syntax.CreateRemote) -> str:
    return create(node, "REMOTE", with_clause(node.properties))


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
    return f"{'ALTER SYSTEM' if node.system else 'SET'} {string(node.name)} = {option_value(node.value)}"


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
    options = ", ".join(f"{quote(option.name)} {option_value(option.value)}" for option in node.options)
    columns = in_parentheses(node.columns)
    return words("COPY", source, columns, node.direction, string(node.path), when(options, f"({options})"))


# ---------------------------------------------------------------- assert


@unparse.register
def _assert_values(node: syntax.AssertValues) -> str:
    kind, word = ("NULL VALUES", "KEY") if node.null else ("VALUES", "VALUES")
    return words("ASSERT", kind, quote(node.relation), in_parentheses(node.columns), f"{word} ({listed(node.values)})")


@unparse.register
def _assert_relation(node: syntax.AssertRelation) -> str:
    return words("ASSERT", node.kind, quote(node.name), column_list(node.columns), with_clause(node.properties))


def _exists(exists: bool) -> str | None:
    return when(not exists, "NOT EXISTS")


@unparse.register
def _assert_topic(node: syntax.AssertTopic) -> str:
    timeout = _wait("TIMEOUT", node.timeout_us)
    return words("ASSERT", _exists(node.exists), "TOPIC", quote(node.name), with_clause(node.properties), timeout)


@unparse.register
def _assert_schema(node: syntax.AssertSchema) -> str:
    subject, number = clause("SUBJECT", node.subject), clause("ID", node.id)
    return words("ASSERT", _exists(node.exists), "SCHEMA", subject, number, _wait("TIMEOUT", node.timeout_us))
