"""`headwater generate`: the same seed, the same rows; as many as were asked for, when they were."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from time import perf_counter

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


def test_rows_do_not_come_before_their_time(capsys: pytest.CaptureFixture[str]) -> None:
    started = perf_counter()
    run(["orders", "--count", "200", "--rate", "1000"])
    assert perf_counter() - started >= 0.2
    assert len(capsys.readouterr().out.splitlines()) == 200
