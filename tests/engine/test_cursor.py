"""DB-API 2.0: what a program that knows PEP 249, and nothing of Headwater, relies on."""

from __future__ import annotations

from pathlib import Path

import pytest

import headwater
from headwater import Cursor, Database


@pytest.fixture
def cursor(db: Database) -> Cursor:
    db.execute("CREATE TABLE stock (item VARCHAR PRIMARY KEY, n INTEGER)")
    return db.cursor()


def test_the_module_says_what_it_is() -> None:
    assert (headwater.apilevel, headwater.threadsafety, headwater.paramstyle) == ("2.0", 2, "qmark")


def test_the_errors_are_those_of_the_standard() -> None:
    assert issubclass(headwater.InterfaceError, headwater.Error)
    assert issubclass(headwater.DatabaseError, headwater.Error)
    assert not issubclass(headwater.InterfaceError, headwater.DatabaseError)
    for name in ("Data", "Operational", "Integrity", "Internal", "Programming", "NotSupported"):
        assert issubclass(getattr(headwater, f"{name}Error"), headwater.DatabaseError)
    assert not issubclass(headwater.Warning, headwater.Error)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELEC 1", headwater.ProgrammingError),
        ("SELECT * FROM nowhere", headwater.ProgrammingError),
        ("INSERT INTO stock VALUES (NULL, 1)", headwater.ProgrammingError),
        ("SELECT * FROM stock AS OF VERSION 99", headwater.ProgrammingError),
        ("ASSERT VALUES stock (item) VALUES ('x')", headwater.IntegrityError),
    ],
)
def test_each_mistake_is_one_of_them(cursor: Cursor, statement: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        cursor.execute(statement)


def test_rows_are_fetched_once_in_order(cursor: Cursor) -> None:
    cursor.executemany("INSERT INTO stock VALUES (?, ?)", [(f"i{n}", n) for n in range(7)])
    cursor.execute("SELECT n FROM stock ORDER BY n")
    assert (cursor.rowcount, cursor.fetchone(), cursor.fetchmany()) == (7, (0,), [(1,)])
    cursor.arraysize = 2
    assert (cursor.fetchmany(), next(cursor)) == ([(2,), (3,)], (4,))
    assert (cursor.fetchall(), cursor.fetchall(), cursor.fetchone(), list(cursor)) == ([(5,), (6,)], [], None, [])


def test_the_description_names_columns_and_types(cursor: Cursor) -> None:
    assert cursor.description is None
    cursor.execute("SELECT item, n FROM stock")
    assert cursor.description is not None
    assert [entry[:2] for entry in cursor.description] == [("item", "VARCHAR"), ("n", "INTEGER")]
    assert {len(entry) for entry in cursor.description} == {7}
    assert cursor.execute("INSERT INTO stock VALUES ('a', 1)").description is None


def test_the_count_is_that_of_the_rows_changed(cursor: Cursor) -> None:
    assert cursor.rowcount == -1
    assert cursor.executemany("INSERT INTO stock VALUES (?, ?)", [("a", 1), ("b", 2)]).rowcount == 2
    assert cursor.execute("UPDATE stock SET n = n + ?", [1]).rowcount == 2
    assert cursor.execute("DELETE FROM stock WHERE item = $item", {"item": "a"}).rowcount == 1
    assert cursor.execute("CREATE STREAM s (k INTEGER)").rowcount == -1


def test_many_rows_of_values_are_one_commit(db: Database, cursor: Cursor) -> None:
    before = db.version
    cursor.executemany("INSERT INTO stock VALUES (?, ?)", [(f"i{n}", n) for n in range(50)])
    assert db.version == before + 1
    with pytest.raises(headwater.ProgrammingError):
        cursor.executemany("INSERT INTO stock VALUES (?, ?)", [("good", 1), (None, 2)])
    assert db.version == before + 1


def test_other_statements_run_once_for_each_set(cursor: Cursor) -> None:
    cursor.executemany("INSERT INTO stock VALUES (?, ?)", [("a", 1), ("b", 2), ("c", 3)])
    assert cursor.executemany("DELETE FROM stock WHERE item = ?", [["a"], ["c"], ["x"]]).rowcount == 2
    assert cursor.execute("SELECT item FROM stock").fetchall() == [("b",)]


def test_copying_counts_rows(cursor: Cursor, tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_text("item,n\npears,3\nplums,8\n")
    assert cursor.execute(f"COPY stock FROM '{tmp_path / 'stock.csv'}' (FORMAT csv)").rowcount == 2


def test_append_is_a_commit_of_its_own_while_a_transaction_goes_on(db: Database, cursor: Cursor) -> None:
    cursor.execute("BEGIN")
    db.append("stock", [("pears", 3)])
    db.rollback()
    assert cursor.execute("SELECT item FROM stock").fetchall() == [("pears",)]


def test_a_statement_is_committed_when_it_returns(db: Database, cursor: Cursor) -> None:
    assert db.autocommit
    cursor.execute("INSERT INTO stock VALUES ('pears', 3)")
    db.rollback()
    db.commit()
    assert cursor.execute("SELECT item FROM stock").fetchall() == [("pears",)]


def test_commit_and_rollback_end_what_begin_has_begun(db: Database, cursor: Cursor) -> None:
    before = db.version
    cursor.execute("BEGIN")
    assert cursor.execute("INSERT INTO stock VALUES (?, ?)", ("pears", 3)).rowcount == 1
    cursor.executemany("INSERT INTO stock VALUES (?, ?)", [("plums", 8), ("figs", 1)])
    db.rollback()
    assert cursor.execute("SELECT count(*) FROM stock").fetchall() == [(0,)]
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO stock VALUES ('pears', 3)")
    cursor.execute("INSERT INTO stock VALUES ('plums', 8)")
    db.commit()
    assert db.version == before + 1
    assert cursor.execute("SELECT count(*) FROM stock").fetchall() == [(2,)]


def test_a_transaction_that_has_failed_is_not_committed(db: Database, cursor: Cursor) -> None:
    cursor.execute("BEGIN")
    with pytest.raises(headwater.ProgrammingError):
        cursor.execute("INSERT INTO nowhere VALUES (1)")
    with pytest.raises(headwater.ProgrammingError, match="cannot be committed"):
        db.commit()
    db.rollback()
    cursor.execute("INSERT INTO stock VALUES ('pears', 3)")
    assert cursor.execute("SELECT count(*) FROM stock").fetchall() == [(1,)]


def test_fetching_without_rows_is_a_mistake(cursor: Cursor) -> None:
    with pytest.raises(headwater.InterfaceError, match="no rows to fetch"):
        cursor.fetchone()
    cursor.close()
    with pytest.raises(headwater.InterfaceError, match="cursor is closed"):
        cursor.execute("SELECT 1")
