"""`headwater generate`: the same seed, the same rows; as many as were asked for, when they were."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

import headwater
from headwater.repl.generate import run
from headwater.repl.sample_data import SAMPLES


@pytest.mark.parametrize("name", ["orders", "clickstream", "nexmark"])
def test_rows_follow_from_the_seed(name: str) -> None:
    def first(seed: int) -> list[object]:
        return [(relation, rows.to_pydict()) for relation, rows in islice(SAMPLES[name].rows(seed), 3)]

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("name", ["orders", "clickstream", "nexmark"])
def test_rows_fit_the_relations_that_they_are_for(name: str, tmp_path: Path) -> None:
    assert run([name, str(tmp_path / "db"), "--count", "1500"]) == 0
    with headwater.connect(tmp_path / "db") as db:
        counts = [db.sql(f"SELECT count(*) FROM {relation.name}").fetchall()[0][0] for relation in db.relations()]
    assert sum(counts) == 1500 and min(counts) > 0


def test_rows_as_text_are_as_many_as_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run(["orders", "--count", "3", "--format", "csv"])
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == "id,customer,item,quantity,amount,country,status,at"
    assert len(printed.out.splitlines()) == 4
    assert printed.err.startswith("3 rows in ")


@pytest.mark.parametrize(("rate", "size"), [([], 10_000), (["--rate", "0.01"], 0)])
def test_ctrl_c_says_what_was_written_and_keeps_it(rate: list[str], size: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "headwater", "generate", "orders", str(tmp_path / "db"), *rate],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(size, tmp_path / "db", process)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    said = re.fullmatch(r"([\d,]+) rows in [\d.]+ s, [\d,]+ a second\n", output)
    assert said is not None
    rows = int(said[1].replace(",", ""))
    assert rows > 0 or size == 0
    with headwater.connect(tmp_path / "db") as db:
        assert db.sql("SELECT count(*) FROM orders").fetchall() == [(rows,)]


def test_ctrl_c_at_a_terminal(tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    arguments = ["-m", "headwater", "generate", "clickstream", str(tmp_path / "db"), "--rate", "500"]
    with pexpect.spawn(sys.executable, arguments, encoding="utf-8", timeout=60) as terminal:
        wait_for(10_000, tmp_path / "db", terminal)
        terminal.sendintr()
        terminal.expect(r"[\d,]+ rows in [\d.]+ s")
        terminal.expect(pexpect.EOF)
        assert "Traceback" not in terminal.before


def wait_for(size: int, directory: Path, process: Any) -> None:
    while not directory.exists() or sum(file.stat().st_size for file in directory.rglob("*.log")) < size:
        assert getattr(process, "exitstatus", None) is None and getattr(process, "returncode", None) is None
        time.sleep(0.05)


def test_rows_do_not_come_before_their_time(capsys: pytest.CaptureFixture[str]) -> None:
    started = perf_counter()
    run(["orders", "--count", "200", "--rate", "1000"])
    assert perf_counter() - started >= 0.2
    assert len(capsys.readouterr().out.splitlines()) == 200
