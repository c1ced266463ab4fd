"""Laws that hold for every query: what a log holds follows from its records, and from nothing else.

Each law is a statement about two databases, so it needs no oracle; the queries and records are random.
HEADWATER_LAWS sets how many random logs each law is tried on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from random import Random

import pytest

from headwater.executor.feed import Cut
from headwater.executor.past import circuit_at
from tests.executor.differential import Case, canonical
from tests.executor.generator import Generator
from tests.executor.limits import limits_of
from tests.executor.replica import Commit, Piece, Replica, commits_of

LOGS = int(os.environ.get("HEADWATER_LAWS", "3"))
SEEDS = range(7000, 7000 + LOGS)

# Streams whose rows may find several matches, in tables whose rows come and go.
STREAMS = (
    "CREATE STREAM found AS SELECT a.k, a.v, c.id, c.name FROM s a JOIN t c ON a.k = c.w",
    "CREATE STREAM found_all AS SELECT a.k, a.v, c.y, c.z FROM s a LEFT JOIN b c ON a.k = c.x",
    "CREATE STREAM found_late AS SELECT a.a, o.b, o.d FROM e a JOIN (SELECT a, b, max(d) AS d FROM r GROUP BY a, b) o"
    " ON a.a = o.a",
    "CREATE STREAM some AS SELECT k, v FROM s WHERE v > 0",
    "CREATE STREAM changed AS SELECT _op, id, w, y FROM CHANGES OF pairs",
)
CHANGED = (STREAMS[-1], "CREATE STREAM summed AS SELECT _op, k, n, top FROM CHANGES OF sums")


@pytest.fixture(autouse=True)
def limits(seed: int) -> Iterator[None]:
    with limits_of(seed):
        yield


@cache
def lived(seed: int) -> Case:
    """A case with eight steps behind it. The laws leave it as it is; they are about queries that no clock moves."""
    generator = Generator(seed)
    queries = [
        query for query in (generator.query() for _ in range(8)) if not re.search(r"now\(\)|CHANGES OF", query.sql)
    ]
    case = Case(seed, given=queries)
    for _ in range(8):
        case.step_without_restart()
    return case


@pytest.mark.parametrize("seed", SEEDS)
def test_tables_do_not_depend_on_where_steps_end(seed: int) -> None:
    case, random = lived(seed), Random(seed)
    commits = commits_of(case)
    for share in (0, 0.3, 1):
        replica = Replica(case)
        replica.define()
        replica.play(commits, lambda _, r=replica, s=share: r.step() if random.random() < s else None)  # type: ignore[misc]
        assert replica.contents() == case.contents(), f"seed {seed}, steps after {share} of the commits"


@pytest.mark.parametrize("seed", SEEDS[::3])
def test_the_changes_of_a_table_and_their_order_do_not_depend_on_where_steps_end(seed: int) -> None:
    commits = commits_of(lived(seed))
    found = []
    for share in (0, 2, 1):
        replica = Replica(lived(seed))
        for statement in CHANGED:
            replica.db.execute(statement)
        replica.play(commits, lambda number, r=replica, s=share: r.step() if s and number % s == 0 else None)  # type: ignore[misc]
        found.append(replica.records())
    assert found[0] == found[1] == found[2]
    assert any(found[0].values())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_query_that_is_made_late_holds_what_it_would_had_it_always_run(seed: int) -> None:
    case = lived(seed)
    replica = Replica(case).play(commits_of(case), lambda _: None)
    replica.define()
    assert replica.contents() == case.contents()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_log_in_the_same_steps_gives_the_same_bytes_whatever_happens_in_between(seed: int) -> None:
    case, random = lived(seed), Random(seed)
    commits = commits_of(case)
    ends = {number for number in range(len(commits)) if random.random() < 0.5}
    quiet, restless = Replica(case), Replica(case)
    for replica in (quiet, restless):
        replica.define(*STREAMS)

    def disturb(number: int) -> None:
        if number in ends:
            restless.step()
        for event in (restless.checkpoint, restless.reopen):
            if number in ends and random.random() < 0.4:
                event()

    quiet.play(commits, lambda number: quiet.step() if number in ends else None)
    restless.play(commits, disturb)
    for name, records in quiet.records().items():
        assert restless.records()[name] == records, f"seed {seed}, {name}: {case.made.get(name)}"


@pytest.mark.parametrize("seed", SEEDS)
def test_from_any_image_and_from_none_the_state_is_the_same(seed: int) -> None:
    case, random = lived(seed), Random(seed)
    replica = Replica(case)
    replica.define()
    replica.play(commits_of(case), lambda _: replica.checkpoint() if random.random() < 0.3 else replica.step())
    pipeline, log = replica.db.pipeline, replica.db.log
    roots = {relation.content(): relation.is_stream for relation in pipeline.derived()}
    images = log.images()
    for count in range(len(images) + 1):
        circuit = circuit_at(log, list(roots), Cut(pipeline.circuit.version), images=images[:count])
        for root, is_stream in roots.items():
            rows, expected = (
                c.ends(root) if is_stream else canonical(list(zip(*c.rows(root).to_pydict().values(), strict=True)))
                for c in (circuit, pipeline.circuit)
            )
            assert rows == expected, f"seed {seed}, {count} of {len(images)} images"


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_that_come_and_go_leave_nothing(seed: int) -> None:
    """Rows are added to a table, and removed in the next commit: in the same step, or in the next one."""
    case, random = lived(seed), Random(seed)
    commits = commits_of(case)
    added = [(number, noise(case, random)) for number in sorted(random.choices(range(len(commits) + 1), k=6))]
    disturbed: list[Commit] = []
    for number in range(len(commits) + 1):
        disturbed += [commit for at, pair in added for commit in pair if at == number]
        disturbed += commits[number : number + 1]
    replica = Replica(case)
    replica.define()
    replica.play(disturbed, lambda _: replica.step() if random.random() < 0.5 else None)
    assert replica.contents() == case.contents()


def noise(case: Case, random: Random) -> tuple[Commit, Commit]:
    """Rows for a table, and what takes them back; a table with a key gets a key that it has never had."""
    name = random.choice("tbr")
    source = case.sources[name]
    rows = case.generator.new_rows(source, 0) or case.generator.new_rows(source, 0)
    if source.kind == "table":
        rows = [{**row, source.columns[0][0]: 1000 + place} for place, row in enumerate(rows)]
    table = case.oracle.rows(name, rows)
    pieces = []
    for weight in (1, -1):
        weighted = table.append_column("$weight", [[weight] * len(table)]) if len(table) else table
        pieces.append(tuple(Piece(name, 0, batch) for batch in weighted.combine_chunks().to_batches()))
    return pieces[0], pieces[1]


def several_partitions() -> list[int]:
    """Seeds of cases whose stream has several partitions."""
    seeds = (seed for seed in range(7500, 9000) if Generator(seed).random.choice([1, 1, 2, 3]) > 1)
    return [seed for seed, _ in zip(seeds, range(LOGS), strict=False)]


@pytest.mark.parametrize("seed", several_partitions())
def test_tables_do_not_depend_on_the_order_between_partitions(seed: int) -> None:
    """Lateness is told within a partition; these queries ask for no other order of records."""
    case = Case(seed, given=[])
    assert case.partitions > 1
    g = case.generator
    makers = [g.grouped_stream, g.windowed, g.windowed, g.two_streams, g.filtered, g.over, g.distinct, g.sets, g.typed]
    for make in makers:
        case.create(make())
    for _ in range(8):
        case.step_without_restart()
    random, queues = Random(seed), dict[tuple[str, int], list[Commit]]()
    for commit in commits_of(case):
        for piece in commit:
            queues.setdefault((piece.relation, piece.partition), []).append((piece,))
    shuffled = []
    while queues:
        key = random.choice(list(queues))
        shuffled.append(queues[key].pop(0))
        queues = {key: queue for key, queue in queues.items() if queue}
    replica = Replica(case)
    replica.define()
    replica.play(shuffled, lambda _: replica.step() if random.random() < 0.4 else None)
    assert replica.contents() == case.contents()
