"""The statements around queries: SHOW, DESCRIBE, EXPLAIN, DROP, and IF [NOT] EXISTS."""

from __future__ import annotations

import pytest

from headwater import Database, HeadwaterError, NameTaken, SqlError, UnknownName

DEFINITIONS = """
CREATE STREAM bids (auction BIGINT KEY, price DOUBLE NOT NULL, at TIMESTAMP) WITH (partitions = 2, timestamp = 'at');
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR);
CREATE TABLE notes (text VARCHAR);
CREATE TABLE top AS SELECT auction, max(price) AS price FROM bids GROUP BY auction;
CREATE STREAM high AS SELECT auction, price FROM bids WHERE price > 10;
CREATE TABLE counts AS SELECT auction, count(*) AS n FROM high GROUP BY auction;
INSERT INTO bids VALUES (1, 5, '2026-01-01'), (1, 20, '2026-01-01'), (2, 30, '2026-01-01');
INSERT INTO people VALUES (1, 'ann'), (1, 'anna');
INSERT INTO notes VALUES ('x'), ('x');
"""


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute(DEFINITIONS)
    return db


def names(db: Database) -> list[str]:
    return [r.name for r in db.relations()]


def test_show_streams_and_tables_tell_origin_key_partitions_and_rows(shop: Database) -> None:
    assert shop.sql("SHOW STREAMS").names == ["name", "from", "key", "partitions", "rows"]
    assert shop.sql("SHOW STREAMS").fetchall() == [
        ("bids", "source", "auction", 2, 3),
        ("high", "query", None, 2, 2),
    ]
    assert shop.sql("SHOW TABLES").fetchall() == [
        ("people", "source", "id", 1, 1),
        ("notes", "source", None, 1, 2),
        ("top", "query", "auction", 2, 2),
        ("counts", "query", "auction", 2, 2),
    ]
    assert shop.sql("LIST TABLES").fetchall() == shop.sql("SHOW TABLES").fetchall()


def test_show_queries_tells_what_each_keeps_and_its_text(shop: Database) -> None:
    shown = shop.sql("SHOW QUERIES")
    assert shown.names == [
        "name", "kind", "status", "state rows", "state bytes", "state limit", "failed rows", "cause", "query",
    ]  # fmt: skip
    rows = {row[0]: row[1:] for row in shown.fetchall()}
    assert list(rows) == ["top", "high", "counts"]
    kind, status, state_rows, state_bytes, limit, failed, cause, query = rows["top"]
    assert (kind, status, state_rows, limit, failed, cause) == ("TABLE", "running", 4, None, 0, None)
    assert state_bytes > 0  # of two groups, and of the two rows of the table
    assert query == "CREATE TABLE top AS SELECT auction, max(price) AS price FROM bids GROUP BY auction"


def test_show_properties_tells_settings_and_where_they_come_from_and_what_with_can_say(db: Database) -> None:
    db.execute("SET 'auto.offset.reset' = 'latest'")
    shown = db.sql("SHOW PROPERTIES")
    assert shown.names == ["property", "value", "from"]
    assert [row for row in shown.fetchall() if "." in str(row[0])] == [
        ("auto.offset.reset", "latest", "SET"),
        ("ksql.variable.substitution.enable", "true", "default"),
    ]
    assert {row[0] for row in shown.fetchall() if row[1:] == (None, "CREATE … WITH")} >= {"partitions", "retention"}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("bids", [("auction", "BIGINT", "KEY"), ("price", "DOUBLE", None), ("at", "TIMESTAMP", "event time")]),
        ("people", [("id", "BIGINT", "PRIMARY KEY"), ("name", "VARCHAR", None)]),
        ("top", [("auction", "BIGINT", "KEY"), ("price", "DOUBLE", None)]),
        ("HIGH", [("auction", "BIGINT", None), ("price", "DOUBLE", None)]),
    ],
)
def test_describe_tells_columns_and_their_roles(shop: Database, name: str, columns: list[object]) -> None:
    assert shop.sql(f"DESCRIBE {name}").fetchall() == columns
    assert shop.sql(f"DESC {name}").fetchall() == columns


