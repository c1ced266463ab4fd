"""Scripts: variables, settings, files that run files, and asserts."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater import AssertionFailed, Database, DataError, SqlError, SyntaxProblem, UnknownName, Unsupported, connect

FLOW = """
CREATE STREAM s (k VARCHAR KEY, v INTEGER);
CREATE STREAM big AS SELECT k, v FROM s WHERE v >= 10;
CREATE TABLE totals AS SELECT k, sum(v) AS total FROM s GROUP BY k;
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR);
"""


@pytest.fixture
def flow(db: Database) -> Database:
    db.execute(FLOW)
    return db


def failure(db: Database, statement: str) -> AssertionFailed:
    with pytest.raises(AssertionFailed) as caught:
        db.sql(statement)
    return caught.value


# ---------------------------------------------------------------- variables


def test_a_variable_holds_for_the_statements_after_it_also_in_later_texts(db: Database) -> None:
    db.execute("DEFINE name = 't'; CREATE TABLE ${NAME} (v INTEGER); INSERT INTO ${name} VALUES (1)")
    assert db.sql("SELECT '${name}' AS a, v FROM ${name}").fetchall() == [("t", 1)]


def test_a_variable_belongs_to_one_database_object(db: Database) -> None:
    db.execute("DEFINE name = 'x'")
    with connect(background=False) as other, pytest.raises(UnknownName, match='no variable "name"'):
        other.sql("SELECT ${name}")


def test_a_variable_can_be_made_of_others(db: Database) -> None:
    db.execute("DEFINE env = 'dev'; DEFINE topic = '${env}_bids'")
    assert db.sql("SHOW VARIABLES").fetchall() == [("env", "dev"), ("topic", "dev_bids")]


def test_an_error_in_a_value_points_at_the_name_that_was_written(db: Database) -> None:
    with pytest.raises(UnknownName) as caught:
        db.execute("DEFINE source = 'nowhere';\nSELECT *\nFROM ${source};")
    assert str(caught.value) == (
        'there is no stream or table "nowhere" (line 3, column 6)\n3 | FROM ${source};\n  |      ^^^^^^^^^'
    )


def test_substitution_can_be_turned_off(db: Database) -> None:
    db.execute("DEFINE name = 'x'; SET 'ksql.variable.substitution.enable' = 'false'")
    assert db.sql("SELECT '${name}' AS a").fetchall() == [("${name}",)]
    db.execute("UNSET 'ksql.variable.substitution.enable'")
    assert db.sql("SELECT '${name}' AS a").fetchall() == [("x",)]


def test_the_name_of_a_variable_is_a_word(db: Database) -> None:
    with pytest.raises(SqlError, match='"a b" cannot be the name of a variable'):
        db.sql("DEFINE \"a b\" = '1'")


def test_a_syntax_error_anywhere_keeps_the_whole_text_from_running(db: Database) -> None:
    with pytest.raises(SyntaxProblem):
        db.execute("CREATE TABLE t (v INTEGER); SELEKT 1")
    assert db.relations() == []


# ---------------------------------------------------------------- settings


def test_latest_skips_what_is_there_and_counts_a_limit_from_then_on(flow: Database) -> None:
    flow.execute("INSERT INTO s VALUES ('a', 1); SET 'auto.offset.reset' = 'latest'")
    watched = flow.subscribe("SELECT k, total FROM totals EMIT CHANGES LIMIT 2")
    stream = flow.subscribe("SELECT v FROM s EMIT CHANGES")
    assert watched.poll(0) is None and stream.poll(0) is None
    flow.execute("INSERT INTO s VALUES ('a', 2)")
    batch, rows = watched.poll(0), stream.poll(0)
    assert batch is not None and [(c.op, *c.row) for c in batch] == [("-", "a", 1), ("+", "a", 3)]
    assert rows is not None and [(c.op, *c.row) for c in rows] == [("+", 2)]


@pytest.mark.parametrize(
    ("statement", "message", "hint"),
    [
        ("SET 'auto.ofset.reset' = 'latest'", 'there is no setting "auto.ofset.reset"', '"auto.offset.reset"'),
        ("UNSET 'auto.offset'", 'there is no setting "auto.offset"', '"auto.offset.reset"'),
        ("SET 'auto.offset.reset' = 'middle'", "cannot be 'middle'", "'earliest', 'latest'"),
        ("SET 'idle_timeout' = 'soon'", "idle_timeout cannot be 'soon'", "'10 seconds', or 'none'"),
        ("SET 'retention' = '1 day'", "is a property of a stream or table", "CREATE … WITH"),
        ("ALTER SYSTEM 'auto.offset.reset' = 'latest'", "ALTER SYSTEM is not supported", "SET 'auto.offset.reset'"),
    ],
)
def test_only_settings_that_do_something_can_be_set(db: Database, statement: str, message: str, hint: str) -> None:
    with pytest.raises(SqlError, match=message) as caught:
        db.sql(statement)
    assert hint in str(caught.value.hint)


def test_a_setting_can_be_written_as_ksqldb_passes_it_on(db: Database) -> None:
    assert db.sql("SET 'ksql.streams.auto.offset.reset' = 'LATEST'").message == "auto.offset.reset is latest"


# ---------------------------------------------------------------- files


def test_a_script_runs_in_its_place_and_shares_variables_both_ways(db: Database, tmp_path: Path) -> None:
    (tmp_path / "inner.sql").write_text("CREATE TABLE ${name} (v INTEGER); DEFINE value = '7'; SELECT 1 AS inner;")
    script = f"DEFINE name = 't'; RUN SCRIPT '{tmp_path}/inner.sql'; INSERT INTO t VALUES (${{value}}); SELECT v FROM t"
    answers = list(db.run(script))
    assert [getattr(answer, "message", "") or answer.fetchall() for answer in answers] == [  # type: ignore[union-attr]
        "defined name", "created table t", "defined value", [(1,)], "inserted 1 row", [(7,)],
    ]  # fmt: skip


def test_a_path_counts_from_the_file_it_stands_in(db: Database, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.sql").write_text("RUN SCRIPT 'b.sql';")
    (tmp_path / "parts" / "b.sql").write_text("CREATE TABLE b (v INTEGER);")
    db.execute("RUN SCRIPT 'parts/a.sql'", file=str(tmp_path / "all.sql"))
    assert [r.name for r in db.relations()] == ["b"]


def test_without_a_file_a_path_counts_from_the_working_directory(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1; SELECT 2")
    monkeypatch.chdir(tmp_path)
    assert db.sql("RUN SCRIPT 'a.sql'").message == "ran 2 statements of a.sql"


def test_an_error_names_the_file_the_line_and_the_column_where_it_stands(db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1;\nRUN SCRIPT 'b.sql';\n")
    (tmp_path / "b.sql").write_text("-- the second file\nSELECT * FROM nowhere;\n")
    with pytest.raises(UnknownName) as caught:
        db.execute("RUN SCRIPT 'a.sql'", file=f"{tmp_path}/all.sql")
    assert str(caught.value).startswith(
        f'there is no stream or table "nowhere" ({tmp_path}/b.sql, line 2, column 15)\n'
    )


def test_an_error_in_rows_names_the_statement_of_the_file(db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(
        "CREATE STREAM s (v INTEGER, at VARCHAR) WITH (timestamp = 'at');\n\nINSERT INTO s VALUES (1, 'soon');"
    )
    with pytest.raises(DataError) as caught:
        db.execute(f"RUN SCRIPT '{tmp_path}/a.sql'")
    assert (caught.value.file, caught.value.line, caught.value.column) == (f"{tmp_path}/a.sql", 3, 1)


def test_a_script_that_would_run_itself_is_refused(db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("RUN SCRIPT 'b.sql';")
    (tmp_path / "b.sql").write_text("RUN SCRIPT './a.sql';")
    with pytest.raises(SqlError, match="runs itself") as caught:
        db.execute(f"RUN SCRIPT '{tmp_path}/a.sql'")
    assert caught.value.file == f"{tmp_path}/b.sql"


@pytest.mark.parametrize(("name", "reason"), [("none.sql", "No such file"), (".", "directory")])
def test_a_file_that_cannot_be_read_says_so(db: Database, tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(SqlError, match=f"cannot read .*{reason}") as caught:
        db.execute(f"RUN SCRIPT '{tmp_path}/{name}'")
    assert caught.value.line == 1


def test_a_file_of_other_bytes_than_utf8_says_so(db: Database, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"SELECT '\xff'")
    with pytest.raises(SqlError, match=r"is not UTF-8 text \(byte 8\)"):
        db.execute(f"RUN SCRIPT '{tmp_path}/a.sql'")


# ---------------------------------------------------------------- asserts of records


def test_asserts_of_a_stream_take_its_records_in_order(flow: Database) -> None:
    flow.execute("""
        INSERT INTO s VALUES ('a', 1), ('b', 10), ('c', 20);
        ASSERT VALUES big (k, v) VALUES ('b', 10);
        INSERT INTO s VALUES ('d', 30);
        ASSERT VALUES big (v) VALUES (20);
        ASSERT VALUES big VALUES ('d', 30);
    """)
    assert failure(flow, "ASSERT VALUES big (k) VALUES ('e')").message == 'there is no record 4 of "big"'


def test_asserts_of_relations_do_not_take_each_others_records(flow: Database) -> None:
    flow.execute("""
        INSERT INTO s VALUES ('a', 10);
        ASSERT VALUES s (k, v) VALUES ('a', 10);
        ASSERT VALUES big (k, v) VALUES ('a', 10);
        ASSERT VALUES totals (k, total) VALUES ('a', 10);
    """)


def test_a_record_of_a_table_is_the_new_row_of_a_key(flow: Database) -> None:
    flow.execute("""
        INSERT INTO s VALUES ('b', 1); INSERT INTO s VALUES ('a', 2); INSERT INTO s VALUES ('b', 3);
        ASSERT VALUES totals (k, total) VALUES ('b', 1);
        ASSERT VALUES totals (k, total) VALUES ('a', 2);
        ASSERT VALUES totals (k, total) VALUES ('b', 4);
    """)


def test_a_commit_gives_one_record_for_each_key_that_it_changes(flow: Database) -> None:
    flow.execute("""
        INSERT INTO s VALUES ('b', 1), ('a', 2), ('b', 3);
        ASSERT VALUES totals (k, total) VALUES ('b', 4);
        ASSERT VALUES totals (k, total) VALUES ('a', 2);
    """)
    assert failure(flow, "ASSERT VALUES totals (k) VALUES ('b')").message == 'there is no record 3 of "totals"'


def test_a_record_of_a_source_table_is_what_was_put_in(flow: Database) -> None:
    flow.execute("""
        INSERT INTO people VALUES (1, 'ann'), (1, 'anna');
        ASSERT VALUES people (id, name) VALUES (1, 'ann');
        ASSERT VALUES people (id, name) VALUES (1, 'anna');
    """)


def test_the_removal_of_a_row_is_a_record_without_values(flow: Database) -> None:
    flow.execute("""
        CREATE TABLE small AS SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) < 10;
        INSERT INTO s VALUES ('a', 1); INSERT INTO s VALUES ('a', 20);
        ASSERT VALUES small (k, total) VALUES ('a', 1);
    """)
    assert (
        failure(flow, "ASSERT VALUES small (k) VALUES ('a')").message == 'record 2 of "small" is the removal of a row'
    )
    assert flow.sql("ASSERT NULL VALUES small (k) KEY ('a')").message == 'record 2 of "small" is as expected'


def test_a_removal_is_told_by_its_key_if_no_columns_are_named(flow: Database) -> None:
    flow.execute("""
        CREATE TABLE small AS SELECT k, sum(v) AS total FROM s GROUP BY k HAVING sum(v) < 10;
        INSERT INTO s VALUES ('a', 1); INSERT INTO s VALUES ('a', 20);
        ASSERT VALUES small VALUES ('a', 1);
    """)
    assert (
        failure(flow, "ASSERT NULL VALUES small KEY ('b')").message == 'record 2 of "small" is another: k is a, not b'
    )
    flow.execute("ASSERT NULL VALUES small KEY ('a')")


def test_an_assert_that_fails_says_what_is_there_and_takes_nothing(flow: Database) -> None:
    flow.execute("INSERT INTO s VALUES ('a', 12)")
    error = failure(flow, "ASSERT VALUES totals (total, k) VALUES (10, 'a')")
    assert error.message == 'record 1 of "totals" is another: total is 12, not 10'
    assert (error.columns, error.expected, error.actual) == (("total", "k"), ("10", "a"), ("12", "a"))
    flow.execute("ASSERT VALUES totals (total, k) VALUES (12, 'a')")


def test_columns_that_are_not_named_may_hold_anything(flow: Database) -> None:
    flow.execute("INSERT INTO s VALUES ('a', 12); ASSERT VALUES totals (k) VALUES ('a')")


def test_null_is_null_and_nan_is_nan(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (a DOUBLE, b VARCHAR[]);
        INSERT INTO s VALUES ('NaN', NULL), (0.1 + 0.2, ['x', NULL]);
        ASSERT VALUES s VALUES ('NaN', NULL);
        ASSERT VALUES s VALUES (0.3, ['x', NULL]);
    """)


