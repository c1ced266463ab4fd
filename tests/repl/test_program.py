"""The command `headwater` as a script runs it: arguments, standard input, output, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "headwater"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}

BIDS = "CREATE STREAM bids (auction BIGINT, price DOUBLE); INSERT INTO bids VALUES (1, 10.5), (2, NULL);"


def headwater(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], input=stdin, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=60
    )


def test_sql_from_an_argument_prints_a_table_without_escape_codes() -> None:
    done = headwater("-c", "SELECT 1 AS one, 'x' AS letter")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == (
        "┌─────┬────────┐\n"
        "│ one │ letter │\n"
        "├─────┼────────┤\n"
        "│   1 │ x      │\n"
        "└─────┴────────┘\n"
        "1 row\n"
    )  # fmt: skip


def test_sql_comes_from_a_file_or_from_standard_input(tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_text("SELECT 'ü' AS a;\n-- the second\nSELECT 2 AS b;\n", encoding="utf-8")
    assert headwater("--format", "ndjson", "-f", script).stdout == '{"a": "ü"}\n{"b": 2}\n'
    assert headwater("--format", "ndjson", stdin=script.read_text(encoding="utf-8")).stdout == '{"a": "ü"}\n{"b": 2}\n'


def test_an_empty_script_does_nothing_well() -> None:
    done = headwater(stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("format", "output"),
    [
        ("csv", "auction,price\n1,10.5\n2,\n"),
        ("json", '[{"auction": 1, "price": 10.5},\n{"auction": 2, "price": null}]\n'),
        ("ndjson", '{"auction": 1, "price": 10.5}\n{"auction": 2, "price": null}\n'),
    ],
)
def test_in_a_format_for_programs_standard_output_has_nothing_but_rows(format: str, output: str) -> None:
    done = headwater("--format", format, "-c", f"{BIDS} SELECT * FROM bids ORDER BY auction")
    assert done.stdout == output
    assert "bids" in done.stderr


def test_a_directory_keeps_what_one_run_wrote_for_the_next(tmp_path: Path) -> None:
    headwater(tmp_path / "shop.hw", "-c", BIDS)
    done = headwater(tmp_path / "shop.hw", "--format", "csv", "-c", "SELECT count(*) AS n FROM bids")
    assert done.stdout == "n\n2\n"


def test_an_error_in_sql_exits_with_1_and_points_at_it() -> None:
    done = headwater("-c", "SELECT 1 AS fine;\nSELECT * FROM nowhere;\nSELECT 3 AS unreached")
    assert done.returncode == 1
    assert "fine" in done.stdout
    assert "unreached" not in done.stdout
    assert done.stderr.startswith("error: ")
    assert "2 | SELECT * FROM nowhere;\n  |               ^^^^^^^\n" in done.stderr


def test_statements_before_an_error_stay_done(tmp_path: Path) -> None:
    headwater(tmp_path / "shop.hw", "-c", f"{BIDS} SELECT * FROM nowhere")
    assert headwater(tmp_path / "shop.hw", "--format", "csv", "-c", "SELECT count(*) AS n FROM bids").stdout == "n\n2\n"


def test_a_path_that_is_no_database_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("dear reader")
    done = headwater(file, "-c", "SELECT 1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["--format", "xml"],
        ["-c", "SELECT 1", "-f", "also.sql"],
        ["-f", "no/such/file.sql"],
        ["one.hw", "two.hw"],
        ["demo", "one.hw", "two.hw"],
    ],
)
def test_wrong_usage_exits_with_2_and_shows_the_usage(arguments: list[str]) -> None:
    done = headwater(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: headwater")


def test_help_has_examples_and_version_names_the_program() -> None:
    assert "examples:" in headwater("--help").stdout
    assert headwater("--version").stdout.startswith("headwater")


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "--format", "csv", "-c", "SELECT unnest(range(1000000)) AS n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"n\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_output_that_the_terminal_cannot_encode_is_written_out() -> None:
    done = subprocess.run(
        [*COMMAND, "-c", "SELECT 'ü' AS a"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert done.stdout == b"+---+\n| a |\n+---+\n| \\xfc |\n+---+\n1 row\n"


def test_a_continuous_query_with_a_limit_ends_by_itself() -> None:
    done = headwater("--format", "ndjson", "-c", f"{BIDS} SELECT auction FROM bids EMIT CHANGES LIMIT 2")
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"auction": 1}, {"auction": 2}]


def test_changes_that_can_be_taken_back_carry_their_sign_and_version() -> None:
    query = "SELECT count(*) AS n FROM bids EMIT CHANGES LIMIT 1"
    done = headwater("--format", "ndjson", "-c", f"{BIDS} {query}")
    change = json.loads(done.stdout)
    assert change.pop("_version") > 0
    assert change == {"_op": "+", "n": 2}
    assert "│ op │ n │" in headwater("-c", f"{BIDS} {query}").stdout


@pytest.mark.parametrize("format", ["table", "json"])
def test_an_interrupt_ends_the_continuous_query_and_the_script_goes_on(format: str) -> None:
    script = f"{BIDS} SELECT auction FROM bids EMIT CHANGES; SELECT 'after' AS word"
    with subprocess.Popen(
        [*COMMAND, "--format", format, "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        seen = ""
        while "2" not in seen.partition("auction")[2]:
            character = process.stdout.read(1)
            assert character, process.stderr.read()
            seen += character
        process.send_signal(signal.SIGINT)
        seen += process.stdout.read()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0
    if format == "json":
        assert seen == '[{"auction": 1},\n{"auction": 2}]\n[{"word": "after"}]\n'
    else:
        assert "2 changes\n" in seen and "after" in seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_query_that_runs_in_duckdb(number: int, code: int) -> None:
    endless = "SELECT sum(x) FROM (SELECT a.range * b.range AS x FROM range(100000000) a, range(100000) b)"
    with subprocess.Popen(
        [*COMMAND, "-c", f"SELECT 'begun' AS word; {endless}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        while "1 row" not in process.stdout.readline():
            pass
        time.sleep(0.5)  # until DuckDB has it, or else the signal comes a little earlier
        process.send_signal(number)
        assert process.wait(60) == code, process.stderr.read()