def test_describe_extended_tells_definition_ends_failures_and_plan(shop: Database) -> None:
    shop.execute("CREATE TABLE casts AS SELECT CAST(text AS INTEGER) AS n FROM notes")
    described = [(name.removeprefix("· "), value) for name, value, _ in shop.sql("DESCRIBE casts EXTENDED").fetchall()]
    facts = dict(reversed(described))
    assert facts["kind"] == "TABLE"
    assert facts["definition"] == "CREATE TABLE casts AS SELECT CAST(text AS INTEGER) AS n FROM notes"
    assert (facts["status"], facts["rows that failed"]) == ("running", "2")
    assert facts["rows that failed go to"] == "casts_errors"
    assert facts["last failure"] == "could not convert string 'x' to INTEGER"
    assert facts["state of the rows of the table"].startswith("0 rows in ")
    assert facts["plan"].startswith("Project")
    ends = {n: v for n, v, _ in shop.sql("DESCRIBE bids EXTENDED").fetchall() if "end of partition" in n}
    assert sum(map(int, ends.values())) == 3


def test_explain_of_a_continuous_query_shows_the_plan_and_makes_nothing(shop: Database) -> None:
    version = shop.version
    create = shop.sql("EXPLAIN CREATE TABLE t AS SELECT auction, count(*) FROM bids GROUP BY auction").fetchall()
    emit = shop.sql("EXPLAIN SELECT auction, count(*) FROM bids GROUP BY auction EMIT CHANGES").fetchall()
    assert create == emit
    assert "one row per group; O(1) per row" in create[1][0]
    assert (shop.version, "t" in names(shop)) == (version, False)


def test_explain_of_a_snapshot_query_shows_what_duckdb_runs_and_what_it_reads(shop: Database) -> None:
    lines = [line for (line,) in shop.sql("EXPLAIN SELECT name, price FROM top JOIN people ON auction = id").fetchall()]
    assert lines[0] == "DuckDB runs:"
    assert lines[1].startswith("  SELECT name, price FROM ")
    assert [line for line in lines if "←" in line] == ['"top$0" ← top', '"people$1" ← people']


def test_explain_needs_a_query(shop: Database) -> None:
    with pytest.raises(SqlError, match="there is nothing to explain without AS SELECT"):
        shop.sql("EXPLAIN CREATE TABLE t (a INTEGER)")


@pytest.mark.parametrize("statement", ["DROP STREAM bids", "DROP TABLE people", "DROP STREAM high"])
def test_what_is_read_by_others_is_not_dropped(shop: Database, statement: str) -> None:
    shop.execute("CREATE TABLE named AS SELECT name, auction FROM top JOIN people ON auction = id")
    before, version = names(shop), shop.version
    with pytest.raises(NameTaken, match=r"is read by .*") as caught:
        shop.sql(statement)
    assert "CASCADE" in str(caught.value)
    assert (names(shop), shop.version) == (before, version)


def test_drop_cascade_takes_everything_that_reads_it_and_nothing_else(shop: Database) -> None:
    message = shop.sql("DROP STREAM bids CASCADE").message
    assert message == "dropped counts, high, top, bids", "what depends on others goes first"
    assert names(shop) == ["people", "notes"]


def test_drop_takes_one_relation_and_the_others_go_on(shop: Database) -> None:
    shop.execute("DROP TABLE counts; DROP STREAM high")
    shop.execute("INSERT INTO bids VALUES (1, 99, '2026-01-01')")
    assert shop.sql("SELECT price FROM top WHERE auction = 1").fetchall() == [(99.0,)]
    with pytest.raises(UnknownName, match='there is no stream or table "counts"'):
        shop.sql("SELECT * FROM counts")