def test_the_pseudo_columns_of_a_stream_can_be_asserted(flow: Database) -> None:
    flow.execute("""
        INSERT INTO s (ROWTIME, k, v) VALUES ('2026-01-01', 'a', 10);
        ASSERT VALUES big (ROWTIME, ROWPARTITION, ROWOFFSET, v) VALUES ('2026-01-01 00:00:00', 0, 0, 10);
    """)


def test_records_before_a_query_was_made_are_among_its_records(flow: Database) -> None:
    flow.execute("""
        INSERT INTO s VALUES ('a', 1); INSERT INTO s VALUES ('a', 2);
        CREATE TABLE late AS SELECT k, max(v) AS top FROM s GROUP BY k;
        ASSERT VALUES late (top) VALUES (1);
        ASSERT VALUES late (top) VALUES (2);
    """)


def test_records_do_not_depend_on_the_steps_of_a_running_query() -> None:
    with connect() as db:
        db.execute(FLOW)
        for value in range(20):
            db.execute(f"INSERT INTO s VALUES ('a', {value})")
        for value in range(20):
            # The first row brings the sum 0, and each one after it another.
            db.execute(f"ASSERT VALUES totals (total) VALUES ({sum(range(value + 1))})")


def test_another_relation_of_the_same_name_begins_with_its_first_record(db: Database) -> None:
    script = "CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (1); ASSERT VALUES t (v) VALUES (1); DROP TABLE t;"
    db.execute(script + script)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ASSERT VALUES nowhere (a) VALUES (1)", 'there is no stream or table "nowhere"'),
        ("ASSERT VALUES s (w) VALUES (1)", 'there is no column "w"'),
        ("ASSERT VALUES s (v, k) VALUES (1)", "1 values for 2 columns"),
        ("ASSERT VALUES s (v) VALUES ('x')", "cannot read 'x' as INTEGER"),
        ("ASSERT VALUES s (v) VALUES (k)", '"k" is not a value'),
        ("ASSERT VALUES totals (ROWTIME) VALUES ('2026-01-01')", 'there is no column "ROWTIME"'),
        ("ASSERT NULL VALUES s (k) KEY ('a')", '"s" is a stream, of which no row is ever removed'),
    ],
)
def test_an_assert_that_cannot_hold_says_why(flow: Database, statement: str, message: str) -> None:
    with pytest.raises(SqlError, match=message) as caught:
        flow.sql(statement)
    assert not isinstance(caught.value, AssertionFailed) and caught.value.line == 1


