"""Rows with a line for each column, on screens of any width."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest

from headwater.engine.expanded import ExpandedWriter
from headwater.engine.render import Look, print_result
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, width
from headwater.values import Column

COLUMNS = (Column("id", "BIGINT"), Column("a name that is rather long", "VARCHAR"))


def written(screen: Screen, *rows: tuple[int, str | None]) -> list[str]:
    stream = io.StringIO()
    writer = ExpandedWriter(COLUMNS, screen, stream.write)
    arrays = [pa.array([row[0] for row in rows]), pa.array([row[1] for row in rows], pa.string())]
    writer.add(pa.RecordBatch.from_arrays(arrays, ["id", "name"]))
    writer.close()
    return stream.getvalue().splitlines()


def test_a_long_value_is_wrapped_beside_its_name() -> None:
    assert written(Screen(20), (1, "abcdefghij"), (2, None)) == [
        "── row 1 ──",
        "id         │ 1",
        "a name th… │ abcdefg",
        "           │ hij",
        "── row 2 ──",
        "id         │ 2",
        "a name th… │ NULL",
    ]


@pytest.mark.parametrize("text", ["日本語" * 20, "e\u0301" * 50, "👩‍👩‍👧 " * 20, "plain " * 30, "", "\x1b[31m" * 20])
def test_no_line_is_wider_than_the_screen_and_nothing_is_lost(text: str) -> None:
    for columns in (12, 40, 200):
        lines = written(Screen(columns), (1, text))
        assert max(map(width, lines)) <= columns
    whole = "".join(line.split("│ ", 1)[1] for line in lines[2:])
    assert whole == written(Screen(), (1, text))[2].split("│ ", 1)[1]


def test_where_the_screen_knows_ascii_only_so_does_it() -> None:
    assert all(line.isascii() for line in written(Screen(40, has_unicode=False), (1, "x")))


@pytest.mark.parametrize(("columns", "is_expanded"), [(200, False), (40, True)])
def test_auto_expands_where_a_table_would_leave_out_columns(columns: int, is_expanded: bool) -> None:
    table = pa.table({f"column_{i}": ["some text that is wide"] for i in range(5)})
    stream = io.StringIO()
    result = Result(tuple(Column(name, "VARCHAR") for name in table.column_names), table)
    print_result(result, stream=stream, look=Look(expanded=None, screen=Screen(columns)))
    assert ("── row 1 ──" in stream.getvalue()) is is_expanded


def test_of_very_many_rows_the_widths_are_known_before_the_first_is_written() -> None:
    rows = 30_000
    table = pa.table({"n": range(rows), "text": ["x" * (30 if i == 20_000 else 3) for i in range(rows)]})
    written: list[str] = []
    stream = io.StringIO()
    result = Result((Column("n", "BIGINT"), Column("text", "VARCHAR")), table)
    print_result(result, stream=stream, look=Look(screen=Screen(80)))
    written = stream.getvalue().splitlines()
    assert len({len(line) for line in written[:-1]}) == 1
    assert sum(line.startswith("├") for line in written) == 1
