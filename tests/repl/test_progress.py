"""What is told of long work, and how it is shown."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import headwater
from headwater.executor.feed import STEP_ROWS
from headwater.progress import task, watched
from headwater.repl.progress import Bar, Progress

Told = list[tuple[str, int, int]]


def told_of(action: object, *arguments: object) -> Told:
    told: Told = []
    with watched(lambda what, done, total: told.append((what, done, total))):
        assert callable(action)
        action(*arguments)
    return told


@pytest.fixture
def database(tmp_path: Path) -> Iterator[headwater.Database]:
    with headwater.connect(tmp_path / "db", background=False) as opened:
        opened.execute("CREATE STREAM s (x BIGINT)")
        for _ in range(4):
            opened.append("s", pa.table({"x": pa.array(np.arange(STEP_ROWS))}))
        yield opened


def test_a_new_query_tells_how_much_of_the_log_it_has_read(database: headwater.Database) -> None:
    told = told_of(database.execute, "CREATE TABLE t AS SELECT count(*) AS n FROM s")
    assert {what for what, _, _ in told} == {"backfilling"}
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})
    assert all(0 < done < total == 5 for _, done, total in told)


def test_a_question_about_the_past_tells_what_it_replays(database: headwater.Database) -> None:
    told = told_of(database.sql, "SELECT count(*) FROM s AS OF VERSION 4")
    assert told == []  # nothing is replayed for a stream
    database.execute("CREATE TABLE t AS SELECT x % 10 AS k, count(*) AS n FROM s GROUP BY k")
    told = told_of(database.sql, "SELECT * FROM t AS OF VERSION 4")
    assert {what for what, _, _ in told} == {"replaying"}
    assert told[-1][1] == told[-1][2] == 4


def test_work_inside_of_other_work_is_not_told() -> None:
    def work() -> None:
        with task("outer") as tell:
            with task("inner") as tell_inner:
                tell_inner(1, 2)
            tell(1, 1)

    assert told_of(work) == [("outer", 1, 1)]
    work()  # with nobody watching


class Terminal(io.StringIO):
    """A stream that looks like a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_bar_shows_the_share_the_rate_and_the_time_left_once_it_has_taken_a_while() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress("replaying", 1, 4)
    assert stream.getvalue() == ""
    bar = progress._bars["replaying"]
    bar._begun -= 2.0
    bar._due_at -= 2.0
    progress("replaying", 2, 4)
    assert "replaying █" in stream.getvalue()
    assert " 50% of 4 versions · 1/s · 2 s left" in stream.getvalue()
    progress.clear()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Bar(stream, "checking") as bar:
        bar._due_at = 0.0
        bar.update(1, 2)
    assert stream.getvalue() == ""
