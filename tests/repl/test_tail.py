"""`headwater tail`: SQL over a file or a pipe, by the program itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

LINES = '{"level": "info", "ms": 1}\n{"level": "error", "ms": 2}\n{"level": "info", "ms": 3}\n'


def tail(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headwater", "tail", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(LINES)
    return path


@pytest.mark.parametrize("name", ["", "FROM tail", "FROM stdin"])
def test_a_file_is_answered_whatever_the_query_calls_it(log: Path, name: str) -> None:
    answer = tail(log, f"SELECT level, sum(ms) AS ms {name} GROUP BY level ORDER BY level", "--format", "csv")
    assert (answer.stdout, answer.stderr, answer.returncode) == ("level,ms\nerror,2\ninfo,4\n", "", 0)


def test_a_pipe_is_answered_at_its_end() -> None:
    answer = tail("-", "SELECT level, count(*) AS n GROUP BY level ORDER BY level", "--format", "csv", given=LINES)
    assert answer.stdout == "level,n\nerror,1\ninfo,2\n"


def test_rows_of_a_pipe_are_shown_while_it_is_open() -> None:
    command = [sys.executable, "-m", "headwater", "tail", "-", "SELECT ms WHERE level = 'info'", "--format", "ndjson"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for ms in (1, 2):
            process.stdin.write(f'{{"level": "info", "ms": {ms}}}\n')
            process.stdin.flush()
            assert process.stdout.readline() == f'{{"ms": {ms}}}\n'
        process.stdin.write('{"level": "info", "ms": 3}')  # without an end of line
        process.stdin.close()
        assert process.stdout.read() == '{"ms": 3}\n'
    assert process.returncode == 0


def test_a_file_that_grows_is_followed_until_ctrl_c(log: Path) -> None:
    command = [sys.executable, "-m", "headwater", "tail", "-f", log, "SELECT ms", "--format", "ndjson"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == [f'{{"ms": {ms}}}\n' for ms in (1, 2, 3)]
        with log.open("a") as file:
            file.write('{"ms": 4}\n')
        assert process.stdout.readline() == '{"ms": 4}\n'
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_lines_that_do_not_fit_are_counted() -> None:
    first = "".join(f'{{"n": {i}}}\n' for i in range(100_000))  # more than the types are told by
    answer = tail("-", "SELECT count(*) AS n", "--format", "csv", given=first + '{"n": "x"}\nnope\n')
    assert answer.stdout == "n\n100000\n"
    assert answer.stderr == """2 lines were left out: cannot read 'x' as BIGINT for column "n": {"n": "x"}\n"""


def test_csv_is_told_by_its_first_byte() -> None:
    assert tail("-", "--format", "ndjson", given="a,b\n1,x\n").stdout == '{"a": 1, "b": "x"}\n'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope.jsonl",), "there is no file 'nope.jsonl'"),
        (("{log}", "SELECT levl"), 'did you mean "level"?'),
        (("{log}", "DROP STREAM tail"), "only a query can be asked of a file"),
    ],
)
def test_what_cannot_be_asked_is_said(log: Path, arguments: tuple[str, ...], message: str) -> None:
    answer = tail(*(argument.replace("{log}", str(log)) for argument in arguments))
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 1


def test_an_empty_pipe_has_no_rows() -> None:
    assert tail("-", given="").stdout == ""