# ---------------------------------------------------------------- asserts of definitions


@pytest.mark.parametrize(
    "statement",
    [
        "ASSERT STREAM s (k STRING KEY, v INT)",
        "ASSERT STREAM S (K VARCHAR KEY, V INTEGER) WITH (partitions = 1, kafka_topic = 's', value_format = 'JSON')",
        "ASSERT STREAM big (k VARCHAR KEY, v INTEGER)",
        "ASSERT TABLE totals (k VARCHAR PRIMARY KEY, total HUGEINT)",
        "ASSERT TABLE people (id INTEGER PRIMARY KEY, name VARCHAR)",
        "ASSERT TABLE people",
    ],
)
def test_a_definition_holds_in_any_spelling(flow: Database, statement: str) -> None:
    assert str(flow.sql(statement).message).endswith("is as expected")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ASSERT TABLE s (k VARCHAR PRIMARY KEY, v INTEGER)", '"s" is a stream, not a table'),
        ("ASSERT STREAM s (k VARCHAR KEY)", 'columns of "s": k VARCHAR KEY, v INTEGER, not k VARCHAR KEY'),
        (
            "ASSERT STREAM s (k VARCHAR, v INTEGER)",
            'columns of "s": k VARCHAR KEY, v INTEGER, not k VARCHAR, v INTEGER',
        ),
        ('ASSERT STREAM s ("K" VARCHAR KEY, v INTEGER)', 'columns of "s": k VARCHAR KEY, v INTEGER, not K VARCHAR KEY'),
        ("ASSERT TABLE people (id BIGINT PRIMARY KEY, name VARCHAR)", "id INTEGER PRIMARY KEY, .* not id BIGINT"),
        ("ASSERT STREAM s WITH (partitions = 2)", 'partitions of "s": 1, not 2'),
        ("ASSERT STREAM s WITH (timestamp = 'v')", 'timestamp of "s": not set, not v'),
    ],
)
def test_a_definition_that_differs_is_shown(flow: Database, statement: str, message: str) -> None:
    with pytest.raises(AssertionFailed, match=message):
        flow.sql(statement)


def test_asserts_about_kafka_are_refused(flow: Database) -> None:
    with pytest.raises(Unsupported, match="there are no topics here"):
        flow.sql("ASSERT TOPIC s")
    with pytest.raises(Unsupported, match="there is no registry of schemas here"):
        flow.sql("ASSERT SCHEMA SUBJECT s")
