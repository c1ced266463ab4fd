"""Consumer groups on a log: each row is read by one member, and what was committed is never read again."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import MemberFenced, NoSpace, OutOfRange, PositionGone
from headwater.storage import Append, Chunk, Fault, FaultyStorage, Log, SimulatedDisk
from headwater.storage.consumers import Consumers, Edge, Member, Since

PATH = "shop.hw"
ORDERS, COPIES = 1, 2
PARTITIONS = 4

Row = tuple[int, int, object]  # partition, offset, value


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.clock_us = 1_000_000
    return disk


@pytest.fixture
def log(disk: SimulatedDisk) -> Iterator[Log]:
    opened = Log.open(disk, PATH)
    yield opened
    opened.close()


@pytest.fixture
def consumers(log: Log) -> Consumers:
    return Consumers(log)


def append(log: Log, partition: int, *values: object, stream: int = ORDERS) -> None:
    log.commit([rows(partition, *values, stream=stream)])


def rows(partition: int, *values: object, stream: int = ORDERS) -> Append:
    return Append(stream, partition, pa.record_batch({"value": list(values)}))


def fetched(member: Member, max_rows: int = 1000) -> list[Row]:
    return listed(member.fetch(max_rows))


def listed(chunks: list[Chunk]) -> list[Row]:
    return [
        (chunk.partition, chunk.offset + number, value)
        for chunk in chunks
        for number, value in enumerate(chunk.rows.column(0).to_pylist())
    ]


def reopened(log: Log, disk: SimulatedDisk) -> Log:
    log.close()
    return Log.open(disk, PATH)


def test_a_member_alone_reads_all_partitions_in_the_order_of_the_log(log: Log, consumers: Consumers) -> None:
    append(log, 1, "a", "b")
    append(log, 0, "c")
    append(log, 1, "d")
    member = consumers.join("g", ORDERS, PARTITIONS)
    assert fetched(member) == [(1, 0, "a"), (1, 1, "b"), (0, 0, "c"), (1, 2, "d")]
    assert fetched(member) == []
    append(log, 0, "e")
    assert fetched(member) == [(0, 1, "e")]


def test_what_is_unread_comes_again_and_is_not_committed(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b")
    append(log, 1, "c")
    append(log, 0, "d")
    member = consumers.join("g", ORDERS, PARTITIONS)
    assert fetched(member, 1) == [(0, 0, "a")]
    rest = member.fetch(10)
    member.unread(rest)
    member.commit()
    assert log.group_offsets("g")[ORDERS, 0] == 1
    assert log.group_offsets("g")[ORDERS, 1] == 0
    assert fetched(member) == listed(rest) == [(0, 1, "b"), (1, 0, "c"), (0, 2, "d")]


def test_who_has_unread_all_may_lose_its_partitions(log: Log, consumers: Consumers) -> None:
    append(log, 1, "a")
    member = consumers.join("g", ORDERS, PARTITIONS)
    member.unread(member.fetch(10))
    other = consumers.join("g", ORDERS, PARTITIONS)
    member.commit()
    assert fetched(other) == [(1, 0, "a")]


def test_a_fetch_is_cut_at_the_number_of_rows_that_was_asked_for(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b", "c")
    append(log, 1, "d", "e")
    member = consumers.join("g", ORDERS, PARTITIONS)
    assert fetched(member, 2) == [(0, 0, "a"), (0, 1, "b")]
    assert fetched(member, 2) == [(0, 2, "c"), (1, 0, "d")]
    assert fetched(member, 2) == [(1, 1, "e")]


def test_chunks_say_which_commit_their_rows_are_of(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b")
    member = consumers.join("g", ORDERS, PARTITIONS)
    member.fetch(1)
    (chunk,) = member.fetch(1)
    assert (chunk.version, chunk.time_us, chunk.offset) == (1, log.time_of(1), 1)


def test_rows_of_other_streams_are_not_read(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", stream=COPIES)
    assert fetched(consumers.join("g", ORDERS, PARTITIONS)) == []


def test_after_a_restart_a_group_goes_on_from_what_it_committed(
    log: Log, consumers: Consumers, disk: SimulatedDisk
) -> None:
    append(log, 0, "a", "b", "c")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member, 1)
    member.commit()
    assert fetched(member, 1) == [(0, 1, "b")], "read, but not committed"
    log = reopened(log, disk)
    assert fetched(Consumers(log).join("g", ORDERS, PARTITIONS)) == [(0, 1, "b"), (0, 2, "c")]
    log.close()


def test_committing_nothing_new_commits_nothing(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    member = consumers.join("g", ORDERS, PARTITIONS)
    member.commit()
    fetched(member)
    member.commit()
    version = log.version
    member.commit()
    assert log.version == version


def test_offsets_are_committed_together_with_what_was_made_of_the_rows(
    log: Log, consumers: Consumers, disk: SimulatedDisk
) -> None:
    append(log, 0, "a", "b")
    member = consumers.join("g", ORDERS, PARTITIONS)
    values = [value for _, _, value in fetched(member)]
    version = log.version
    log.commit([rows(0, *values, stream=COPIES)], offsets=[member.offsets()])
    assert log.version == version + 1
    member.commit()
    assert log.version == version + 1, "the member sees that its offsets are committed"
    log = reopened(log, disk)
    assert fetched(Consumers(log).join("g", ORDERS, PARTITIONS)) == []
    assert log.ends(COPIES) == {0: 2}
    log.close()


def test_a_group_may_start_with_the_rows_to_come(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    member = consumers.join("g", ORDERS, PARTITIONS, start="latest")
    append(log, 0, "b")
    append(log, 1, "c")
    assert fetched(member) == [(0, 1, "b"), (1, 0, "c")]


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_where_a_group_starts_is_settled_by_its_first_member(
    log: Log, consumers: Consumers, disk: SimulatedDisk, start: Edge
) -> None:
    append(log, 0, "a")
    consumers.join("g", ORDERS, PARTITIONS, start="latest")
    append(log, 0, "b")
    log = reopened(log, disk)
    append(log, 0, "c")
    assert fetched(Consumers(log).join("g", ORDERS, PARTITIONS, start=start)) == [(0, 1, "b"), (0, 2, "c")]
    log.close()


@pytest.mark.parametrize("count", range(1, 7))
def test_members_share_the_partitions_evenly(consumers: Consumers, count: int) -> None:
    members = [consumers.join("g", ORDERS, PARTITIONS) for _ in range(count)]
    for member in members:
        member.fetch(1)
    shares = [member.partitions for member in members]
    assert sorted(partition for share in shares for partition in share) == list(range(PARTITIONS))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_each_row_is_read_by_one_member(log: Log, consumers: Consumers) -> None:
    members = [consumers.join("g", ORDERS, PARTITIONS) for _ in range(2)]
    expected = []
    for partition in range(PARTITIONS):
        append(log, partition, "a", "b")
        expected += [(partition, 0, "a"), (partition, 1, "b")]
    assert sorted(row for member in members for row in fetched(member)) == expected


def test_a_member_learns_at_its_next_fetch_that_it_shares(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    append(log, 1, "b")
    first = consumers.join("g", ORDERS, 2)
    fetched(first)
    first.commit()
    second = consumers.join("g", ORDERS, 2)
    append(log, 0, "c")
    append(log, 1, "d")
    assert (fetched(first), fetched(second)) == ([(0, 1, "c")], [(1, 1, "d")])


def test_what_was_read_and_not_committed_is_read_again_by_whoever_has_the_partition_then(
    log: Log, consumers: Consumers
) -> None:
    append(log, 0, "a")
    append(log, 1, "b")
    first = consumers.join("g", ORDERS, 2)
    assert len(fetched(first)) == 2
    second = consumers.join("g", ORDERS, 2)
    assert (fetched(first), fetched(second)) == ([(0, 0, "a")], [(1, 0, "b")])


def test_rows_of_a_partition_that_others_have_now_cannot_be_committed(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    append(log, 1, "b")
    first = consumers.join("g", ORDERS, 2)
    fetched(first)
    second = consumers.join("g", ORDERS, 2)
    version = log.version
    with pytest.raises(MemberFenced, match='"g".*partition 1'):
        first.commit()
    with pytest.raises(MemberFenced):
        first.offsets()
    assert log.version == version
    assert fetched(second) == [(1, 0, "b")]
    second.commit()
    assert fetched(first) == [(0, 0, "a")]
    first.commit()
    assert consumers.lag("g", ORDERS) == {0: 0, 1: 0}


def test_rows_of_partitions_that_stay_can_be_committed_in_the_next_generation(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    first = consumers.join("g", ORDERS, 2)
    fetched(first)
    second = consumers.join("g", ORDERS, 2)
    first.commit()
    assert (fetched(first), fetched(second)) == ([], [])
    assert first.partitions == (0,)


def test_rows_that_another_member_has_committed_in_between_cannot_be_committed_again(
    log: Log, consumers: Consumers
) -> None:
    append(log, 1, "a")
    first = consumers.join("g", ORDERS, 2)
    fetched(first)
    second = consumers.join("g", ORDERS, 2)
    fetched(second)
    second.commit()
    second.leave()
    append(log, 1, "b")
    with pytest.raises(MemberFenced):
        first.commit()
    assert fetched(first) == [(1, 1, "b")]


def test_a_transaction_with_offsets_of_an_older_generation_is_refused_whole(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member)
    offsets = member.offsets()
    consumers.join("g", ORDERS, PARTITIONS)
    with pytest.raises(MemberFenced):
        log.commit([rows(0, "a", stream=COPIES)], offsets=[offsets])
    assert log.ends(COPIES) == {}
    assert fetched(member) == [(0, 0, "a")]


def test_a_member_can_go_back_to_what_it_committed(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b", "c")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member, 1)
    member.commit()
    fetched(member, 1)
    member.rewind()
    assert member.offsets().offsets == {}
    assert fetched(member) == [(0, 1, "b"), (0, 2, "c")]


def test_a_member_tells_that_a_fetch_has_started_again(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member)
    generation = member.generation
    assert (fetched(member), member.generation) == ([], generation)
    consumers.join("g", ORDERS, PARTITIONS)
    assert (fetched(member), member.generation) == ([(0, 0, "a")], generation + 1)


def test_when_a_member_leaves_the_others_take_over(log: Log, consumers: Consumers) -> None:
    first = consumers.join("g", ORDERS, 2)
    second = consumers.join("g", ORDERS, 2)
    append(log, 0, "a")
    append(log, 1, "b")
    assert (fetched(first), fetched(second)) == ([(0, 0, "a")], [(1, 0, "b")])
    first.commit()
    second.leave()
    assert fetched(first) == [(1, 0, "b")]


def test_a_member_that_has_left_can_do_nothing_more(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member)
    member.leave()
    for forbidden in (member.commit, member.offsets, lambda: member.fetch(1)):
        with pytest.raises(MemberFenced, match="has left"):
            forbidden()
    generation = log.generation("g")
    member.leave()
    assert log.generation("g") == generation


def test_groups_do_not_touch_each_other(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    first, second = consumers.join("g", ORDERS, PARTITIONS), consumers.join("h", ORDERS, PARTITIONS)
    assert fetched(first) == fetched(second) == [(0, 0, "a")]
    first.commit()
    assert (consumers.lag("g", ORDERS), consumers.lag("h", ORDERS)) == ({0: 0}, {0: 1})


def test_a_group_may_read_several_streams(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a")
    append(log, 0, "b", stream=COPIES)
    first = consumers.join("g", ORDERS, PARTITIONS)
    fetched(first)
    second = consumers.join("g", COPIES, PARTITIONS)
    first.commit()
    assert fetched(second) == [(0, 0, "b")]
    assert (consumers.lag("g", ORDERS), consumers.lag("g", COPIES)) == ({0: 0}, {0: 1})


@pytest.fixture
def read_by_g(log: Log, consumers: Consumers, disk: SimulatedDisk) -> Member:
    """A member that has read and committed four rows in two partitions, of the times 10, 20 and 30 s."""
    for seconds, partition, values in ((10, 0, "ab"), (20, 1, "c"), (30, 0, "d")):
        disk.clock_us = seconds * 1_000_000
        append(log, partition, *values)
    member = consumers.join("g", ORDERS, PARTITIONS)
    assert len(fetched(member)) == 4
    member.commit()
    return member


ALL: list[Row] = [(0, 0, "a"), (0, 1, "b"), (1, 0, "c"), (0, 2, "d")]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("earliest", ALL),
        ("latest", []),
        ({0: 1}, [ALL[1], ALL[3]]),
        ({0: 3, 1: 0}, [ALL[2]]),
        (Since(0), ALL),
        (Since(10_000_000), ALL),
        (Since(10_000_001), ALL[2:]),
        (Since(30_000_000), ALL[3:]),
        (Since(99_000_000), []),
    ],
    ids=str,
)
def test_a_running_group_goes_on_from_where_a_seek_moves_it(
    log: Log, consumers: Consumers, disk: SimulatedDisk, read_by_g: Member, to: Any, expected: list[Row]
) -> None:
    consumers.seek("g", ORDERS, to)
    assert fetched(read_by_g) == expected
    log = reopened(log, disk)
    assert fetched(Consumers(log).join("g", ORDERS, PARTITIONS)) == expected, "a seek is durable"
    log.close()


def test_what_was_read_before_a_seek_cannot_be_committed_after_it(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b")
    append(log, 1, "c")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member)
    consumers.seek("g", ORDERS, {0: 1})
    with pytest.raises(MemberFenced, match="partition 0"):
        member.commit()
    assert fetched(member) == [(0, 1, "b"), (1, 0, "c")]


def test_what_was_read_of_a_partition_that_a_seek_leaves_alone_can_be_committed(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b")
    append(log, 1, "c")
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member, 2)
    consumers.seek("g", ORDERS, {1: 1})
    member.commit()
    assert fetched(member) == []


def test_a_group_without_members_can_be_moved(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b")
    consumers.seek("g", ORDERS, {0: 1})
    assert fetched(consumers.join("g", ORDERS, PARTITIONS)) == [(0, 1, "b")]


@pytest.mark.parametrize("to", [{0: 4}, {0: -1}, {3: 1}, {0: 0, 1: 2}], ids=str)
def test_a_seek_to_where_nothing_is_changes_nothing(
    log: Log, consumers: Consumers, read_by_g: Member, to: Mapping[int, int]
) -> None:
    version = log.version
    with pytest.raises(OutOfRange, match="ends at"):
        consumers.seek("g", ORDERS, to)
    assert log.version == version
    assert fetched(read_by_g) == []


def test_lag_counts_the_rows_that_a_group_has_not_committed(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b", "c")
    append(log, 1, "d")
    assert consumers.lag("g", ORDERS) == {0: 3, 1: 1}, "a group that has not read anything"
    member = consumers.join("g", ORDERS, PARTITIONS)
    fetched(member, 2)
    assert consumers.lag("g", ORDERS) == {0: 3, 1: 1}
    member.commit()
    assert consumers.lag("g", ORDERS) == {0: 1, 1: 1}


def test_what_the_disk_has_no_room_for_changes_nothing(disk: SimulatedDisk) -> None:
    storage = FaultyStorage(disk)
    log = Log.open(storage, PATH)
    consumers = Consumers(log)
    append(log, 0, "a")
    append(log, 1, "b")
    first, second = consumers.join("g", ORDERS, 2), consumers.join("g", ORDERS, 2)
    assert (fetched(first), fetched(second)) == ([(0, 0, "a")], [(1, 0, "b")])
    version = log.version

    changes = (lambda: consumers.join("g", ORDERS, 2), lambda: consumers.seek("g", ORDERS, "latest"), second.leave)
    for change in changes:
        storage.plan = (Fault("pwrite", storage.counts["pwrite"] + 1, errno.ENOSPC),)
        with pytest.raises(NoSpace):
            change()

    assert (log.version, fetched(first), fetched(second)) == (version, [], [])
    first.commit()
    second.commit()
    assert consumers.lag("g", ORDERS) == {0: 0, 1: 0}
    log.close()


@pytest.fixture
def cut(log: Log, read_by_g: Member) -> int:
    """Retention has taken all rows up to this version: two of partition 0, and the only one of partition 1."""
    version = log.version_of(ORDERS, 1, 0)
    log.retain({ORDERS: version})
    return version


def test_a_group_that_has_read_what_retention_takes_does_not_notice(log: Log, cut: int, read_by_g: Member) -> None:
    assert fetched(read_by_g) == []
    append(log, 1, "e")
    assert fetched(read_by_g) == [(1, 1, "e")]


def test_a_group_that_retention_has_passed_is_told_where_it_can_go_on(log: Log, consumers: Consumers) -> None:
    append(log, 0, "a", "b")
    append(log, 1, "c")
    member = consumers.join("g", ORDERS, PARTITIONS)
    log.retain({ORDERS: 1})
    with pytest.raises(PositionGone, match=r"offset 0 of partition 0 of stream 1 is gone.*\n.*\{0: 2\}") as caught:
        member.fetch(1)
    assert caught.value.earliest == 1
    consumers.seek("g", ORDERS, {0: 2})
    assert fetched(member) == [(1, 0, "c")]


def test_a_seek_to_an_offset_that_is_gone_changes_nothing(
    log: Log, consumers: Consumers, cut: int, read_by_g: Member
) -> None:
    version = log.version
    with pytest.raises(PositionGone, match="the earliest that retention kept is 2"):
        consumers.seek("g", ORDERS, {0: 1})
    assert log.version == version
    consumers.seek("g", ORDERS, {0: 2})
    assert fetched(read_by_g) == [(0, 2, "d")]


@pytest.mark.parametrize("to", ["earliest", Since(0), Since(10_000_000)], ids=str)
def test_a_seek_goes_back_no_further_than_retention_kept(
    consumers: Consumers, cut: int, read_by_g: Member, to: Edge | Since
) -> None:
    consumers.seek("g", ORDERS, to)
    assert fetched(read_by_g) == [(0, 2, "d")]


def test_a_new_group_starts_with_what_retention_kept(consumers: Consumers, cut: int) -> None:
    assert fetched(consumers.join("new", ORDERS, PARTITIONS)) == [(0, 2, "d")]


def test_rows_that_are_gone_are_no_lag(log: Log, consumers: Consumers, cut: int) -> None:
    assert consumers.lag("new", ORDERS) == {0: 1, 1: 0}


def test_a_fetch_waits_for_rows_as_long_as_it_is_told_to(log: Log, consumers: Consumers) -> None:
    member = consumers.join("g", ORDERS, PARTITIONS)
    begin = time.monotonic()
    assert member.fetch(1, timeout=0.1) == []
    assert time.monotonic() - begin >= 0.1

    def append_soon() -> None:
        append(log, 0, "x", stream=COPIES)  # a commit that is of no interest
        append(log, 0, "a")

    timer = threading.Timer(0.05, append_soon)
    timer.start()
    begin = time.monotonic()
    assert listed(member.fetch(1, timeout=60)) == [(0, 0, "a")]
    assert time.monotonic() - begin < 30
    timer.join()


def test_a_fetch_that_waits_sees_that_others_have_left(log: Log, consumers: Consumers) -> None:
    first, second = consumers.join("g", ORDERS, 2), consumers.join("g", ORDERS, 2)
    append(log, 1, "a")
    assert fetched(second) == [(1, 0, "a")]
    timer = threading.Timer(0.05, second.leave)
    timer.start()
    assert listed(first.fetch(1, timeout=60)) == [(1, 0, "a")]
    timer.join()


def copy_rows(log: Log, member: Member, max_rows: int) -> bool:
    """Copy what a member fetches to another stream, with the offsets in the same commit. False if there was nothing."""
    chunks = member.fetch(max_rows, timeout=0.01)
    if chunks:
        copies = [Append(COPIES, chunk.partition, chunk.rows) for chunk in chunks]
        log.commit(copies, offsets=[member.offsets()])
    return bool(chunks)


def values_of(log: Log, stream: int) -> dict[int, list[object]]:
    """All values of a stream by partition, in order."""
    found: dict[int, list[object]] = {}
    for chunk in log.scan(stream):
        found.setdefault(chunk.partition, []).extend(chunk.rows.column(0).to_pylist())
    return found


def test_members_in_threads_that_come_and_go_process_each_row_once(log: Log, consumers: Consumers) -> None:
    batches = 60
    is_done = threading.Event()

    def work(max_rows: int) -> None:
        while not is_done.is_set():
            member = consumers.join("g", ORDERS, PARTITIONS)
            for _ in range(8):
                try:
                    copy_rows(log, member, max_rows)
                except MemberFenced:
                    continue
            member.leave()

    workers = [threading.Thread(target=work, args=(max_rows,)) for max_rows in (1, 3, 50)]
    for worker in workers:
        worker.start()
    for number in range(batches):
        append(log, number % PARTITIONS, number, -number)
    deadline = time.monotonic() + 60
    while any(consumers.lag("g", ORDERS).values()) and time.monotonic() < deadline:
        log.wait(log.version, 0.1)
    is_done.set()
    for worker in workers:
        worker.join()
    assert values_of(log, COPIES) == values_of(log, ORDERS)


actions = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 4)),  # partition, rows
    st.tuples(st.just("join"), st.just(0), st.just(0)),
    st.tuples(st.just("leave"), st.integers(0, 3), st.just(0)),  # member
    st.tuples(st.just("fetch"), st.integers(0, 3), st.integers(1, 5)),  # member, rows
    st.tuples(st.just("finish"), st.integers(0, 3), st.just(0)),  # member
    st.tuples(st.just("rewind"), st.integers(0, 3), st.just(0)),  # member
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=50))
def test_each_row_counts_once_whoever_joins_leaves_and_restarts_between_reading_and_committing(
    history: list[tuple[str, int, int]],
) -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH)
    consumers = Consumers(log)
    members: list[tuple[Member, list[Append]]] = []  # each with the copies that it has not committed yet
    count = 0
    for action, number, amount in history:
        if action == "append":
            append(log, number, *range(count, count + amount))
            count += amount
        elif action == "join":
            members.append((consumers.join("g", ORDERS, 3), []))
        elif action == "restart":
            log = reopened(log, disk)
            consumers, members = Consumers(log), []
        elif number < len(members):
            member, copies = members[number]
            if action == "leave":
                member.leave()
                del members[number]
            elif action == "fetch":
                finish(log, member, copies)
                copies += [Append(COPIES, chunk.partition, chunk.rows) for chunk in member.fetch(amount)]
            elif action == "rewind":
                member.rewind()
                copies.clear()
            else:
                finish(log, member, copies)
    for member, copies in members:
        finish(log, member, copies)
        member.leave()
    member = consumers.join("g", ORDERS, 3)
    while copy_rows(log, member, 3):
        pass
    assert values_of(log, COPIES) == values_of(log, ORDERS)
    log.close()


def finish(log: Log, member: Member, copies: list[Append]) -> None:
    """Commit the copies with the offsets, or forget them where others have the rows now."""
    try:
        log.commit(copies, offsets=[member.offsets()])
    except MemberFenced:
        member.rewind()
    copies.clear()
