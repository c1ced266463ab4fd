"""Where rows go and how they look: \\o, \\copy, \\x, and formats that are not text."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import headwater
from headwater.errors import HeadwaterError
from headwater.repl.command_lines import run_script
from headwater.repl.output import Output
from headwater.repl.settings import Settings


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("CREATE STREAM s (a BIGINT, b VARCHAR); INSERT INTO s VALUES (1, 'x'), (2, NULL)")
        yield opened


def run(database: headwater.Database, script: str, settings: Settings | None = None) -> str:
    output = Output(io.StringIO(), settings or Settings.of_script())
    run_script(database, output, script)
    output.close()
    assert isinstance(output.stream, io.StringIO)
    return output.stream.getvalue()


def test_rows_go_to_a_file_in_the_format_of_its_name_until_they_do_not(
    database: headwater.Database, tmp_path: Path
) -> None:
    said = run(database, f"\\o {tmp_path}/s.csv\nSELECT * FROM s;\nCREATE STREAM t (x INT);\n\\o\nSELECT 1 AS one;")
    assert (tmp_path / "s.csv").read_text() == "a,b\n1,x\n2,\n"
    assert said.startswith("created stream t\n")
    assert "one" in said


def test_rows_go_to_a_command(database: headwater.Database, tmp_path: Path) -> None:
    run(database, f"\\o |sort -r > {tmp_path}/sorted\nSELECT * FROM s;", Settings.of_script("csv"))
    assert (tmp_path / "sorted").read_text() == "a,b\n2,\n1,x\n"


def test_changes_go_to_a_file_as_they_come(database: headwater.Database, tmp_path: Path) -> None:
    run(database, f"\\o {tmp_path}/s.arrow\nSELECT a, count(*) AS n FROM s GROUP BY a EMIT CHANGES LIMIT 2;")
    assert pa.ipc.open_file(tmp_path / "s.arrow").read_all().to_pylist() == [
        {"_op": "+", "_version": database.version, "a": 1, "n": 1},
        {"_op": "+", "_version": database.version, "a": 2, "n": 1},
    ]


def test_copy_writes_a_relation_or_a_query_in_any_format(database: headwater.Database, tmp_path: Path) -> None:
    said = run(database, f"\\copy s to {tmp_path}/s.parquet\n\\copy (SELECT a FROM s) TO '{tmp_path}/a b' format json")
    assert parquet.read_table(tmp_path / "s.parquet").to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert (tmp_path / "a b").read_text() == '[{"a": 1},\n{"a": 2}]\n'
    assert said.count("copied 2 rows to ") == 2


def test_a_copy_that_fails_leaves_the_file_as_it_was(database: headwater.Database, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    file.write_text("before")
    with pytest.raises(HeadwaterError, match="Parquet cannot hold"):
        run(database, f"\\copy (SELECT INTERVAL 1 DAY AS i) to {file}")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\\o /no/such/place", 'cannot write "/no/such/place": No such file or directory'),
        ("\\copy s to /no/such/place", 'cannot write "/no/such/place'),
        ("\\copy s", "\\copy takes what to copy, TO or FROM, and a file"),
        ("\\copy (SELECT a FROM s to x", "\\copy takes what to copy"),
        ("\\copy s to x format excel", "there is no format excel"),
        ("\\x maybe", 'expanded takes on, off or auto, not "maybe"'),
    ],
)
def test_what_is_wrong_is_said(database: headwater.Database, line: str, message: str) -> None:
    with pytest.raises(HeadwaterError) as raised:
        run(database, line)
    assert message in str(raised.value)


def test_expanded_rows_have_a_line_for_each_column(database: headwater.Database) -> None:
    assert run(database, "\\x\nSELECT * FROM s;\n\\x off\n") == (
        "expanded is on\n── row 1 ──\na │ 1\nb │ x\n── row 2 ──\na │ 2\nb │ NULL\n2 rows\nexpanded is off\n"
    )


def test_null_is_shown_as_the_user_says(database: headwater.Database) -> None:
    assert "│ 2 │ ∅ │" in run(database, "\\set null ∅\nSELECT * FROM s;")


def test_rows_in_arrow_go_through_a_pipe_and_a_second_result_is_refused() -> None:
    command = [sys.executable, "-m", "headwater", "--format", "arrow", "-c", "SELECT 1 AS x; SELECT 2 AS x"]
    done = subprocess.run(command, capture_output=True, cwd=Path(__file__).resolve().parents[2])
    assert pa.ipc.open_stream(done.stdout).read_all().to_pylist() == [{"x": 1}]
    assert b"standard output has the rows of a statement already" in done.stderr
    assert done.returncode == 1
