"""`headwater bench feedback` runs to the end, and says what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_figure_is_printed_and_no_file_stays(tmp_path: Path) -> None:
    options = ["--rounds", "20", "--directory", str(tmp_path)]
    command = [sys.executable, "-m", "headwater", "bench", "feedback", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (0, "", [])
    assert all(name in done.stdout for name in ("a bare write", "rounds of 1 row", "rounds of 1,000 rows"))
