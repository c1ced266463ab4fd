"""The process that is killed: follows the files of a directory until then.

python follower.py DIRECTORY PATTERN
"""

from __future__ import annotations

import sys

import headwater


def main(directory: str, pattern: str) -> None:
    with headwater.connect(directory) as database:
        database.execute(f"""
            CREATE STREAM IF NOT EXISTS lines (file INTEGER, n INTEGER, text VARCHAR)
                WITH (connector = 'file', path = '{pattern}', follow = true, poll = '1 millisecond');
            CREATE TABLE IF NOT EXISTS counts AS SELECT file, count(*) AS n FROM lines GROUP BY file;
        """)
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
