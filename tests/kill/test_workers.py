"""Consumers and workers that are killed while they work: of each record one thing is made, none is lost.

`HEADWATER_KILLS=50 HEADWATER_RECORDS=100000` in the environment lets it run for longer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import headwater

KILLS = int(os.environ.get("HEADWATER_KILLS", "4"))
RECORDS = int(os.environ.get("HEADWATER_RECORDS", "4000"))
PATIENCE_SECONDS = 600


def started(directory: Path) -> subprocess.Popen[str]:
    worker = Path(__file__).with_name("workers.py")
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, str(worker), str(directory)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def test_each_record_counts_once_however_often_the_workers_are_killed(tmp_path: Path) -> None:
    directory = tmp_path / "shop.hw"
    with headwater.connect(directory) as db:
        db.execute("""
            CREATE STREAM orders (id BIGINT KEY) WITH (partitions = 4);
            CREATE STREAM bills (id BIGINT);
            CREATE STREAM parcels (id BIGINT);
            CREATE QUEUE work ON orders WITH (visibility = '1 second');
        """)
        db.append("orders", {"id": list(range(RECORDS))})
    chance = random.Random(7)
    killed = 0
    while killed < KILLS:
        with started(directory) as process:
            time.sleep(chance.uniform(0.05, 1.5))
            killed += process.poll() is None
            process.kill()
        if process.returncode == 0:
            break
    with started(directory) as process:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (out, process.returncode) == ("done\n", 0)
    with headwater.connect(directory) as db:
        for made in ("bills", "parcels"):
            ids = [row[0] for row in db.sql(f"SELECT id FROM {made} ORDER BY id").fetchall()]
            assert ids == list(range(RECORDS)), f"{made} after {killed} kills"
        assert len(db.sql("SELECT * FROM work")) == 0
    print(f"{RECORDS:,} records, {killed} kills")
