"""\\chart, against the engine: the right numbers at the right versions, on screens of any width."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

import headwater
from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError
from headwater.repl.charts import Sums
from headwater.repl.commands import run_command
from headwater.repl.output import Output
from headwater.repl.timeline import axis_text, chart


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("CREATE TABLE t (k BIGINT PRIMARY KEY, n BIGINT, x DOUBLE)")
        for k, n in ((1, 10), (2, 20), (1, 40)):
            opened.execute(f"INSERT INTO t VALUES ({k}, {n}, {n / 4})")
        yield opened


def drawn(database: headwater.Database, line: str) -> list[str]:
    output = Output(io.StringIO())
    run_command(database, output, line)
    assert isinstance(output.stream, io.StringIO)
    return output.stream.getvalue().splitlines()


def test_a_relation_is_drawn_over_its_versions_with_all_its_numbers(database: headwater.Database) -> None:
    lines = drawn(database, "\\chart t")
    assert [line for line in lines if ": " in line and "│" not in line] == [
        "sum(n) of t: 60", "sum(x) of t: 15", "count(*) of t: 2"]  # fmt: skip
    assert lines[1].startswith("60 │") and lines[1].endswith("█")
    assert lines[6].startswith("10 │")
    assert lines[8].lstrip().startswith("version 0 ")
    assert ", 2" in lines[8].split("version 4")[1]  # the last that wrote something


def test_columns_and_aggregates_and_queries_are_drawn(database: headwater.Database) -> None:
    assert drawn(database, "\\chart t x, max(n)")[::9] == ["sum(x) of t: 15", "max(n) of t: 40"]
    assert drawn(database, "\\chart SELECT min(n) AS low FROM t")[0] == "sum(low) of SELECT min(n) AS low FROM t: 20"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\\chart", "\\chart needs a relation or a query"),
        ("\\chart nowhere", "nowhere"),
        ("\\chart t nothing", "nothing"),
        ("\\chart t EMIT CHANGES", "needs a terminal"),
    ],
)
def test_what_cannot_be_drawn_is_said(database: headwater.Database, line: str, message: str) -> None:
    with pytest.raises(HeadwaterError) as raised:
        drawn(database, line)
    assert message in str(raised.value)


def test_sums_follow_the_changes_of_a_query(database: headwater.Database) -> None:
    subscription = database.subscribe("SELECT k, n, x FROM t")
    sums = Sums(subscription)
    assert sums.names == ["sum(n)", "sum(x)"]
    for change in ("INSERT INTO t VALUES (3, NULL, 0.5)", "DELETE FROM t WHERE k = 1", "UPDATE t SET n = -1"):
        database.execute(change)
        while (batch := subscription.poll(0)) is not None:
            sums.take(batch)
        assert sums.now == list(database.sql("SELECT coalesce(sum(n), 0), sum(x) FROM t").fetchone() or ())


def test_a_live_curve_keeps_all_of_its_time_in_a_bounded_number_of_samples(database: headwater.Database) -> None:
    sums = Sums(database.subscribe("SELECT n FROM t"))
    for number in range(5000):
        sums.now = [float(number)]
        sums.sample()
    assert len(sums.samples[0]) <= 1024
    assert sums.samples[0][0] == 0
    assert sums.every > 1


@pytest.mark.parametrize("columns", [8, 40, 300])
def test_a_chart_is_as_wide_as_its_screen(columns: int) -> None:
    for unicode in (True, False):
        lines = chart([1.0, None, 1e9], "begin", "end", 4, Screen(columns, has_unicode=unicode))
        assert max(map(len, lines)) == columns
        assert unicode or all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (1234.0, "1,234"), (0.25, "0.25"), (-3_500_000.0, "-3.5M"), (1e10, "10G"), (2e13, "20T")],
)
def test_numbers_at_an_axis_are_short(number: float, text: str) -> None:
    assert axis_text(number) == text
