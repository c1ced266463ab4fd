"""`headwater bench pipelines` runs to the end, and says what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_figure_is_printed_and_no_file_stays(tmp_path: Path) -> None:
    options = ["--rows", "20000", "--directory", str(tmp_path)]
    command = [sys.executable, "-m", "headwater", "bench", "pipelines", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (0, "", [])
    assert [done.stdout.count(unit) for unit in ("rows/s", " ms", " times")] == [3, 3, 3]
