"""`headwater bench state` runs to the end, and says what it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.bench.state_worker import CASES, measure_steps

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headwater", "bench", "state", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_every_figure_is_printed_and_written_as_json_and_no_file_stays(tmp_path: Path) -> None:
    scratch, written = tmp_path / "scratch", tmp_path / "figures.json"
    scratch.mkdir()
    small = ("--keys", "2000,1000", "--steps", "3", "--rows", "3", "--queries", "1,3")
    done = bench(*small, "--directory", str(scratch), "--json", str(written))
    assert (done.returncode, done.stderr, list(scratch.iterdir())) == (0, "", [])
    names = [figure["name"] for figure in json.loads(written.read_text())["figures"]]
    assert all(name in done.stdout for name in names)
    for case in CASES:
        assert f"{case}, 2,000 keys: latency to fewest" in names
        assert f"{case}, 1,000 keys: latency to fewest" not in names
    assert names[-2:] == ["3 running queries, p50", "3 running queries, p99"]


@pytest.mark.parametrize("case", CASES)
def test_more_keys_take_more_memory(case: str) -> None:
    few, many = (measure_steps(case, keys, steps=2, seed=1) for keys in (1_000, 10_000))
    assert len(few.seconds) == len(few.cpu_seconds) == 2
    assert 0 < 2 * few.state_bytes < many.state_bytes
    assert min(few.longest_beside, few.longest_after, few.checkpoint_seconds) > 0


@pytest.mark.parametrize("keys", ["", "many", "1000,", "999"])
def test_what_is_not_a_list_of_numbers_is_refused_with_an_example(keys: str) -> None:
    done = bench(f"--keys={keys}")
    assert done.returncode == 2
    assert f'"{keys}" is not a list of numbers of at least 1,000: write it like 100000,1000000' in done.stderr
