"""The order of rows that come out of a state follows from the log: not from slots, which a restart gives out anew."""

from __future__ import annotations

from math import copysign

import numpy as np
import pyarrow as pa
import pytest

from headwater.engine.database import Database
from headwater.executor.arrangement import Arrangement
from headwater.executor.chunks import combined
from headwater.executor.keys import key_words
from headwater.executor.state import TableState
from headwater.storage import SimulatedDisk
from headwater.values import Delta

SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.string())])
FIRST, SECOND = {"k": 1, "v": "a"}, {"k": 1, "v": "b"}


def delta(*changes: tuple[dict[str, object], int], schema: pa.Schema = SCHEMA) -> Delta:
    rows = pa.RecordBatch.from_pylist([row for row, _ in changes], schema=schema)
    return Delta(rows, np.array([weight for _, weight in changes], dtype=np.int64))


@pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
def test_a_row_of_a_stream_meets_its_matches_in_the_same_order_after_a_restart(kind: str) -> None:
    found = []
    for restart in (False, True):
        disk = SimulatedDisk()
        db = Database(disk, "db", None, background=False)
        db.execute("""
            CREATE STREAM s (k INTEGER);
            CREATE TABLE t (k INTEGER, v VARCHAR);
        """)
        db.execute(f"CREATE STREAM found AS SELECT s.k, t.v FROM s {kind} t ON s.k = t.k")
        db.append("t", [{"k": 1, "v": v} for v in "abcdef"])
        db.execute("DELETE FROM t WHERE v IN ('a', 'd')")
        db.settle()
        if restart:
            db.execute("CHECKPOINT")
            db.close()
            db = Database(disk, "db", None, background=False)
        db.append("t", [FIRST, {"k": 1, "v": "d"}])  # the rows that were removed come back
        db.append("s", [{"k": 1}])
        db.settle()
        relation = db.pipeline.catalog.get("found")
        assert relation is not None
        found.append([row["v"] for chunk in db.log.scan(relation.id) for row in chunk.rows.to_pylist()])
        db.close()
    assert found[0] == found[1]
    assert sorted(found[0]) == list("abcdef")


def test_an_ordered_arrangement_finds_rows_in_one_order_wherever_they_stand() -> None:
    orders = []
    for changes in ([FIRST, SECOND], [SECOND, FIRST]):
        arrangement = Arrangement(SCHEMA, ("k",), ordered=True)
        for row in changes:
            arrangement.apply(delta((row, 1)))
        _, rows, _ = arrangement.lookup(key_words([pa.array([1])], 1))
        orders.append(rows.to_pylist())
    assert orders[0] == orders[1]


def test_a_row_that_comes_back_is_the_one_that_came() -> None:
    schema = pa.schema([("d", pa.float64())])
    state = TableState(schema, None)
    for value, weight in ((0.0, 1), (0.0, -1), (-0.0, 1)):
        state.apply(delta(({"d": value}, weight), schema=schema))
    assert [copysign(1, row["d"]) for row in state.rows().to_pylist()] == [-1]


def test_an_upsert_gives_its_changes_in_the_order_of_its_rows() -> None:
    """Whether the slots are those of a life of changes or those of a restored state."""
    state = TableState(SCHEMA, ("k",))
    for key, weight in ((1, 1), (2, 1), (3, 1), (1, -1)):
        state.upsert(*_upsert({"k": key, "v": "old"}, weight))
    restored = TableState(SCHEMA, ("k",))
    restored.restore(combined(state.save()))
    for table in (state, restored):
        table.upsert(*_upsert({"k": 1, "v": "old"}, 1))
        rows = pa.RecordBatch.from_pylist([{"k": key, "v": "new"} for key in (3, 1, 2)], schema=SCHEMA)
        changed = table.upsert(rows, np.ones(3, dtype=np.int64))
        assert changed.rows.column("k").to_pylist() == [3, 1, 2, 3, 1, 2]


def _upsert(row: dict[str, object], weight: int) -> tuple[pa.RecordBatch, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return pa.RecordBatch.from_pylist([row], schema=SCHEMA), np.array([weight], dtype=np.int64)