def test_a_name_that_was_dropped_can_be_used_anew_and_begins_empty(shop: Database) -> None:
    shop.execute("DROP TABLE notes; CREATE TABLE notes (text VARCHAR)")
    assert shop.sql("SELECT * FROM notes").fetchall() == []
    shop.execute("DROP TABLE top; CREATE TABLE top AS SELECT count(*) AS n FROM bids")
    assert shop.sql("SELECT * FROM top").fetchall() == [(3,)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE STREAM IF NOT EXISTS bids (other INTEGER)",
        "CREATE TABLE IF NOT EXISTS BIDS AS SELECT nothing FROM nowhere",
        "DROP TABLE IF EXISTS nothing",
        "DROP STREAM IF EXISTS nothing CASCADE",
    ],
)
def test_if_exists_and_if_not_exists_make_a_statement_do_nothing(shop: Database, statement: str) -> None:
    before, version = names(shop), shop.version
    assert shop.sql(statement).message
    assert (names(shop), shop.version) == (before, version)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE IF NOT EXISTS fresh (a INTEGER)", "DROP TABLE IF EXISTS counts", "DROP TABLE COUNTS"]
)
def test_if_exists_and_if_not_exists_do_the_rest_as_usual(shop: Database, statement: str) -> None:
    before = names(shop)
    shop.sql(statement)
    assert names(shop) != before


@pytest.mark.parametrize("kind", ["TABLE", "MATERIALIZED VIEW"])
def test_a_materialized_view_is_a_table(db: Database, kind: str) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n FROM s")
    assert db.relations()[1].kind == "TABLE"
    db.execute(f"DROP {kind} w")
    assert names(db) == ["s"]


def test_creating_tells_how_many_rows_there_were_already(shop: Database) -> None:
    made = shop.sql("CREATE TABLE again AS SELECT auction, price FROM bids WHERE price > 10")
    assert made.message == "created table again with 2 rows"


@pytest.mark.parametrize("name", ['"select"', '"a b"', '"Ünïcode"', '"quote""d"'])
def test_any_name_can_be_quoted(db: Database, name: str) -> None:
    db.execute(f"CREATE STREAM {name} ({name} INTEGER); INSERT INTO {name} VALUES (1)")
    db.execute(f"CREATE TABLE t AS SELECT {name}, count(*) AS n FROM {name} GROUP BY {name}")
    assert db.sql(f"SELECT {name} FROM {name}").fetchall() == [(1,)]
    assert db.sql(f"SELECT {name}, n FROM t").fetchall() == [(1, 1)]
    db.execute(f"DROP STREAM {name} CASCADE")


def test_names_are_found_in_any_case_unless_quoted(db: Database) -> None:
    db.execute("CREATE STREAM Sales (Amount INTEGER); INSERT INTO SALES (AMOUNT) VALUES (1)")
    assert db.sql("SELECT amount, sales.AMOUNT FROM sales").fetchall() == [(1, 1)]
    with pytest.raises(HeadwaterError, match='there is no stream or table "sales"'):
        db.sql('SELECT * FROM "sales"')


def test_inserted_values_are_cast_and_columns_left_out_are_null(db: Database) -> None:
    db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR, c DATE, d INTEGER[])")
    db.execute("INSERT INTO t (c, a) VALUES ('2026-01-01', 1.0), (NULL, 1 + 1)")
    db.execute("INSERT INTO t VALUES (3, 4, DATE '2026-01-02', [1, 2])")
    assert [(a, b, str(c), d) for a, b, c, d in db.sql("SELECT * FROM t ORDER BY a").fetchall()] == [
        (1, None, "2026-01-01", None),
        (2, None, "None", None),
        (3, "4", "2026-01-02", [1, 2]),
    ]


def test_rowtime_can_be_given_where_the_stream_names_no_timestamp(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); INSERT INTO s (v, ROWTIME) VALUES (1, '2020-01-01 00:00:00')")
    assert str(db.sql("SELECT ROWTIME FROM s").fetchall()[0][0]) == "2020-01-01 00:00:00"


def test_a_checkpoint_tells_its_version(shop: Database) -> None:
    assert shop.sql("CHECKPOINT").message == f"checkpoint at version {shop.version}"


def test_a_defined_name_stands_for_its_value_until_it_is_undefined(db: Database) -> None:
    db.execute("CREATE TABLE t (v INTEGER); INSERT INTO t VALUES (1), (2); DEFINE least = '2'")
    assert db.sql("SELECT v FROM t WHERE v >= ${least}").fetchall() == [(2,)]
    db.execute("DEFINE least = '1'; UNDEFINE least")
    for sql in ("SELECT ${least}", "UNDEFINE least"):
        with pytest.raises(UnknownName, match='there is no variable "least"'):
            db.sql(sql)
