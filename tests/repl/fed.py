"""A shell on a database in memory that also takes statements from a pipe, while the user does something else."""

from __future__ import annotations

import sys
import threading

import headwater
from headwater.repl.shell import run_shell


def main(pipe: str) -> None:
    with headwater.connect() as database:

        def feed() -> None:
            with open(pipe, encoding="utf-8") as lines:
                for line in lines:
                    database.execute(line)

        threading.Thread(target=feed, daemon=True).start()
        run_shell(lambda: database, None, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
