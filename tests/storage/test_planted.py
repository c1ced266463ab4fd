"""The tests are put to the test: each bug that is planted in a copy of storage must turn a named part of them red."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.storage.bugs import BUGS
from tests.storage.chosen import chosen
from tests.storage.planted import PlantedBug, copy_sources, fails, plant, run, together
from tests.thoroughness import amount

RUNS_AT_ONCE = 2
WHERE = "import headwater.storage, tests.storage.crashes as tests; print(headwater.storage.__file__, tests.__file__)"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sources")
    copy_sources(target)
    return target


@pytest.fixture(scope="module")
def is_found(request: pytest.FixtureRequest, sources: Path) -> Iterator[Mapping[PlantedBug, Future[bool]]]:
    """Whether the bugs that this session asks for are found, tried several at once."""
    with ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        yield {bug: pool.submit(_is_found, bug, sources) for bug in chosen(request, "bug")}


def _is_found(bug: PlantedBug, sources: Path) -> bool:
    planted = sources.with_name(f"{sources.name} {BUGS.index(bug)}")
    shutil.copytree(sources, planted)
    plant(bug, planted)
    found = fails(bug.found_by, planted)
    shutil.rmtree(planted)
    return found


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_tests_find_that(bug: PlantedBug, is_found: Mapping[PlantedBug, Future[bool]]) -> None:
    assert is_found[bug].result()


def test_a_copy_runs_what_is_in_it(sources: Path) -> None:
    exit_code, said = run(("-c", WHERE), sources)
    assert (exit_code, said.split()) == (
        0,
        [f"{sources}/headwater/storage/__init__.py", f"{sources}/tests/storage/crashes.py"],
    )


def test_without_a_bug_all_of_this_is_green(sources: Path) -> None:
    commands = together(bug.found_by for bug in BUGS)
    with ThreadPoolExecutor(RUNS_AT_ONCE) as pool:
        assert not any(pool.map(lambda command: fails(command, sources), commands[-amount(4, len(commands)) :]))
