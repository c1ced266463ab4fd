"""A loop of queries that is killed while it goes round comes to what it would have come to.

HEADWATER_KILLS sets how often it is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import headwater
from tests.engine.loops import RETRIES, logged, written

KILLS = int(os.environ.get("HEADWATER_KILLS", "3"))
BATCHES = 5 * KILLS  # of three jobs

# One program that has imported everything forks a process for each attempt, and kills it at a random moment.
PROGRAM = """
import os, random, signal, sys, time, headwater
from headwater.engine import database
from headwater.parser import parse

def work(directory, batches):
    with headwater.connect(directory) as db:
        os.write(1, b"at work\\n")
        for first in range(db.sql("SELECT count(*) FROM jobs WHERE tries = 0").fetchone()[0], 3 * batches, 3):
            db.append("jobs", [{"id": id, "tries": 0, "work": id % 7} for id in range(first, first + 3)])
        db.settle()

parse("SELECT 1")
directory, batches, kills = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance, killed = random.Random(3), 0
for attempt in range(kills + 1):
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.dup2(writing, 1)
        work(directory, batches)
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 8) == b"at work\\n"
    os.close(reading)
    if attempt < kills:
        time.sleep(chance.uniform(0, 0.1))
        os.kill(process, signal.SIGKILL)
    killed += os.waitpid(process, 0)[1] == signal.SIGKILL
print(killed)
"""


def test_a_loop_that_is_killed_comes_to_what_it_would_have_come_to(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    directory = tmp_path / "loop.hw"
    with headwater.connect(directory) as db:
        db.execute(RETRIES)
    command = [sys.executable, "-c", PROGRAM, str(directory), str(BATCHES), str(KILLS)]
    killed = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600).stdout)
    record_property("kills", killed)
    assert killed > 0
    with headwater.connect(directory) as db:
        found = written(db)
    assert found == logged([[(id, id % 7) for id in range(3 * n, 3 * n + 3)] for n in range(BATCHES)]), (
        f"after {killed} kills"
    )
