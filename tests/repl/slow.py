"""A shell whose database is opened as a pipe says: how much of it is replayed, line by line, and then `open`; or
`never`, to go on without end.
"""

from __future__ import annotations

import sys
import time

from headwater.engine.database import Database, connect
from headwater.progress import task
from headwater.repl.shell import run_shell


def main(pipe: str) -> None:
    def opened() -> Database:
        with open(pipe, encoding="utf-8") as lines, task("replaying") as tell:
            while (line := lines.readline().strip()) != "open":
                while line == "never":
                    tell(99, 100)
                    time.sleep(0.01)
                tell(int(line), 100)
        return connect()

    run_shell(opened, "shop.hw", sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
