"""A table folded from the log is what a circuit makes of the log from its first record on, at every version.

HEADWATER_CASES sets how many random databases are tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from headwater.engine.outputs import content_digest
from headwater.engine.past import Past
from headwater.engine.stored import stored_at
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.keys import row_words
from tests.executor.differential import Case
from tests.executor.limits import limits_of

CASES = max(3, int(os.environ.get("HEADWATER_CASES", "50")) // 16)
STEPS = 8


@pytest.fixture(autouse=True)
def limits(seed: int) -> Iterator[None]:
    with limits_of(seed):
        yield


def lived(seed: int) -> Case:
    case = Case(seed)
    for _ in range(STEPS):
        case.step()
    return case


def digest(rows: pa.RecordBatch) -> int:
    return content_digest(row_words(rows), np.ones(rows.num_rows, dtype=np.int64))


def compare(case: Case) -> int:
    """Compares the past of all tables at all versions; gives how many answers were folded."""
    log, past, folded = case.db.log, Past(case.db.log), 0
    for relation in case.db.pipeline.catalog.ordered():
        if relation.is_stream:
            continue
        circuit = Circuit([relation.content()])
        for version in range(log.version + 1):
            cut = Cut(version)
            circuit.advance(log, cut)
            expected = circuit.rows(relation.content())
            found = past.rows(relation.content(), relation, cut).combine_chunks()
            rows = found.to_batches()[0] if len(found) else pa.RecordBatch.from_pylist([], schema=found.schema)
            assert found.num_rows == expected.num_rows and digest(rows) == digest(expected), (
                f"seed {case.seed}, {relation.definition} as of version {version}:\n{found.to_pylist()}\n"
                f"{expected.to_pylist()}"
            )
            folded += stored_at(log, relation, cut) is not None
    return folded


@pytest.mark.parametrize("seed", range(5000, 5000 + CASES))
def test_at_every_version_a_table_is_what_a_circuit_makes_of_the_log(seed: int) -> None:
    assert compare(lived(seed)) > 0
