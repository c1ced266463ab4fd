"""`headwater bench log` runs to the end, says what it promises, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headwater.bench.report import Figure
from headwater.bench.sample import SUMMED, orders
from headwater.bench.timing import in_turns, ratio

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--size", "2MB", "--commits", "100", "--rows", "100000", "--appends", "20", "--rounds", "1"]


def bench(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "headwater", "bench", "log", "--directory", str(directory), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_every_figure_is_printed_and_written_as_json_and_no_file_stays(tmp_path: Path) -> None:
    scratch, written = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    running = bench(scratch, *SMALL, "--json", str(written))
    output, errors = running.communicate(timeout=120)
    assert (running.returncode, errors, list(scratch.iterdir())) == (0, "", [])
    report = json.loads(written.read_text())
    assert output.startswith(f"CPU         {report['machine']['cpu']}, ")
    assert all(figure["name"] in output for figure in report["figures"])
    assert all(figure["met"] == (figure["value"] <= figure["goal"]) for figure in report["figures"] if figure["goal"])
    assert {figure["unit"] for figure in report["figures"]} == {
        "rows/s", "MB/s", "times", "ms", "bytes", "commits/s", "MB",
    }  # fmt: skip


def test_ctrl_c_leaves_no_file_behind(tmp_path: Path) -> None:
    running = bench(tmp_path)
    while not list(tmp_path.glob("*/*")):
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors, list(tmp_path.iterdir())) == (130, "", [])


@pytest.mark.parametrize("size", ["", "five", "5TB", "-1", "1 MB x"])
def test_what_is_not_a_size_is_refused_with_an_example(tmp_path: Path, size: str) -> None:
    running = bench(tmp_path, f"--size={size}")
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert f'"{size}" is not a size: write it like 500MB or 5GB' in errors


def test_a_directory_that_is_not_there_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    running = bench(tmp_path / "nowhere")
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert errors.startswith("error: the benchmark was stopped: ") and "nowhere" in errors


def test_contestants_take_turns_and_each_begins_a_round() -> None:
    calls = []

    def timed(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    taken = in_turns({"a": lambda: timed("a"), "b": lambda: timed("b")}, rounds=2)
    assert "".join(calls) == "ab" + "ba" + "ab"
    assert taken == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_ratio_compares_each_round_with_its_own() -> None:
    assert ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2.0


def test_a_goal_is_met_up_to_and_with_its_value() -> None:
    assert [Figure("", value, "ms", goal=2.0).met for value in (1.9, 2.0, 2.1)] == [True, True, False]
    assert Figure("", 1.0, "ms").met is None


def test_the_rows_are_the_same_in_every_run_and_have_twelve_columns() -> None:
    assert orders(100).equals(orders(100))
    assert orders(100).num_columns == 12
    assert set(SUMMED) < set(orders(1).schema.names)
