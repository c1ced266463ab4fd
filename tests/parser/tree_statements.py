"""Statements at random: a strategy for every kind of statement."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from headwater.parser import syntax as ast
from tests.parser.trees import (
    EXPRESSIONS,
    IDENTIFIERS,
    LENGTHS,
    LITERALS,
    POINTS,
    QUERIES,
    READS,
    ROWS,
    STARTS,
    STRINGS,
    TYPES,
    maybe,
    short,
    tuples,
)

FLAGS = st.booleans()
KINDS = st.sampled_from(["STREAM", "TABLE"])
COUNTS = st.integers(0, 1000)
LISTS = tuples(IDENTIFIERS)

PROPERTIES = tuples(
    st.builds(
        ast.Property,
        st.sampled_from(["partitions", "timestamp", "window", "select", "a b", "auto.offset.reset"]),
        st.sampled_from(["4", "-1.5", "true", "at", "it's", "", "0x1", "1 day"]),
    )
)
TYPED = st.one_of(
    st.builds(ast.ColumnDefinition, IDENTIFIERS, TYPES, FLAGS, FLAGS, FLAGS, maybe(EXPRESSIONS)),
    st.builds(ast.ColumnDefinition, IDENTIFIERS, TYPES, computed=EXPRESSIONS),
    st.builds(ast.ColumnDefinition, IDENTIFIERS, TYPES, header=st.sampled_from(["", "key"])),
)
COLUMNS = TYPED | st.builds(ast.ColumnDefinition, IDENTIFIERS, st.just(""), computed=EXPRESSIONS)


def definitions(columns: st.SearchStrategy[Any] = COLUMNS) -> st.SearchStrategy[tuple[ast.ColumnDefinition, ...]]:
    return st.lists(columns, min_size=1, max_size=3, unique_by=lambda column: column.name.text.lower()).map(tuple)


ACTIONS = st.one_of(
    st.sampled_from([("DROP", None), ("FAIL", None)]), st.tuples(st.just("INSERT"), IDENTIFIERS)
)  # fmt: skip
CHECKS = st.builds(lambda condition, action: ast.Check(condition, *action), EXPRESSIONS, ACTIONS)
REACTIONS = st.one_of(
    st.sampled_from([("SKIP", None), ("FAIL", None)]), st.tuples(st.just("INSERT"), IDENTIFIERS)
)  # fmt: skip
ON_ERRORS = st.builds(lambda action: ast.OnError(*action), REACTIONS)
WATERMARKS = st.builds(ast.Watermark, IDENTIFIERS, EXPRESSIONS)
CREATES = short(
    st.one_of(
        st.builds(
            ast.CreateRelation, KINDS, IDENTIFIERS, definitions(), PROPERTIES, maybe(QUERIES), FLAGS, FLAGS, FLAGS,
            maybe(WATERMARKS),
        ),
        st.builds(
            ast.CreateRelation, KINDS, IDENTIFIERS, properties=PROPERTIES, query=QUERIES, checks=tuples(CHECKS, most=2),
            on_error=maybe(ON_ERRORS),
        ),
    )
)  # fmt: skip
VIEWS = st.builds(ast.CreateView, IDENTIFIERS, LISTS, QUERIES, FLAGS, FLAGS)
ASSIGNMENTS = tuples(st.builds(ast.Assignment, IDENTIFIERS, EXPRESSIONS), least=1)
ON_CONFLICTS = st.one_of(
    st.builds(ast.OnConflict, LISTS), st.builds(ast.OnConflict, LISTS, ASSIGNMENTS, maybe(EXPRESSIONS))
)
INSERTS = st.builds(
    ast.Insert, IDENTIFIERS, LISTS, QUERIES, PROPERTIES, maybe(ON_ERRORS), maybe(COUNTS), maybe(ON_CONFLICTS)
)
UPDATES = st.builds(ast.Update, IDENTIFIERS, ASSIGNMENTS, maybe(EXPRESSIONS), maybe(COUNTS))
DELETES = st.builds(ast.Delete, IDENTIFIERS, maybe(EXPRESSIONS), maybe(COUNTS))
ALTERATIONS = st.one_of(
    st.builds(ast.AddColumn, TYPED),
    st.builds(ast.AddCheck, CHECKS),
    st.builds(ast.DropColumn, IDENTIFIERS),
    st.builds(ast.RenameColumn, IDENTIFIERS, IDENTIFIERS),
    st.builds(ast.RenameRelation, IDENTIFIERS),
)
DEFINING = short(
    st.one_of(
        CREATES,
        VIEWS,
        st.builds(ast.CreateSchema, IDENTIFIERS, FLAGS),
        st.builds(ast.CreateType, IDENTIFIERS, TYPES, FLAGS, FLAGS),
        st.builds(
            ast.CreateFunction, IDENTIFIERS, tuples(st.builds(ast.Parameter, IDENTIFIERS, TYPES)), TYPES,
            maybe(st.builds(ast.Literal, st.just("string"), STRINGS)), st.sampled_from(["python", "sql"]), FLAGS, FLAGS,
            PROPERTIES, FLAGS, FLAGS,
        ),
        st.builds(ast.CreateConnector, st.sampled_from(["SOURCE", "SINK"]), IDENTIFIERS, PROPERTIES, FLAGS, FLAGS),
        st.builds(ast.CreateQueue, IDENTIFIERS, IDENTIFIERS, PROPERTIES, FLAGS, FLAGS),
        st.builds(
            ast.CreateInstance, IDENTIFIERS, IDENTIFIERS, tuples(st.builds(ast.Binding, IDENTIFIERS, EXPRESSIONS)),
        ),
        st.builds(
            ast.CreateAssertion, IDENTIFIERS, EXPRESSIONS, st.sampled_from(["ALERT", "REJECT", "PAUSE"]), FLAGS, FLAGS
        ),
        st.builds(ast.CreateRemote, IDENTIFIERS, PROPERTIES, FLAGS, FLAGS),
    )
)  # fmt: skip
CHANGING = short(
    st.one_of(
        INSERTS,
        UPDATES,
        DELETES,
        st.builds(
            ast.Drop, st.sampled_from(["STREAM", "TABLE", "VIEW", "QUEUE", "GROUP"]), IDENTIFIERS, FLAGS, FLAGS, FLAGS
        ),
        st.builds(ast.Alter, KINDS, IDENTIFIERS, tuples(ALTERATIONS, least=1)),
    )
)
CONSUMING = short(
    st.one_of(
        st.builds(ast.Fetch, COUNTS, IDENTIFIERS, IDENTIFIERS, maybe(LENGTHS)),
        st.builds(ast.CommitGroup, IDENTIFIERS),
        st.builds(ast.Seek, IDENTIFIERS, STARTS, maybe(IDENTIFIERS)),
        st.builds(ast.Receive, COUNTS, IDENTIFIERS, maybe(LENGTHS)),
        st.builds(ast.Ack, IDENTIFIERS, ROWS),
        st.builds(ast.Nack, IDENTIFIERS, ROWS),
        st.builds(ast.Transaction, st.just("BEGIN"), PROPERTIES),
        st.builds(ast.Transaction, st.sampled_from(["COMMIT", "ROLLBACK"])),
        st.builds(
            ast.Verify,
            KINDS,
            IDENTIFIERS,
            maybe(COUNTS),
            maybe(COUNTS),
            maybe(st.builds(ast.Against, STRINGS, COUNTS, COUNTS)),
        ),
        st.builds(ast.ShowProof, IDENTIFIERS, COUNTS, maybe(COUNTS), COUNTS),
        st.builds(ast.ShowExtension, IDENTIFIERS, COUNTS, maybe(COUNTS), COUNTS),
        st.builds(ast.ShowRoot, IDENTIFIERS),
        st.builds(ast.StateRoot, IDENTIFIERS, maybe(POINTS)),
        st.builds(ast.Sync, KINDS, IDENTIFIERS, IDENTIFIERS, st.sampled_from(["PUSH", "PULL", "BOTH"])),
        st.builds(ast.Fork, STRINGS, maybe(POINTS)),
        st.builds(ast.Diff, KINDS, IDENTIFIERS, STRINGS),
        st.builds(ast.ExplainRow, IDENTIFIERS, EXPRESSIONS, maybe(POINTS), FLAGS),
    )
)
EXPLAINABLE = QUERIES | CREATES | VIEWS | INSERTS | UPDATES | DELETES | IDENTIFIERS
OPERATING = short(
    st.one_of(
        st.builds(ast.Preview, CREATES),
        st.builds(
            ast.Show,
            st.sampled_from(["STREAMS", "ALL TOPICS", "SOURCE CONNECTORS", "PROPERTIES"]),
            FLAGS,
            maybe(STARTS),
        ),
        st.builds(ast.Describe, IDENTIFIERS, FLAGS, st.sampled_from([None, "FUNCTION", "CONNECTOR"]), maybe(STARTS)),
        st.builds(ast.DescribeAll, st.sampled_from(["STREAMS", "TABLES"]), FLAGS),
        st.builds(ast.Explain, EXPLAINABLE, FLAGS, st.sampled_from(["text", "json"])),
        st.builds(ast.Print, IDENTIFIERS, FLAGS, maybe(COUNTS), maybe(COUNTS)),
        st.builds(ast.Control, st.sampled_from(["PAUSE", "RESUME", "TERMINATE"]), maybe(IDENTIFIERS)),
        st.builds(ast.SetProperty, STRINGS, STRINGS, FLAGS),
        st.builds(ast.UnsetProperty, STRINGS),
        st.builds(ast.Define, IDENTIFIERS, STRINGS),
        st.builds(ast.Undefine, IDENTIFIERS),
        st.builds(ast.RunScript, STRINGS),
        st.just(ast.Checkpoint()),
        st.builds(ast.Copy, IDENTIFIERS, LISTS, st.sampled_from(["TO", "FROM"]), STRINGS, PROPERTIES),
        st.builds(ast.Copy, QUERIES, st.just(()), st.just("TO"), STRINGS),
    )
)
ASSERTING = short(
    st.one_of(
        st.builds(ast.AssertValues, IDENTIFIERS, LISTS, ROWS, FLAGS),
        st.builds(ast.AssertRelation, KINDS, IDENTIFIERS, definitions() | st.just(()), PROPERTIES),
        st.builds(ast.AssertTopic, IDENTIFIERS, PROPERTIES, maybe(LENGTHS), FLAGS),
        st.builds(ast.AssertSchema, maybe(IDENTIFIERS), maybe(LITERALS), maybe(LENGTHS), FLAGS),
    )
)
PORTS = st.one_of(
    st.builds(ast.Port, st.sampled_from(["IN", "OUT"]), IDENTIFIERS, KINDS, definitions(TYPED)),
    st.builds(ast.PipelineParameter, IDENTIFIERS, TYPES, maybe(EXPRESSIONS)),
)
SIMPLE = DEFINING | CHANGING | CONSUMING | OPERATING | ASSERTING | QUERIES
PIPELINES = short(st.builds(ast.CreatePipeline, IDENTIFIERS, tuples(PORTS), tuples(SIMPLE, most=2), FLAGS, FLAGS))

STATEMENTS = {
    "queries": QUERIES,
    "reads": READS,
    "relations": CREATES,
    "definitions": DEFINING,
    "changes": CHANGING,
    "consuming": CONSUMING,
    "operating": OPERATING,
    "asserting": ASSERTING,
    "pipelines": PIPELINES,
}
