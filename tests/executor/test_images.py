"""What is saved of a circuit makes it again, and only the chunks that hold a change differ from those saved before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headwater.executor.chunks import CHUNK_SLOTS, combined, slot_ranges
from headwater.executor.circuit import Circuit
from headwater.executor.keys import row_words
from headwater.executor.state import TableState
from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import bind_query
from headwater.planner.logical import Plan
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta
from tests.planner.shop import catalog_of

CHUNKS = 3
ROWS = CHUNKS * CHUNK_SLOTS
CATALOG = catalog_of("""
    CREATE TABLE t (id INTEGER PRIMARY KEY, g INTEGER, price DOUBLE, cost DECIMAL(18, 2), name VARCHAR, hot BOOLEAN);
    CREATE TABLE u (id INTEGER PRIMARY KEY, tags VARCHAR[]);
""")
QUERIES = {
    "a table": "SELECT * FROM t",
    "a group per row": "SELECT id, sum(g) AS s, avg(price) AS p, sum(cost) AS c, max(name) AS m FROM t GROUP BY id",
    "groups of all values": "SELECT g, count(hot) AS n, min(price) AS low, sum(price) AS p FROM t GROUP BY g",
    "one group": "SELECT count(*) AS n, min(name) AS m, sum(cost) AS c FROM t",
    "a join": "SELECT t.id, t.name, u.tags FROM t JOIN u ON t.id = u.id",
}


def plan(sql: str) -> Plan:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return bind_query(query, CATALOG).plan


def rows(schema: pa.Schema, ids: np.ndarray[Any, Any], version: int) -> pa.RecordBatch:
    """A row for each id, another one in each version; some values are NULL."""
    number = ids * 7 + version
    null = number % 5 == 0
    text = pc.cast(pa.array(number), pa.string())
    columns = {
        "id": pa.array(ids),
        "g": pa.array(ids // 3),
        "price": pa.array(number / 7, mask=null),
        "cost": pc.cast(pa.array(number), pa.decimal128(21, 2)),
        "name": pc.if_else(pa.array(null), pa.scalar(None, pa.string()), text),
        "hot": pa.array(number % 2 == 0, mask=null),
        "tags": pa.ListArray.from_arrays(pa.array(np.arange(len(ids) + 1), pa.int32()), text),
    }
    return pa.record_batch([columns[field.name].cast(field.type) for field in schema], schema=schema)


def put(circuit: Circuit, ids: Sequence[int] | np.ndarray[Any, Any], version: int = 0, weight: int = 1) -> None:
    """A step that replaces the rows of these ids, or removes them, in all tables."""
    numbers = np.asarray(ids, dtype=np.int64)
    weights = np.full(len(numbers), weight, dtype=np.int64)
    circuit.step({
        leaf: Delta(rows(arrow_schema(leaf.columns), numbers, version), weights) for leaf in circuit.leaves
    })  # fmt: skip


def filled(name: str) -> Circuit:
    circuit = Circuit([plan(QUERIES[name])])
    for part in slot_ranges(ROWS):
        put(circuit, np.arange(part.start, part.stop))
    return circuit


def restored(circuit: Circuit) -> Circuit:
    other = Circuit(circuit.roots)
    other.restore(combined(circuit.save()), circuit.version)
    return other


def content(circuit: Circuit) -> list[bytes]:
    """The identities of the rows of the result, in an order that depends on nothing else."""
    words = np.ascontiguousarray(row_words(circuit.rows(circuit.roots[0])))
    return sorted(words.view("V16").ravel().tolist())


Frames = dict[str, list[bytes]]


def frames(state: Circuit | TableState) -> Frames:
    """The bytes of all chunks that are saved of a state."""
    return {
        name: [batch.serialize().to_pybytes() for batch in part.to_batches()] for name, part in state.save().items()
    }


def new_frames(before: Frames, after: Frames) -> dict[str, int]:
    """How many chunks of each part were not there before; parts without any are left out."""
    counts = {name: len(set(found) - set(before[name])) for name, found in after.items()}
    return {name: count for name, count in counts.items() if count}


every_query = pytest.mark.parametrize("name", QUERIES)


@every_query
def test_a_state_in_which_nothing_changed_is_saved_as_the_same_bytes(name: str) -> None:
    circuit = filled(name)
    before = frames(circuit)
    assert any(len(chunks) == CHUNKS for chunks in before.values())
    assert frames(circuit) == before
    assert frames(restored(circuit)) == before, "nor does restoring move a row where none had gone"


@every_query
def test_a_row_that_changes_or_goes_alters_the_chunk_where_it_was_and_the_one_where_it_is(name: str) -> None:
    circuit = filled(name)
    for weight in (1, -1):
        before = frames(circuit)
        put(circuit, [CHUNK_SLOTS + 17], version=1, weight=weight)
        changed = new_frames(before, frames(circuit))
        assert changed and max(changed.values()) <= 2


@every_query
def test_new_rows_alter_only_what_comes_last(name: str) -> None:
    circuit = filled(name)
    put(circuit, np.arange(ROWS, ROWS + 9))
    before = frames(circuit)
    put(circuit, np.arange(ROWS + 9, ROWS + 27))
    for part, chunks in frames(circuit).items():
        assert chunks[: len(before[part]) - 1] == before[part][:-1]


@every_query
@pytest.mark.parametrize(
    "gone",
    [
        pytest.param(lambda ids: ids % 1009 == 0, id="some"),
        pytest.param(lambda ids: ids // CHUNK_SLOTS == 1, id="a chunk"),
        pytest.param(lambda ids: ids % 3 != 0, id="most"),
        pytest.param(lambda ids: ids >= 0, id="all"),
    ],
)
def test_a_circuit_that_is_saved_after_removals_goes_on_as_if_nothing_had_happened(
    name: str, gone: Callable[[Any], Any]
) -> None:
    one, ids = filled(name), np.arange(ROWS)
    put(one, ids[gone(ids)], weight=-1)
    two = restored(one)
    assert content(one) == content(two)
    for circuit in (one, two):
        put(circuit, ids[5::997], version=1)
        put(circuit, ids[3::1009], weight=-1)
    assert content(one) == content(two)


def test_a_row_that_goes_alters_only_its_own_chunk_of_a_table() -> None:
    schema = pa.schema([("k", pa.int64()), ("v", pa.string())])
    table, ids = TableState(schema, ("k",)), np.arange(ROWS)
    table.apply(Delta(pa.record_batch({"k": ids, "v": [str(k) for k in ids]}, schema=schema)))
    before = frames(table)
    slot = CHUNK_SLOTS
    place = table.apply(Delta(table.take(np.array([slot])), np.array([-1])))
    assert place.tolist() == [slot], "the first of the second chunk"
    saved = table.save()["rows"].to_batches()
    assert [batch.num_rows for batch in saved] == [CHUNK_SLOTS, CHUNK_SLOTS - 1, CHUNK_SLOTS]
    assert new_frames(before, frames(table)) == {"rows": 1, "weights": 1}
