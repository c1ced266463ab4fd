"""Window functions and the first rows of partitions, operator by operator: what they give, keep and forget."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.engine.database import Database, connect
from headwater.executor.chunks import combined
from headwater.executor.over import OverPartitions
from headwater.executor.top_k import TopRows
from headwater.planner.logical import Changelog, SortKey, StreamSource, TopK
from headwater.values import Column, Delta

COLUMNS = (Column("k", "INTEGER"), Column("v", "BIGINT"))
SCHEMA = pa.schema([("k", pa.int32()), ("v", pa.int64())])
TABLE = Changelog(1, "t", COLUMNS, None)
STREAM = StreamSource(1, "s", COLUMNS)

Row = tuple[int | None, int | None]
rows = st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from([None, *range(12)]))


def delta(changes: list[tuple[Row, int]]) -> Delta:
    batch = pa.RecordBatch.from_pylist([{"k": k, "v": v} for (k, v), _ in changes], schema=SCHEMA)
    return Delta(batch, np.array([weight for _, weight in changes], dtype=np.int64))


def added_up(content: Counter[tuple[object, ...]], change: Delta) -> None:
    for row, weight in zip(change.rows.to_pylist(), change.weight_array.tolist(), strict=True):
        content[tuple(row.values())] += weight
    assert all(weight >= 0 for weight in content.values())


def first_rows(content: Counter[Row], node: TopK) -> Counter[tuple[object, ...]]:
    """What `node`, by v from the largest down and then by k, gives of these rows."""
    parts: dict[object, list[Row]] = {}
    for row in content.elements():
        parts.setdefault(row[0] if node.partition else None, []).append(row)
    found: Counter[tuple[object, ...]] = Counter()
    for part in parts.values():
        part.sort(key=lambda row: (row[1] is None, -(row[1] or 0), row[0] is None, row[0] or 0))
        numbered = enumerate(part, start=1)
        found.update((*row, number) for number, row in islice(numbered, node.offset, node.offset + node.limit))
    return found


@given(
    steps=st.lists(st.lists(st.tuples(rows, st.integers(-3, 3).filter(bool)), max_size=8), max_size=12),
    partition=st.sampled_from([("k",), ()]),
    limit=st.integers(1, 4),
    offset=st.integers(0, 2),
)
def test_the_first_rows_are_right_after_every_step_however_rows_come_and_go(
    steps: list[list[tuple[Row, int]]], partition: tuple[str, ...], limit: int, offset: int
) -> None:
    node = TopK(TABLE, partition, (SortKey("v", descending=True),), limit, offset, "n")
    operator = TopRows(node, spare_rows=0)
    content: Counter[Row] = Counter()
    shown: Counter[tuple[object, ...]] = Counter()
    for number, step in enumerate(steps):
        changes = []
        for row, weight in step:
            weight = max(weight, -content[row])
            content[row] += weight
            changes += [(row, weight)] if weight else []
        added_up(shown, operator.step(delta(changes)))
        assert +shown == first_rows(+content, node)
        if number % 3 == 2:
            restored = TopRows(node, spare_rows=0)
            restored.restore(combined(operator.save()))
            operator = restored


def test_of_a_stream_no_more_rows_are_kept_than_count() -> None:
    operator = TopRows(TopK(STREAM, ("k",), (SortKey("v"),), limit=2, offset=1))
    operator.step(delta([((k, v), 1) for k in range(10) for v in range(100)]))
    assert operator.state_rows == 10 * 3


def test_rows_behind_the_head_take_its_place_when_it_is_removed() -> None:
    operator = TopRows(TopK(TABLE, (), (SortKey("v"),), limit=1), spare_rows=0)
    operator.step(delta([((1, v), 1) for v in range(100)]))
    for v in range(99):
        change = operator.step(delta([((1, v), -1)]))
        assert sorted(zip(change.rows["v"].to_pylist(), change.weight_array.tolist(), strict=True)) == [
            (v, -1),
            (v + 1, 1),
        ]


@pytest.fixture
def db() -> Database:
    db = connect(None, background=False)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, g VARCHAR, v BIGINT, d DOUBLE)")
    return db


def add(db: Database, *rows: tuple[int, str | None, int | None, float | None]) -> None:
    db.append("t", [dict(zip(("id", "g", "v", "d"), row, strict=True)) for row in rows])


def test_a_row_that_changes_partition_changes_the_numbers_in_both(db: Database) -> None:
    db.execute("CREATE TABLE o AS SELECT id, row_number() OVER (PARTITION BY g ORDER BY v) AS n FROM t")
    add(db, (1, "a", 1, None), (2, "a", 2, None), (3, "b", 3, None))
    add(db, (1, "b", 9, None))
    assert db.sql("SELECT * FROM o ORDER BY id").fetchall() == [(1, 2), (2, 1), (3, 1)]


def test_null_is_a_partition_of_its_own(db: Database) -> None:
    db.execute("CREATE TABLE o AS SELECT id, count(*) OVER (PARTITION BY g) AS n FROM t")
    add(db, (1, None, 1, None), (2, None, 2, None), (3, "", 3, None))
    assert db.sql("SELECT * FROM o ORDER BY id").fetchall() == [(1, 2), (2, 2), (3, 1)]


def test_a_function_that_fails_is_null_in_its_partition_alone_until_the_row_to_blame_is_gone(db: Database) -> None:
    db.execute("CREATE TABLE o AS SELECT id, ntile(v) OVER (PARTITION BY g ORDER BY id) AS n FROM t")
    add(db, (1, "a", 2, None), (2, "a", 2, None), (3, "b", 0, None), (4, "b", 2, None))
    assert db.sql("SELECT * FROM o ORDER BY id").fetchall() == [(1, 1), (2, 2), (3, None), (4, None)]
    add(db, (3, "b", 2, None))
    assert db.sql("SELECT * FROM o ORDER BY id").fetchall() == [(1, 1), (2, 2), (3, 1), (4, 2)]


def test_rows_that_order_by_leaves_equal_are_told_apart_by_their_columns(db: Database) -> None:
    db.execute(
        "CREATE TABLE o AS SELECT id, last_value(id) OVER (ORDER BY v) AS l, lag(id) OVER (ORDER BY v) AS b FROM t"
    )
    for order in ((3, 1, 2), (2, 1, 3)):
        for id in order:
            add(db, (id, "a", 7, None))
        assert db.sql("SELECT * FROM o ORDER BY id").fetchall() == [(1, 3, None), (2, 3, 1), (3, 3, 2)]


def test_sums_of_floats_do_not_depend_on_what_else_was_computed_in_the_step(db: Database) -> None:
    over = "sum(d) OVER (PARTITION BY g ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)"
    db.execute(f"CREATE TABLE together AS SELECT id, {over} AS s FROM t")
    many = [(id, f"g{id % 7}", 1, (-1) ** id * 10.0 ** (id % 30)) for id in range(200)]
    add(db, *many)
    with connect(None, background=False) as other:
        other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, g VARCHAR, v BIGINT, d DOUBLE)")
        other.execute(f"CREATE TABLE apart AS SELECT id, {over} AS s FROM t")
        for row in sorted(many, key=lambda row: (row[1], -row[0])):
            add(other, row)
            other.settle()
        apart = other.sql("SELECT * FROM apart ORDER BY id").fetchall()
    assert db.sql("SELECT * FROM together ORDER BY id").fetchall() == apart


def test_only_the_partitions_that_a_step_touches_are_computed_again(db: Database) -> None:
    db.execute("CREATE TABLE o AS SELECT id, rank() OVER (PARTITION BY g ORDER BY v) AS n FROM t")
    add(db, *((id, f"g{id % 50}", id, None) for id in range(500)))
    db.settle()
    watched = db.subscribe("SELECT * FROM o EMIT CHANGES")
    while watched.poll(0) is not None:
        pass
    add(db, (0, "g0", 1000, None))
    changed = [change.row[0] for batch in iter(lambda: watched.poll(0), None) for change in batch]
    assert changed and all(id % 50 == 0 for id in changed)


def test_an_operator_made_again_from_its_image_goes_on_as_before(db: Database) -> None:
    db.execute("CREATE TABLE o AS SELECT v, sum(v) OVER (ORDER BY id) AS s FROM t")
    add(db, *((id, "a", id, None) for id in range(20)))
    db.settle()
    (operator,) = (
        o
        for _, o in db.pipeline.circuit.operators_of(db.pipeline.catalog.get("o").plan)
        if isinstance(o, OverPartitions)
    )
    again = OverPartitions(operator.node)
    again.restore(combined(operator.save()))
    assert again.state_rows == operator.state_rows == 20
