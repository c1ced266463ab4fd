"""What a circuit reads of the log: between two versions, up to offsets, in pieces of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor import feed
from headwater.executor.feed import Cut, read_rows, step_versions, with_weights
from headwater.planner.logical import StreamSource, TableSource
from headwater.storage import Append, Log, SimulatedDisk
from headwater.values import ROWOFFSET, ROWPARTITION, WEIGHT, Column

STREAM, TABLE, OTHER = 1, 2, 3
LEAF = StreamSource(STREAM, "s", (Column("v", "BIGINT"), Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT")))


@pytest.fixture
def log() -> Iterator[Log]:
    opened = Log.open(SimulatedDisk(), "db")
    yield opened
    opened.close()


def append(stream: int, *values: int, partition: int = 0) -> Append:
    return Append(stream, partition, pa.record_batch({"v": pa.array(values, pa.int64()), "w": pa.nulls(len(values))}))


def read(log: Log, after: int, cut: Cut) -> list[tuple[int, int, int]]:
    return [tuple(row.values()) for row in read_rows(log, LEAF, after, cut).to_pylist()]


@pytest.fixture
def filled(log: Log) -> Log:
    log.commit([append(STREAM, 10, 11, partition=1), append(STREAM, 20)])
    log.commit([append(OTHER, 99)])
    log.commit([append(STREAM, 21, 22), append(STREAM, 12, partition=1)])
    return log


def test_records_come_in_log_order_with_their_places(filled: Log) -> None:
    assert read(filled, 0, Cut(3)) == [(10, 1, 0), (11, 1, 1), (20, 0, 0), (21, 0, 1), (22, 0, 2), (12, 1, 2)]


@pytest.mark.parametrize(
    ("after", "upto", "values"),
    [(0, 0, []), (0, 1, [10, 11, 20]), (1, 2, []), (1, 3, [21, 22, 12]), (2, 3, [21, 22, 12]), (3, 3, [])],
)
def test_what_is_read_was_committed_after_one_version_and_up_to_another(
    filled: Log, after: int, upto: int, values: list[int]
) -> None:
    assert [v for v, _, _ in read(filled, after, Cut(upto))] == values


@pytest.mark.parametrize(
    ("limits", "values"),
    [
        ({0: 3, 1: 3}, [10, 11, 20, 21, 22, 12]),
        ({0: 2, 1: 3}, [10, 11, 20, 21, 12]),
        ({0: 1, 1: 1}, [10, 20]),
        ({0: 0, 1: 2}, [10, 11]),
        ({1: 3}, [10, 11, 12]),
        ({}, []),
        ({0: 99, 1: 99}, [10, 11, 20, 21, 22, 12]),
    ],
)
def test_limits_cut_each_partition_at_an_offset_also_inside_a_commit(
    filled: Log, limits: dict[int, int], values: list[int]
) -> None:
    assert [v for v, _, _ in read(filled, 0, Cut(3, {STREAM: limits}))] == values
    assert len(read(filled, 0, Cut(3, {OTHER: {}}))) == 6, "limits are those of one relation"


def test_only_the_columns_of_the_leaf_are_read(filled: Log) -> None:
    places = StreamSource(STREAM, "s", (Column(ROWOFFSET, "BIGINT"),))
    assert read_rows(filled, places, 0, Cut(1)).to_pydict() == {ROWOFFSET: [0, 1, 0]}
    assert read_rows(filled, places, 1, Cut(2)).schema.names == [ROWOFFSET]


def test_a_table_is_read_with_its_weights(log: Log) -> None:
    log.commit([Append(TABLE, 0, pa.record_batch({"v": [1, 2], WEIGHT: [1, -1]}))])
    delta = with_weights(read_rows(log, TableSource(TABLE, "t", (Column("v", "BIGINT"),), ("v",)), 0, Cut(1)))
    assert delta.rows.to_pydict() == {"v": [1, 2]}
    assert delta.weight_array.tolist() == [1, -1]


commits = st.lists(st.tuples(st.sampled_from([STREAM, TABLE, OTHER]), st.integers(1, 6)), max_size=20)


@settings(max_examples=100, deadline=None)
@given(commits, st.data())
def test_the_way_is_cut_into_pieces_of_bounded_size_that_begin_with_each_change_of_a_clocked_table(
    history: list[tuple[int, int]], data: st.DataObject
) -> None:
    bound = 10
    log = Log.open(SimulatedDisk(), "db")
    for stream, count in history:
        log.commit([append(stream, *range(count))])
    after = data.draw(st.integers(0, len(history)))
    upto = data.draw(st.integers(after, len(history)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "STEP_ROWS", bound)
        ends = step_versions(log, [STREAM, TABLE], [TABLE], after, upto)

    assert ends == sorted(set(ends)) and ends[-1] == upto and all(end >= after for end in ends)
    for begin, end in zip([after, *ends], ends, strict=False):
        read = [(version, *history[version - 1]) for version in range(begin + 1, end + 1)]
        read = [(version, stream, count) for version, stream, count in read if stream != OTHER]
        assert len(read) == 1 or sum(count for _, _, count in read) <= bound
        assert all(stream != TABLE for _, stream, _ in read[1:]), "a piece begins with the table's change"
