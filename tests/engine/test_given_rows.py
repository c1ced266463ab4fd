"""Rows from other libraries and from iterators: whole, or each so many as a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import headwater
from headwater import Database, DataError, IntegrityError, Result, Unsupported

DAY = datetime(2026, 1, 1)
COLUMNS = {"k": [1, 2, 3], "name": ["a", None, "ü"], "at": [DAY, None, DAY]}
ROWS = list(zip(*COLUMNS.values(), strict=True))
TABLE = pa.table({"k": pa.array([1, 2, 3], pa.int64()), "name": COLUMNS["name"], "at": COLUMNS["at"]})

GIVEN: dict[str, Callable[[], Any]] = {
    "Polars": lambda: pl.DataFrame(COLUMNS),
    "Polars, in slices": lambda: pl.DataFrame(COLUMNS).iter_slices(2),
    "Polars, row by row": lambda: pl.DataFrame(COLUMNS).iter_rows(),
    "pandas": lambda: pd.DataFrame(COLUMNS).astype({"at": "datetime64[us]"}),
    "DuckDB": lambda: duckdb.from_arrow(TABLE),
    "Arrow reader": lambda: TABLE.to_reader(max_chunksize=1),
    "Arrow batches": lambda: iter(TABLE.to_batches(max_chunksize=2)),
    "tuples": lambda: ROWS,
    "lists": lambda: [list(row) for row in ROWS],
    "generator of tuples": lambda: (row for row in ROWS),
    "generator of dicts": lambda: (dict(zip(COLUMNS, row, strict=True)) for row in ROWS),
    "result": lambda: result(),
}


def result() -> Result:
    with headwater.connect() as other:
        return other.sql(
            "SELECT * FROM (VALUES (1, 'a', $day), (2, NULL, NULL), (3, 'ü', $day)) t(k, name, at)", {"day": DAY}
        )


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute("CREATE TABLE s (k BIGINT PRIMARY KEY, name VARCHAR, at TIMESTAMP)")
    return db


@pytest.mark.parametrize("commit_every", [None, 2])
@pytest.mark.parametrize("given", GIVEN)
def test_rows_come_from_anything(shop: Database, given: str, commit_every: int | None) -> None:
    acknowledged = shop.append("s", GIVEN[given](), commit_every=commit_every)
    assert (acknowledged.rows, acknowledged.version) == (3, shop.version)
    assert shop.sql("SELECT * FROM s ORDER BY k").fetchall() == ROWS


NONE: dict[str, Callable[[], Any]] = {
    "a list": list,
    "an iterator": lambda: iter([]),
    "Arrow": lambda: TABLE.slice(0, 0),
    "Polars": lambda: pl.DataFrame(COLUMNS).clear(),
}


@pytest.mark.parametrize("commit_every", [None, 2])
@pytest.mark.parametrize("given", NONE)
def test_no_rows_are_no_commit(shop: Database, given: str, commit_every: int | None) -> None:
    version = shop.version
    assert shop.append("s", NONE[given](), commit_every=commit_every).rows == 0
    assert shop.version == version


def test_an_iterator_is_read_no_further_than_the_commit(shop: Database) -> None:
    seen = []

    def rows() -> Iterator[tuple[int, None, None]]:
        for k in range(7):
            seen.append(shop.sql("SELECT count(*) FROM s").fetchall()[0][0])
            yield (k, None, None)

    assert shop.append("s", rows(), commit_every=3).rows == 7
    assert seen == [0, 0, 0, 3, 3, 3, 6]


def test_after_an_error_what_was_committed_stays_and_the_error_says_how_much(shop: Database) -> None:
    rows = [(k, None, None) for k in range(5)] + [(None, "no key", None)]
    with pytest.raises(DataError) as caught:
        shop.append("s", iter(rows), commit_every=2)
    assert caught.value.message == 'row 1: the PRIMARY KEY "k" of "s" cannot be NULL'
    assert caught.value.hint == "the first 4 rows are committed, and row 0 is the one after them"
    assert shop.sql("SELECT count(*) FROM s").fetchall() == [(4,)]


def test_an_error_of_the_programs_own_iterator_says_it_too(shop: Database) -> None:
    def rows() -> Iterator[tuple[int, None, None]]:
        yield from ((k, None, None) for k in range(5))
        raise OSError("the file ends here")

    with pytest.raises(OSError, match="ends here") as caught:
        shop.append("s", rows(), commit_every=2)
    assert caught.value.__notes__ == ["the first 4 rows are committed"]
    assert shop.sql("SELECT count(*) FROM s").fetchall() == [(4,)]


def test_an_error_in_one_commit_leaves_nothing(shop: Database) -> None:
    with pytest.raises(DataError) as caught:
        shop.append("s", iter([(1, None, None), (None, None, None)]))
    assert caught.value.hint is None
    assert shop.sql("SELECT count(*) FROM s").fetchall() == [(0,)]


def test_commits_have_rows(shop: Database) -> None:
    with pytest.raises(DataError, match="1 or more"):
        shop.append("s", ROWS, commit_every=0)


def test_a_transaction_takes_the_same_and_values(shop: Database) -> None:
    with shop.transaction() as t:
        assert t.append("s", (row for row in ROWS)) == 3
        assert t.sql("DELETE FROM s WHERE k > ?", [1]).rowcount == 2
        assert t.sql("SELECT k FROM s WHERE name = $name", {"name": "a"}).fetchall() == [(1,)]
    assert shop.sql("SELECT count(*) FROM s").fetchall() == [(1,)]


WAYS: dict[str, Callable[[Database], Any]] = {
    "append": lambda db: db.append("s", [(None, "x", None)]),
    "Polars": lambda db: db.append("s", pl.DataFrame({"name": ["x"]})),
    "values": lambda db: db.sql("INSERT INTO s VALUES (NULL, 'x', NULL)"),
    "a column left out": lambda db: db.sql("INSERT INTO s (name) VALUES ('x')"),
    "parameters": lambda db: db.sql("INSERT INTO s VALUES (?, ?, ?)", (None, "x", None)),
    "a query": lambda db: db.sql("INSERT INTO s SELECT NULL, name, at FROM s"),
    "UPDATE": lambda db: db.sql("UPDATE notes SET text = NULL"),
    "executemany": lambda db: db.cursor().executemany("INSERT INTO s VALUES (?, ?, ?)", [(8, "x", None), [None] * 3]),
    "a transaction": lambda db: db.transaction().append("s", [(None, "x", None)]),
}


@pytest.mark.parametrize("way", WAYS)
def test_null_where_none_may_be_is_one_error_whichever_way_it_comes(shop: Database, way: str) -> None:
    shop.execute("CREATE TABLE notes (k INTEGER PRIMARY KEY, text VARCHAR NOT NULL)")
    shop.execute("INSERT INTO notes VALUES (1, 'one'); INSERT INTO s VALUES (7, 'seven', NULL)")
    with pytest.raises(IntegrityError, match="cannot be NULL"):
        WAYS[way](shop)
    assert shop.sql("SELECT count(*) FROM s").fetchall() == [(1,)]


def test_results_are_polars_frames(shop: Database) -> None:
    shop.append("s", ROWS)
    frame = shop.sql("SELECT *, k * 1.5 AS x, [k] AS many, CAST(k AS HUGEINT) AS wide FROM s ORDER BY k").pl()
    assert frame.columns == ["k", "name", "at", "x", "many", "wide"]
    assert frame.select("k", "name", "at").rows() == ROWS
    assert frame["many"].to_list() == [[1], [2], [3]]
    assert frame.schema["k"] == pl.Int64 and frame.schema["at"] == pl.Datetime("us")
    assert frame["wide"].to_list() == [1, 2, 3]
    shop.execute("DELETE FROM s")
    assert shop.append("s", frame.select("k", "name", "at")).rows == 3


def test_what_polars_has_no_type_for(db: Database) -> None:
    with pytest.raises(Unsupported, match='no type for column "i", an INTERVAL'):
        db.sql("SELECT INTERVAL 1 DAY AS i").pl()
