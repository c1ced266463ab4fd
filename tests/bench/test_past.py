"""`headwater bench past` runs to the end, and says what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.bench import past
from headwater.bench.past_worker import QUESTIONS, SHARES

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headwater", "bench", "past", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_every_figure_is_printed_and_written_as_json_and_no_file_stays(tmp_path: Path) -> None:
    scratch, written = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    small = ("--keys", "100", "--changes", "55000,27500", "--rounds", "2")
    done = bench(*small, "--directory", str(scratch), "--json", str(written))
    assert (done.returncode, done.stderr, list(scratch.iterdir())) == (0, "", [])
    names = [figure["name"] for figure in json.loads(written.read_text())["figures"]]
    assert all(name in done.stdout for name in names)
    for question in QUESTIONS:
        assert names.count(f"{question}, now") == 2, "after each number of changes"
        assert names.count(f"{question}, cold, CPU growth") == 1
        assert all(names.count(f"{question}, {share}") == 2 for share in SHARES)
    assert names.count("all rows, 99 %, to now") == names.count("all rows, DuckDB") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--keys=0", '"0" is not a list of numbers of at least 1: write it like 100000,1000000'),
        ("--changes=1000000,many", '"1000000,many" is not a list of numbers of at least 27,500'),
    ],
)
def test_what_is_not_a_list_of_numbers_is_refused_with_an_example(
    capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    with pytest.raises(SystemExit):
        past.main([arguments])
    assert message in capsys.readouterr().err
