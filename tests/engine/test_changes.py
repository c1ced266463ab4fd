"""UPDATE, DELETE and INSERT … SELECT: what they change is what DuckDB changes, everywhere, at once or not at all."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater
from headwater import Database, SqlError
from headwater.storage import SimulatedDisk


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return sorted(db.sql(sql).fetchall(), key=repr)


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute("""
        CREATE TABLE stock (id INT PRIMARY KEY, kind VARCHAR NOT NULL, n INT);
        CREATE TABLE notes (id INT, text VARCHAR);
        CREATE TABLE kinds AS SELECT kind, count(*) AS c, sum(n) AS total FROM stock GROUP BY kind;
        CREATE TABLE noted AS SELECT s.kind, t.text FROM stock s JOIN notes t ON s.id = t.id;
        INSERT INTO stock VALUES (1, 'nut', 10), (2, 'nut', 20), (3, 'bolt', NULL);
        INSERT INTO notes VALUES (1, 'new'), (1, 'new'), (3, 'old');
    """)
    return db


def test_an_update_changes_the_rows_it_means_and_says_how_many(shop: Database) -> None:
    assert shop.sql("UPDATE stock SET n = n + 1, kind = upper(kind) WHERE kind = 'nut'").message == "updated 2 rows"
    assert rows(shop, "SELECT * FROM stock") == [(1, "NUT", 11), (2, "NUT", 21), (3, "bolt", None)]
    assert rows(shop, "SELECT * FROM kinds") == [("NUT", 2, 32), ("bolt", 1, None)]


def test_an_update_without_where_changes_all_rows(shop: Database) -> None:
    assert shop.sql("UPDATE stock SET kind = 'x'").message == "updated 3 rows"
    assert rows(shop, "SELECT * FROM kinds") == [("x", 3, 30)]


def test_an_update_may_give_rows_each_others_keys(shop: Database) -> None:
    shop.sql("UPDATE stock SET id = 3 - id WHERE id < 3")
    assert rows(shop, "SELECT id, n FROM stock") == [(1, 20), (2, 10), (3, None)]
    assert rows(shop, "SELECT * FROM noted") == [("bolt", "old"), ("nut", "new"), ("nut", "new")]


def test_an_update_of_the_key_takes_the_row_from_its_old_key(shop: Database) -> None:
    shop.sql("UPDATE stock SET id = id + 1")
    assert rows(shop, "SELECT id FROM stock") == [(2,), (3,), (4,)]
    assert rows(shop, "SELECT * FROM noted") == [("nut", "old")]


def test_a_value_may_be_a_query_over_any_table_the_changed_one_too(shop: Database) -> None:
    shop.sql("UPDATE stock SET n = (SELECT max(n) FROM stock) WHERE id IN (SELECT id FROM notes)")
    assert rows(shop, "SELECT id, n FROM stock") == [(1, 20), (2, 20), (3, 20)]


def test_in_a_table_without_a_key_equal_rows_are_rows_of_their_own(shop: Database) -> None:
    assert shop.sql("UPDATE notes SET text = 'seen' WHERE id = 1").message == "updated 2 rows"
    assert rows(shop, "SELECT * FROM notes") == [(1, "seen"), (1, "seen"), (3, "old")]
    assert shop.sql("DELETE FROM notes WHERE text = 'seen'").message == "deleted 2 rows"
    assert rows(shop, "SELECT * FROM notes") == [(3, "old")]
    assert rows(shop, "SELECT * FROM noted") == [("bolt", "old")]


def test_a_delete_goes_through_all_queries(shop: Database) -> None:
    assert shop.sql("DELETE FROM stock WHERE n IS NULL").message == "deleted 1 row"
    assert rows(shop, "SELECT * FROM kinds") == [("nut", 2, 30)]
    assert shop.sql("DELETE FROM stock").message == "deleted 2 rows"
    assert rows(shop, "SELECT * FROM kinds") == rows(shop, "SELECT * FROM noted") == []


def test_a_change_is_one_commit_and_the_rows_before_it_stay_in_the_past(shop: Database) -> None:
    shop.settle()
    version = shop.version
    shop.sql("UPDATE stock SET id = id + 10")
    assert shop.version == version + 1
    assert rows(shop, f"SELECT id FROM stock AS OF VERSION {version}") == [(1,), (2,), (3,)]
    assert rows(shop, f"SELECT count(*) FROM noted AS OF VERSION {version}") == [(3,)]


def test_a_change_of_no_rows_commits_nothing(shop: Database) -> None:
    shop.settle()
    version = shop.version
    assert shop.sql("DELETE FROM stock WHERE false").message == "deleted 0 rows"
    assert shop.sql("UPDATE notes SET text = text").message == "updated 3 rows"
    assert shop.version == version


def test_who_watches_sees_removals_and_additions(shop: Database) -> None:
    with shop.subscribe("SELECT id, n FROM stock") as watched:
        watched.skip()
        shop.sql("UPDATE stock SET n = 0 WHERE id = 1")
        batch = watched.poll(0)
    assert batch is not None
    assert [(change.op, *change.row) for change in batch] == [("-", 1, 10), ("+", 1, 0)]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE stock SET id = 1",
        "UPDATE stock SET id = 2 WHERE id = 1",
        "UPDATE stock SET id = NULL WHERE id = 1",
        "UPDATE stock SET kind = NULL",
        "UPDATE stock SET n = kind",
        "INSERT INTO stock SELECT id, NULL, 1 FROM notes",
        "INSERT INTO stock SELECT id, text, text FROM notes",
    ],
)
def test_a_change_that_fails_changes_nothing(shop: Database, sql: str) -> None:
    before, version = rows(shop, "SELECT * FROM stock"), shop.version
    with pytest.raises(SqlError):
        shop.sql(sql)
    assert (rows(shop, "SELECT * FROM stock"), shop.version) == (before, version)


def test_insert_select_runs_once(shop: Database) -> None:
    message = shop.sql("INSERT INTO notes (text, id) SELECT kind, id + 10 FROM stock WHERE n > 0").message
    assert message == "inserted 2 rows"
    shop.sql("INSERT INTO stock VALUES (4, 'pin', 40)")
    assert rows(shop, "SELECT * FROM notes WHERE id > 9") == [(11, "nut"), (12, "nut")]


def test_insert_select_replaces_rows_of_the_same_key_and_may_read_its_own_table(shop: Database) -> None:
    shop.sql("INSERT INTO stock SELECT id + 1, kind, n FROM stock")
    assert rows(shop, "SELECT * FROM stock") == [(1, "nut", 10), (2, "nut", 10), (3, "nut", 20), (4, "bolt", None)]


def test_insert_select_reads_the_past(shop: Database) -> None:
    shop.settle()
    version = shop.version
    shop.sql("DELETE FROM stock")
    shop.sql(f"INSERT INTO stock SELECT * FROM stock AS OF VERSION {version}")
    assert len(rows(shop, "SELECT * FROM stock")) == 3


def test_a_table_of_several_partitions_is_changed_by_its_key(db: Database) -> None:
    db.execute("""
        CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH (partitions = 4);
        INSERT INTO t SELECT i, i FROM generate_series(1, 100) AS g(i);
        UPDATE t SET id = id + 50 WHERE id > 50;
        DELETE FROM t WHERE id <= 25;
    """)
    assert rows(db, "SELECT count(*), min(id), max(id), sum(n) FROM t") == [(75, 26, 150, sum(range(26, 101)))]


def test_changes_are_there_after_opening_again(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db") as db:
        db.execute("""
            CREATE TABLE t (id INT PRIMARY KEY, x DOUBLE); CREATE TABLE bag (x DOUBLE);
            CREATE TABLE c AS SELECT x, count(*) AS n FROM bag GROUP BY x;
            INSERT INTO t VALUES (1, 1), (2, 'nan'); INSERT INTO bag VALUES ('nan'), (-0.0), (0.0), (NULL), (NULL);
            UPDATE t SET id = id + 1; DELETE FROM bag WHERE x IS NULL; DELETE FROM bag WHERE isnan(x);
        """)
        found = rows(db, "SELECT * FROM c"), rows(db, "SELECT id FROM t")
        db.execute("CHECKPOINT; UPDATE t SET id = id + 1; UPDATE bag SET x = 5")
    assert found[1] == [(2,), (3,)] and len(found[0]) == 1
    for read_only in (True, False):
        with headwater.connect(tmp_path / "db", read_only=read_only) as db:
            assert rows(db, "SELECT * FROM c") == [(5.0, 2)]
            assert rows(db, "SELECT id FROM t") == [(3,), (4,)]


def test_no_write_is_lost_between_what_a_change_sees_and_its_commit(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db") as db:
        db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (0, 0)")
        db.execute("CREATE TABLE s AS SELECT sum(n) AS n FROM t")

        def count_up() -> None:
            for _ in range(20):
                db.sql("UPDATE t SET n = n + 1 WHERE id = 0")

        def insert() -> None:
            for number in range(1, 41):
                db.append("t", [{"id": number, "n": 0}])

        threads = [threading.Thread(target=work) for work in (count_up, count_up, insert)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rows(db, "SELECT n FROM t WHERE id = 0") == [(40,)]
        assert rows(db, "SELECT n FROM s") == [(40,)]
        assert rows(db, "SELECT count(*) FROM t") == [(41,)]


NUMBERS = st.integers(0, 4)
CONDITIONS = st.one_of(
    st.just(""),
    st.builds("WHERE a = {}".format, NUMBERS),
    st.builds("WHERE b IS NULL OR a + b > {}".format, NUMBERS),
    st.builds("WHERE a IN (SELECT b FROM {{}} WHERE a < {})".format, NUMBERS),
)
VALUES = st.one_of(st.just("NULL"), st.builds("b + {}".format, NUMBERS), st.just("a"), st.just("a % 2"))
STATEMENTS = st.one_of(
    st.builds("INSERT INTO {{}} VALUES ({}, {})".format, st.integers(0, 30), NUMBERS),
    st.builds("INSERT INTO {{}} SELECT a + {}, b FROM {{}} {}".format, st.integers(50, 60), CONDITIONS),
    st.builds("UPDATE {{}} SET b = {} {}".format, VALUES, CONDITIONS),
    st.builds("UPDATE {{}} SET a = a + {}, b = {} {}".format, NUMBERS, VALUES, CONDITIONS),
    st.builds("DELETE FROM {{}} {}".format, CONDITIONS),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(STATEMENTS, min_size=1, max_size=10), st.booleans())
def test_random_changes_are_those_that_duckdb_makes(statements: list[str], keyed: bool) -> None:
    disk = SimulatedDisk()
    key = "PRIMARY KEY" if keyed else ""
    definition = f"CREATE TABLE t (a INT {key}, b INT)"
    with duckdb.connect() as oracle, Database(disk, "db", None, background=False) as db:
        oracle.execute(definition)
        db.execute(f"{definition}; CREATE TABLE g AS SELECT b, count(*) AS n, sum(a) AS s FROM t GROUP BY b")
        for statement in statements:
            sql = statement.replace("{}", "t")
            try:
                oracle.execute(sql.replace("INTO", "OR REPLACE INTO") if keyed and sql.startswith("INSERT") else sql)
            except duckdb.ConstraintException:
                # DuckDB checks keys row by row, so it also refuses what would fit in the end: what it has, we take.
                wanted = rows(db, "SELECT * FROM t")
                try:
                    db.sql(sql)
                    wanted = rows(db, "SELECT * FROM t")
                except SqlError:
                    assert rows(db, "SELECT * FROM t") == wanted
                oracle.execute("DELETE FROM t")
                oracle.executemany("INSERT INTO t VALUES (?, ?)", wanted) if wanted else None
                continue
            db.sql(sql)
            assert Counter(db.sql("SELECT * FROM t").fetchall()) == Counter(oracle.sql("FROM t").fetchall()), sql
        grouped = "SELECT b, count(*) AS n, sum(a) AS s FROM t GROUP BY b"
        assert Counter(db.sql("SELECT * FROM g").fetchall()) == Counter(oracle.sql(grouped).fetchall())
        content = rows(db, "SELECT * FROM g")
    with Database(disk, "db", None, background=False) as db:
        assert rows(db, "SELECT * FROM g") == content


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE stock SET n = n * 2 - 3 WHERE id = {id}",
        "UPDATE stock SET n = 300 WHERE id = {id} AND n > 10",
        "UPDATE stock SET n = NULL, kind = 'x' WHERE {id} = id AND kind IN ('nut', 'bolt')",
        "UPDATE stock SET n = coalesce(n, 7) + id, kind = CASE WHEN n IS NULL THEN 'no' ELSE kind END WHERE id = {id}",
        "UPDATE stock SET n = 9, kind = n || kind, N = 3 WHERE id = {id}",
        "UPDATE stock SET n = n * 1000000000 WHERE id = {id}",
        "UPDATE stock SET kind = n WHERE id = {id}",
        "UPDATE stock SET n = missing WHERE id = {id}",
        "UPDATE stock SET kind = NULL WHERE id = {id}",
        "UPDATE stock SET n = n + 3000000000 WHERE id = {id}",
        "DELETE FROM stock WHERE id = {id} AND n < 15",
        "DELETE FROM stock WHERE id = {id}",
    ],
)
def test_the_row_of_a_key_is_changed_as_any_row(shop: Database, change: str) -> None:
    """The key can be seen in the first form of WHERE, in which one row is looked up, and not in the second."""
    before = rows(shop, "SELECT * FROM stock")
    outcomes = []
    for key in ("{}", "({} + 0)"):
        shop.execute("DELETE FROM stock")
        shop.append("stock", before)
        for id in (1, 2, 3, 4):
            try:
                shop.sql(change.format(id=key.format(id)))
            except SqlError as error:
                outcomes.append(error.message)
        outcomes.append(repr(rows(shop, "SELECT * FROM stock")))
    half = len(outcomes) // 2
    assert outcomes[:half] == outcomes[half:]


def test_no_change_of_a_row_is_lost_among_those_of_other_threads(shop: Database) -> None:
    def work() -> None:
        for _ in range(20):
            shop.sql("UPDATE stock SET n = n + 1 WHERE id = ?", (1,))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(shop, "SELECT n FROM stock WHERE id = 1") == [(90,)]


def test_what_no_query_reads_is_one_commit_and_there_after_a_restart() -> None:
    disk = SimulatedDisk()
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT); CREATE TABLE u (n INT)")
        db.execute("CREATE TABLE total AS SELECT sum(n) AS n FROM u")
        before = db.version
        for n in range(3):
            db.append("t", [(1, n)])
            assert rows(db, "SELECT n FROM t") == [(n,)]
        assert db.version == before + 3
        db.append("u", [(5,)])
        db.append("t", [(2, 0)])
    with Database(disk, "db", None, background=False) as db:
        assert rows(db, "SELECT * FROM t") == [(1, 2), (2, 0)]
        assert rows(db, "SELECT * FROM total") == [(5,)]


def test_a_key_that_can_be_written_in_several_ways_is_found_in_each() -> None:
    with headwater.connect(background=False) as db:
        db.execute("CREATE TABLE t (id UUID PRIMARY KEY, n BIGINT)")
        db.execute("INSERT INTO t VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1)")
        capitals = "WHERE id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"
        assert db.sql(f"SELECT n FROM t {capitals}").fetchall() == [(1,)]
        db.execute(f"UPDATE t SET n = 2 {capitals}")
        assert db.sql("SELECT n FROM t").fetchall() == [(2,)]
