"""The benchmark of the live table, in small: nothing is left behind, and what it counts is there."""

from __future__ import annotations

from headwater.bench.shell_live import first_screen, measure


def test_a_live_table_shows_in_the_end_all_that_was_appended() -> None:
    found = measure(changes_per_second=5_000, seconds=0.5)
    assert found.rows_left == 0
    assert found.changes_per_second > 0
    assert found.worst_lag >= found.lag > 0


def test_the_first_screen_comes_after_the_answer() -> None:
    asked, shown = first_screen(rows=20_000, rounds=1)
    assert 0 < asked < shown
