"""Windows that close: EMIT FINAL shows each once, RETENTION takes it away again, and its state is given back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import headwater
from headwater import Database, SqlError
from headwater.executor.aggregate import GroupBy
from tests.engine.watching import poll_all

WINDOW = "WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS)"
DEFINITIONS = f"""
CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts');
CREATE TABLE final AS SELECT k, sum(v) AS total FROM s {WINDOW} GROUP BY k EMIT FINAL;
CREATE TABLE kept AS SELECT k, sum(v) AS total
    FROM s WINDOW TUMBLING (SIZE 10 SECONDS, RETENTION 20 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k;
CREATE TABLE hopping AS SELECT count(*) AS n
    FROM s WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, GRACE PERIOD 0 SECONDS)
    GROUP BY WINDOWSTART EMIT FINAL;
"""
TABLES = ("final", "kept", "hopping")


def insert(db: Database, *rows: tuple[int, int, int]) -> None:
    """Records in one commit: key, value, second."""
    values = ", ".join(f"({k}, {v}, TIMESTAMP '2026-01-01' + INTERVAL ({second}) SECONDS)" for k, v, second in rows)
    db.execute(f"INSERT INTO s VALUES {values}")


def rows(db: Database, table: str, tail: str = "") -> Counter[tuple[Any, ...]]:
    """The rows of a windowed table, the window as its first second."""
    start = "CAST(epoch(WINDOWSTART) - epoch(TIMESTAMP '2026-01-01') AS INTEGER)"
    found = db.sql(f"SELECT {start}, * EXCLUDE (WINDOWSTART, WINDOWEND) FROM {table} {tail}").fetchall()
    return Counter(found)


def test_a_window_is_shown_once_the_watermark_is_past_its_end_and_the_grace(db: Database) -> None:
    db.execute(DEFINITIONS)
    insert(db, (1, 5, 1), (2, 7, 3))
    insert(db, (1, 1, 14))
    assert rows(db, "final") == Counter()
    insert(db, (1, 2, 9))  # in its grace
    insert(db, (1, 3, 15), (1, 100, 9))  # and past it
    assert rows(db, "final") == Counter({(0, 1, 7): 1, (0, 2, 7): 1})


def test_every_partition_must_have_come_so_far(db: Database) -> None:
    db.execute(f"""
        CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts', partitions = 4);
        CREATE TABLE final AS SELECT sum(v) AS total FROM s {WINDOW} GROUP BY WINDOWSTART EMIT FINAL;
    """)
    insert(db, *((k, 1, 1) for k in range(40)))
    assert len({chunk.partition for chunk in db.log.scan(1)}) == 4
    insert(db, (0, 1, 100))
    assert rows(db, "final") == Counter()
    insert(db, *((k, 1, 100) for k in range(40)))
    assert rows(db, "final") == Counter({(0, 40): 1})


def test_a_subscriber_gets_each_window_once_and_nothing_is_taken_back(db: Database) -> None:
    db.execute(DEFINITIONS)
    watching = db.subscribe(
        f"SELECT k, count(*) AS n FROM s {WINDOW} WHERE v > 0 GROUP BY k HAVING count(*) > 1 EMIT FINAL"
    )
    assert watching.is_append_only
    insert(db, (1, 5, 1), (2, 7, 3), (1, 0, 4), (1, 6, 5))
    assert poll_all(watching) == Counter()
    insert(db, (1, 1, 15))
    assert poll_all(watching) == Counter({(1, 2): 1})
    insert(db, (1, 1, 16), (1, 1, 99))
    assert poll_all(watching) == Counter({(1, 2): 1})


def test_windows_leave_the_table_when_their_retention_is_over(db: Database) -> None:
    db.execute(DEFINITIONS)
    watching = db.subscribe("SELECT k, total FROM kept")
    insert(db, (1, 5, 1))
    insert(db, (1, 6, 12))
    insert(db, (1, 7, 29))
    assert rows(db, "kept") == Counter({(0, 1, 5): 1, (10, 1, 6): 1, (20, 1, 7): 1})
    insert(db, (1, 8, 30))
    assert rows(db, "kept") == Counter({(10, 1, 6): 1, (20, 1, 7): 1, (30, 1, 8): 1})
    assert poll_all(watching) == Counter({(1, 6): 1, (1, 7): 1, (1, 8): 1})


def test_a_window_may_be_shown_when_it_is_final_until_its_retention_is_over(db: Database) -> None:
    window = "WINDOW TUMBLING (SIZE 10 SECONDS, RETENTION 8 SECONDS, GRACE PERIOD 5 SECONDS)"
    db.execute("CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts')")
    db.execute(f"CREATE TABLE short AS SELECT sum(v) AS total FROM s {window} GROUP BY WINDOWSTART EMIT FINAL")
    found = []
    for second in (1, 14, 15, 17, 18, 60):
        insert(db, (1, 1, second))
        found.append(rows(db, "short"))
    first = Counter({(0, 1): 1})
    assert found == [Counter(), Counter(), first, first, Counter(), Counter()]


def test_a_view_of_final_windows_shows_those_that_are_closed(db: Database) -> None:
    db.execute(DEFINITIONS)
    db.execute(
        f"CREATE VIEW closed AS SELECT WINDOWSTART, WINDOWEND, k, sum(v) AS total FROM s {WINDOW} GROUP BY k EMIT FINAL"
    )
    insert(db, (1, 5, 1), (1, 6, 12), (1, 7, 15))
    assert rows(db, "closed") == rows(db, "final") == Counter({(0, 1, 5): 1})


@pytest.mark.parametrize("checkpoint", [True, False])
def test_what_is_closed_is_the_same_at_any_version_and_after_a_restart(tmp_path: Path, checkpoint: bool) -> None:
    path, then = tmp_path / "shop.hw", {}
    with headwater.connect(path, background=False) as db:
        db.execute(DEFINITIONS)
        for n in range(12):
            insert(db, (n % 3, n, 4 * n), (0, n, 4 * n - 11 if n > 2 else 0))
            db.settle()
            if checkpoint and n == 6:
                db.execute("CHECKPOINT")
            then[db.version] = {table: rows(db, table) for table in TABLES}
    with headwater.connect(path, background=False) as db:
        for version, contents in then.items():
            assert {t: rows(db, t, f"AS OF VERSION {version}") for t in TABLES} == contents
        for offset, (_, contents) in enumerate(then.items()):
            assert {t: rows(db, t, f"AS OF OFFSET {2 * offset + 2}") for t in TABLES} == contents
        insert(db, (0, 1, 100))
        assert sum(rows(db, "final").values()) > sum(then[max(then)]["final"].values())


@pytest.mark.parametrize("call", ["count(*)", "count(DISTINCT v)", "median(v)"])
def test_the_state_of_closed_windows_is_given_back_and_their_rows_stay(db: Database, call: str) -> None:
    db.execute("CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts')")
    db.execute(f"CREATE TABLE windows AS SELECT k, {call} AS c FROM s {WINDOW} GROUP BY k")
    sizes, minute = [], np.arange(2000)
    for n in range(40):
        stamps = 1_767_225_600_000_000 + (n * 2000 + minute) * 30_000
        db.append("s", pa.table({"k": minute % 900, "v": minute, "ts": pa.array(stamps).view(pa.timestamp("us"))}))
        db.settle()
        sizes.append(state_bytes(db))
    assert db.sql("SELECT count(*) FROM windows").fetchall()[0][0] > 40_000
    assert max(sizes[20:]) <= 1.1 * max(sizes[:20])


def state_bytes(db: Database) -> int:
    """What the groups of the only query hold."""
    (relation,) = db.pipeline.derived()
    operators = db.pipeline.circuit.operators_of(relation.content())
    return sum(operator.nbytes for _, operator in operators if isinstance(operator, GroupBy))


# ---------------------------------------------------------------- closed windows as the records of a stream

CLOSED = f"CREATE STREAM closed AS SELECT k, sum(v) AS total FROM s {WINDOW} GROUP BY k EMIT FINAL;"


def test_a_stream_keeps_each_window_that_has_closed_as_a_record(db: Database) -> None:
    db.execute(DEFINITIONS + CLOSED)
    insert(db, (1, 5, 1), (2, 7, 3), (1, 1, 12))
    insert(db, (1, 3, 15), (1, 100, 9))  # the second one is late
    insert(db, (1, 4, 40))
    assert rows(db, "closed") == rows(db, "final") == Counter({(0, 1, 5): 1, (0, 2, 7): 1, (10, 1, 4): 1})
    found = db.sql(
        "SELECT ROWOFFSET, ROWPARTITION, ROWTIME = WINDOWEND - INTERVAL 1 MICROSECOND FROM closed"
    ).fetchall()
    assert found == [(0, 0, True), (1, 0, True), (2, 0, True)]


def test_windows_that_closed_are_windowed_again_each_in_the_longer_one_that_it_lies_in(db: Database) -> None:
    db.execute(DEFINITIONS + CLOSED)
    window = "WINDOW TUMBLING (SIZE 30 SECONDS, GRACE PERIOD 0 SECONDS)"
    db.execute(f"""
        CREATE TABLE longer AS
          SELECT count(*) AS n, sum(total) AS total, min(closed.WINDOWSTART) - WINDOWSTART AS first
          FROM closed {window} GROUP BY WINDOWSTART EMIT FINAL
    """)
    for second in range(0, 80, 5):
        insert(db, (1, 1, second))
    assert {row[:3] for row in rows(db, "longer")} == {(0, 3, 6), (30, 3, 6)}


def test_a_window_that_closed_meets_the_table_as_it_is_then(db: Database) -> None:
    db.execute(DEFINITIONS + CLOSED + "CREATE TABLE names (k INTEGER PRIMARY KEY, name VARCHAR);")
    db.execute("CREATE STREAM named AS SELECT c.total, n.name FROM closed c JOIN names n ON c.k = n.k")
    for name, second in (("one", 1), ("two", 12), ("three", 31)):
        insert(db, (1, second, second))
        db.execute(f"INSERT INTO names VALUES (1, '{name}')")
    insert(db, (1, 60, 60))
    assert db.sql("SELECT total, name FROM named ORDER BY ROWOFFSET").fetchall() == [
        (1, "two"),
        (12, "two"),
        (31, "three"),
    ]


def test_records_of_windows_have_the_same_places_wherever_steps_end(tmp_path: Path) -> None:
    found = []
    for every in (1, 7, 100):
        with headwater.connect(tmp_path / f"{every}.hw", background=False) as db:
            db.execute(DEFINITIONS + CLOSED)
            for n in range(40):
                insert(db, *((k, n, 3 * n - 4 * (k % 3)) for k in range(5)))
                if n % every == 0:
                    db.settle()
            found.append(db.sql("SELECT * FROM closed ORDER BY ROWOFFSET").fetchall())
    assert found[0] == found[1] == found[2] and len(found[0]) > 40


def test_equal_groups_of_a_rollup_are_records_each(db: Database) -> None:
    db.execute("CREATE STREAM s (k INTEGER, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts')")
    db.execute(f"CREATE STREAM closed AS SELECT k, count(*) AS n FROM s {WINDOW} GROUP BY ROLLUP (k) EMIT FINAL")
    db.execute("INSERT INTO s VALUES (NULL, 1, '2026-01-01 00:00:01'), (1, 1, '2026-01-01 00:01:00')")
    assert rows(db, "closed") == Counter({(0, None, 1): 2})


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM s EMIT FINAL", "no WINDOW of its own"),
        (f"CREATE STREAM q AS SELECT k, count(*) AS n FROM s {WINDOW} GROUP BY k", "end it with EMIT FINAL"),
        (
            "CREATE STREAM q AS SELECT k, count(*) AS n FROM s "
            "WINDOW TUMBLING (SIZE 1 SECOND, RETENTION 2 DAYS) GROUP BY k EMIT FINAL",
            "RETENTION takes windows away again",
        ),
        (
            f"CREATE STREAM q AS SELECT DISTINCT k FROM s {WINDOW} GROUP BY k EMIT FINAL",
            "changes rows that it has given",
        ),
        (f"CREATE TABLE q WITH (idle_timeout = 'soon') AS SELECT count(*) AS n FROM s {WINDOW} GROUP BY k", "'soon'"),
        ("CREATE TABLE q WITH (idle_timeout = '1 second') AS SELECT k FROM s", "has no WINDOW"),
        ("CREATE STREAM q (k INTEGER) WITH (idle_timeout = '1 second')", "idle_timeout is about a continuous query"),
        (
            "CREATE TABLE q AS SELECT count(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND, RETENTION 1 HOUR)",
            "must not be shorter than the GRACE PERIOD, which without one is 1 day",
        ),
    ],
)
def test_what_cannot_close_is_refused(db: Database, sql: str, message: str) -> None:
    db.execute("CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts')")
    with pytest.raises(SqlError, match=message):
        db.run(sql).__next__()
    assert db.pipeline.derived() == []
