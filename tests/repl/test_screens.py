"""What results and continuous queries look like at a real pseudo-terminal, as screens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tests.repl.terminal import CTRL_C, ENTER, RIGHT, Terminal

WIDE = "SELECT 1 AS n, '日本語 and more' AS word, NULL::TEXT AS nothing, repeat('long ', 20) AS text, 2.5e0 AS price;"


@contextmanager
def opened(terminal: Terminal) -> Iterator[Terminal]:
    try:
        terminal.until("headwater>")
        yield terminal
    finally:
        terminal.close()


def test_a_result_fits_any_width_and_is_expanded_where_it_does_not(tmp_path: Path) -> None:
    with opened(Terminal(tmp_path)) as terminal:
        terminal.type("\\timing", ENTER, WIDE, ENTER)
        terminal.until_lines(
            "│       n │ word            │ nothing │ text                                              │  price │",
            "│ INTEGER │ VARCHAR         │ VARCHAR │ VARCHAR                                           │ DOUBLE │",
        )
        terminal.until_lines("1 row")
        terminal.resize(40, 20)
        terminal.until("headwater>")
        terminal.type(WIDE, ENTER)
        terminal.until_lines("1 row")
        assert max(map(len, terminal.text.splitlines())) <= 40
        assert "│ …" in terminal.text
        terminal.type("\\x auto", ENTER, WIDE, ENTER)
        terminal.until_lines(
            "── row 1 ──",
            "n       │ 1",
            "word    │ 日本語 and more",
            "nothing │ NULL",
            "text    │ long long long long long long",
            "        │ long long long long long long",
            "        │ long long long long long long",
            "        │ long long",
            "price   │ 2.5",
            "1 row",
        )
        terminal.type(f"\\o {tmp_path}/rows.csv", ENTER, "SELECT 1 AS one;", ENTER)
        terminal.until("1 row to ")
        assert (tmp_path / "rows.csv").read_text() == "one\n1\n"


def test_what_is_longer_than_the_screen_is_shown_by_the_pager(tmp_path: Path) -> None:
    with opened(Terminal(tmp_path)) as terminal:
        terminal.type("SELECT unnest(range(100000)) AS n;", ENTER)
        terminal.until("│     30 │\n")
        terminal.until("\n:")
        terminal.type("G")
        terminal.until("│  99999 │\n")
        terminal.until("100,000 rows (")
        terminal.type(CTRL_C, "q")
        terminal.until("headwater>")
        terminal.type("SELECT unnest(range(100000)) AS n;", ENTER)
        terminal.until("│     30 │\n")
        terminal.type("q", "\\set pager off", ENTER, "SELECT unnest(range(50)) AS n;", ENTER)
        terminal.until("50 rows, the first 40 shown (")
        terminal.until("headwater>")


class Fed(Terminal):
    """A terminal with a shell whose database others change, too."""

    def __init__(self, home: Path) -> None:
        pipe = home / "pipe"
        os.mkfifo(pipe)
        super().__init__(home, str(pipe), module="tests.repl.fed")
        self._pipe: TextIO = pipe.open("w")

    def feed(self, sql: str) -> None:
        print(sql, file=self._pipe, flush=True)

    def close(self) -> None:
        self._pipe.close()
        super().close()


def test_a_table_is_updated_in_place_until_ctrl_c_which_leaves_it_there(tmp_path: Path) -> None:
    terminal = Fed(tmp_path)
    with opened(terminal):
        terminal.feed("CREATE TABLE t (k VARCHAR PRIMARY KEY, n BIGINT); INSERT INTO t VALUES ('a', 7), ('b', 5)")
        terminal.until("version 2")
        terminal.type("\\timing", ENTER)
        terminal.until("timing is off")
        terminal.resize(60, 14)
        terminal.type("SELECT k, n FROM t EMIT CHANGES;", ENTER)
        terminal.until_lines(
            "┌───┬─────┬───┐",
            "│   │ k ▲ │ n │",
            "├───┼─────┼───┤",
            "│   │ a   │ 7 │",
            "│   │ b   │ 5 │",
            "└───┴─────┴───┘",
        )
        terminal.until("left right: sort by · r: reverse · up down: scroll · q: end")
        terminal.feed("INSERT INTO t VALUES ('b', 6), ('c', 1)")
        terminal.until_lines(
            "│   │ a   │  7 │",
            "│ * │ b   │ *6 │",
            "│ + │ c   │  1 │",
        )
        assert terminal.text.count("│ a ") == 1
        terminal.until_lines("│   │ a   │  7 │", "│   │ b   │  6 │", "│   │ c   │  1 │")
        terminal.type(RIGHT, "r")
        terminal.until_lines("│   │ k   │ n ▼ │", "├───┼─────┼─────┤", "│   │ a   │   7 │", "│   │ b   │   6 │")
        terminal.resize(40, 10)
        terminal.until_lines("│   │ a   │   7 │", "│   │ b   │   6 │", "└───┴─────┴─────┘", "… 1 more")
        terminal.until("\nq: end")
        terminal.type(CTRL_C)
        terminal.until("3 rows · 5 changes in ")
        terminal.until("\nheadwater>")
        assert "q: end" not in terminal.text
        terminal.resize(40, 30)
        terminal.type("SELECT sum(n) AS whole FROM t;", ENTER)
        terminal.until("│      14 │")

        terminal.type("\\chart t EMIT CHANGES", ENTER)
        terminal.until("\nsum(n): 14\n")
        terminal.feed("INSERT INTO t VALUES ('d', 2)")
        terminal.until("\nsum(n): 16\n16 │")
        terminal.until("\n14 │▁")
        terminal.type("q")
        terminal.until("\nheadwater>")
        terminal.type("\\chart t", ENTER)
        terminal.until("\ncount(*) of t: 4\n4 │")
        assert max(map(len, terminal.text.splitlines())) <= 40
