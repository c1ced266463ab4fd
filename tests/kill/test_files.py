"""A process that follows growing files is killed at random moments: each line of the files is in the stream once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import headwater

ROOT = Path(__file__).resolve().parents[2]
KILLS, SEED = 4, 20260711


class Files:
    """Files that grow, in pieces that end anywhere, and are rotated. `lines` are all that were begun."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self._directory = directory
        self._chance = chance
        self._rest = {n: "" for n in range(3)}
        self.lines: list[tuple[int, int, str]] = []
        self.bad = 0

    def grow(self) -> None:
        """Write to one of the files; now and then, give it another name, so that a new one begins."""
        number = self._chance.randrange(3)
        path = self._directory / f"{number}.jsonl"
        text = self._rest[number] + "".join(self._line(number) for _ in range(self._chance.choice((0, 1, 5, 300))))
        cut = self._chance.randint(0, len(text))
        with path.open("a") as file:
            file.write(text[:cut])
        self._rest[number] = text[cut:]
        if text[:cut].endswith("\n") and self._chance.random() < 0.1:
            path.rename(f"{path}.{len(self.lines)}")

    def finish(self) -> None:
        """Write what is left."""
        for number, text in self._rest.items():
            with (self._directory / f"{number}.jsonl").open("a") as file:
                file.write(text)

    def _line(self, number: int) -> str:
        if self._chance.random() < 0.01:
            self.bad += 1
            return f'{{"bad": {self.bad}\n'
        line = (number, len(self.lines), "x" * self._chance.randrange(40))
        self.lines.append(line)
        return f'{{"file": {line[0]}, "n": {line[1]}, "text": "{line[2]}"}}\n'


def test_each_line_is_there_once_whenever_the_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    inputs, directory = tmp_path / "in", tmp_path / "db.hw"
    inputs.mkdir()
    files = Files(inputs, chance)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("follower.py"), directory, inputs / "*.jsonl*"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(chance.randrange(60)):
                files.grow()
                time.sleep(chance.choice((0, 0, 0.002)))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        files.grow()
    files.finish()
    with headwater.connect(directory) as database:
        database.settle()
        assert sorted(database.sql("SELECT * FROM lines").fetchall()) == sorted(files.lines)
        assert len(database.sql("SELECT * FROM lines_errors")) == files.bad
        counts = {number: sum(line[0] == number for line in files.lines) for number in range(3)}
        assert dict(database.sql("SELECT * FROM counts").fetchall()) == counts
        assert files.bad > 0
