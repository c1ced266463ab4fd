"""`%hw` and `%%hw` in a real IPython shell."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest

import headwater

interactive = pytest.importorskip("IPython.core.interactiveshell")


@pytest.fixture
def shell() -> Iterator[Any]:
    shell = interactive.InteractiveShell()
    shell.run_line_magic("load_ext", "headwater")
    yield shell
    shell.history_manager.end_session()


def test_a_cell_runs_and_its_last_result_can_be_kept(shell: Any) -> None:
    shell.run_cell_magic("hw", "-o last", "CREATE STREAM s (k INTEGER); INSERT INTO s VALUES (1), (2);")
    shell.run_cell_magic("hw", "-o last", "SELECT k FROM s ORDER BY k")
    assert shell.user_ns["last"].fetchall() == [(1,), (2,)]
    assert shell.run_line_magic("hw", "SELECT count(*) FROM s").fetchall() == [(2,)]


def test_the_database_of_a_variable(shell: Any) -> None:
    with headwater.connect() as db:
        db.execute("CREATE STREAM mine (k INTEGER)")
        shell.user_ns["db"] = db
        assert shell.run_line_magic("hw", "--use db SELECT count(*) FROM mine").fetchall() == [(0,)]


def test_a_mistake_is_shown_without_a_traceback(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run_line_magic("hw", "SELECT nothing FROM nowhere") is None
    assert 'there is no stream or table "nowhere"' in capsys.readouterr().err


def test_a_watched_query_shows_its_changes(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell_magic("hw", "", "CREATE STREAM s (k INTEGER); INSERT INTO s VALUES (7);")
    shell.run_cell_magic("hw", "", "SELECT k FROM s EMIT CHANGES LIMIT 1")
    assert "7" in capsys.readouterr().out


def test_an_interrupt_ends_the_watched_query_alone(shell: Any) -> None:
    shell.run_cell_magic("hw", "", "CREATE STREAM s (k INTEGER); INSERT INTO s VALUES (7);")
    shown = io.StringIO()

    def interrupt() -> None:
        while "7" not in shown.getvalue():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    user = threading.Thread(target=interrupt)
    user.start()
    with redirect_stdout(shown):
        last = shell.run_cell_magic("hw", "", "SELECT k FROM s EMIT CHANGES; SELECT 'after' AS word")
    user.join()
    assert shown.getvalue().endswith("1 change\n")
    assert last.fetchall() == [("after",)]
    assert shell.run_line_magic("hw", "SELECT count(*) FROM s").fetchall() == [(1,)]


def test_html_tells_null_from_text_and_escapes(shell: Any) -> None:
    html = shell.run_line_magic("hw", "SELECT '<b>' AS \"a&b\", NULL::INTEGER AS n, 'NULL' AS t")._repr_html_()
    assert "&lt;b&gt;" in html and "a&amp;b" in html and "<b>" not in html
    assert "INTEGER</small>" in html and html.count("NULL</span>") == 1 and "1 row<" in html
