"""The commands that go through the past, as a script sees them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

import pytest

import headwater
from headwater.errors import HeadwaterError
from headwater.repl.commands import run_command
from headwater.repl.output import Output
from headwater.repl.settings import Settings


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    """Versions: 3 ann and bob, 4 bob pays ann, 5 a note, 6 zoe."""
    with headwater.connect(background=False) as opened:
        opened.execute(
            "CREATE TABLE accounts (owner VARCHAR PRIMARY KEY, balance BIGINT); CREATE STREAM notes (t VARCHAR)"
        )
        opened.execute("INSERT INTO accounts VALUES ('ann', 100), ('bob', 50)")
        opened.execute("INSERT INTO accounts VALUES ('ann', 120), ('bob', 30)")
        opened.execute("INSERT INTO notes VALUES ('nothing to do with it')")
        opened.execute("INSERT INTO accounts VALUES ('zoe', 7)")
        opened.settle()
        yield opened


@pytest.fixture
def output() -> Output:
    return Output(io.StringIO())


def run(database: headwater.Database, output: Output, *lines: str) -> str:
    """What the last of the commands writes, without times."""
    for line in lines:
        output.stream = io.StringIO()
        run_command(database, output, line)
    assert isinstance(output.stream, io.StringIO)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME", output.stream.getvalue())


def test_step_draws_what_is_tracked_with_what_changed(database: headwater.Database, output: Output) -> None:
    assert run(database, output, "\\track accounts", "\\goto 3", "\\step") == (
        "version 4 of 6 · TIME · 1 version on\n"
        "accounts · 2 rows · 2 changed\n"
        "┌───┬───────┬─────────┐\n"
        "│   │ owner │ balance │\n"
        "├───┼───────┼─────────┤\n"
        "│ * │ ann   │    *120 │\n"
        "│ * │ bob   │     *30 │\n"
        "└───┴───────┴─────────┘\n"
    )
    assert run(database, output, "\\step") == (
        "version 6 of 6 · TIME · 2 versions on, 1 unchanged\n"
        "accounts · 3 rows · 1 added\n"
        "┌───┬───────┬─────────┐\n"
        "│   │ owner │ balance │\n"
        "├───┼───────┼─────────┤\n"
        "│   │ ann   │     120 │\n"
        "│   │ bob   │      30 │\n"
        "│ + │ zoe   │       7 │\n"
        "└───┴───────┴─────────┘\n"
    )
    assert run(database, output, "\\step") == "nothing that is tracked is different after version 6\n"


def test_back_goes_several_changes_and_no_further_than_the_beginning(
    database: headwater.Database, output: Output
) -> None:
    assert run(database, output, "\\track accounts", "\\back 2").startswith("version 3 of 6 · TIME · 3 versions back")
    assert run(database, output, "\\back 7").startswith(
        "version 0 of 6 · before the first commit · 3 versions back, 2 unchanged"
        " · that is all: 1 change\naccounts · no rows · 2 removed\n"
    )
    assert run(database, output, "\\back") == "nothing that is tracked is different before version 0\n"


def test_goto_says_where_one_is_and_now_comes_back(database: headwater.Database, output: Output) -> None:
    assert run(database, output, "\\goto") == "the present, version 6\n"
    assert run(database, output, "\\goto 3", "\\goto") == "version 3 of 6 · TIME\n"
    assert len(database.sql("SELECT * FROM accounts")) == 2
    assert run(database, output, "\\now") == "the present, version 6\n"
    assert len(database.sql("SELECT * FROM accounts")) == 3


def test_what_is_tracked_is_listed_and_forgotten_by_name_or_number(
    database: headwater.Database, output: Output
) -> None:
    run(database, output, "\\track accounts", "\\track SELECT sum(balance) FROM accounts", "\\track notes")
    assert run(database, output, "\\track") == "1  accounts\n2  SELECT sum(balance) FROM accounts\n3  notes\n"
    assert run(database, output, "\\untrack 2", "\\untrack Notes", "\\track") == "1  accounts\n"
    with pytest.raises(HeadwaterError, match="tracked already"):
        run(database, output, "\\track accounts")
    with pytest.raises(HeadwaterError, match="notes is not tracked"):
        run(database, output, "\\untrack notes")
    assert run(database, output, "\\untrack", "\\track").startswith("nothing is tracked")


def test_bisect_goes_to_the_first_failure_and_shows_what_it_changed(
    database: headwater.Database, output: Output
) -> None:
    assert run(database, output, "\\bisect NOT EXISTS (SELECT * FROM accounts WHERE balance < 50)") == (
        "  version 6  false\n"
        "  version 0  holds\n"
        "  version 3  holds\n"
        "  version 4  false\n"
        "first false at version 4, TIME (4 questions, 4 versions to look at)\n"
        "that is right if, once false, it stays false: \\bisect --linear takes nothing for granted\n"
        "accounts · 2 changed\n"
        "┌───┬───────┬─────────┐\n"
        "│   │ owner │ balance │\n"
        "├───┼───────┼─────────┤\n"
        "│ - │ ann   │    *100 │\n"
        "│ + │ ann   │    *120 │\n"
        "│ - │ bob   │     *50 │\n"
        "│ + │ bob   │     *30 │\n"
        "└───┴───────┴─────────┘\n"
        "version 4 of 6 · TIME\n"
    )
    assert run(database, output, "\\goto") == "version 4 of 6 · TIME\n"


def test_bisect_says_where_there_is_nothing_to_find(database: headwater.Database, output: Output) -> None:
    assert run(database, output, "\\bisect (SELECT count(*) FROM accounts) < 9").endswith(
        "it holds at version 6 (1 question, 4 versions to look at)\n"
        "\\bisect --linear finds out whether it ever was false before\n"
    )
    assert "it is false at version 0 already, the earliest looked at" in run(
        database, output, "\\bisect (SELECT count(*) FROM accounts) > 5"
    )
    assert "first false at version 6" in run(
        database, output, "\\bisect --since 3 --linear (SELECT count(*) FROM accounts) = 2"
    )


def test_where_something_tracked_cannot_be_asked_there_is_a_way_away_from_it(
    database: headwater.Database, output: Output
) -> None:
    fails = "SELECT CASE WHEN count(*) = 2 THEN 1 ELSE CAST(max(owner) AS INTEGER) END AS n FROM accounts"
    run(database, output, "\\goto 3", f"\\track {fails}")
    with pytest.raises(HeadwaterError):
        run(database, output, "\\now")
    assert run(database, output, "\\goto") == "the present, version 6\n"
    assert "│   │ 1 │" in run(database, output, "\\goto 3")
    with pytest.raises(HeadwaterError):
        run(database, output, "\\untrack", "\\now", f"\\track {fails}")
    assert run(database, output, "\\track").startswith("nothing is tracked")


def test_programs_get_rows_alone(database: headwater.Database, capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(io.StringIO(), Settings.of_script("ndjson"))
    run(database, output, "\\track accounts")
    assert [json.loads(line)["owner"] for line in run(database, output, "\\goto 3").splitlines()] == ["ann", "bob"]
    found = json.loads(run(database, output, "\\now", "\\bisect (SELECT count(*) FROM accounts) < 3"))
    assert (found["first_false"], found["questions"]) == (6, 4)
    assert "version 3 of 6" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("\\step", "nothing is tracked"),
        ("\\back", "nothing is tracked"),
        ("\\scrub", "nothing is tracked"),
        ("\\step many", 'takes a number of changes, not "many"'),
        ("\\back 0", 'takes a number of changes, not "0"'),
        ("\\goto 7", "version 7 is not there yet: the latest is 6"),
        ("\\bisect", "needs a condition"),
        ("\\bisect --backwards true", "needs a condition"),
        ("\\bisect --since 7 true", "version 7 is not there yet: the latest is 6"),
        ("\\track nowhere", 'there is no stream or table "nowhere"'),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    database: headwater.Database, output: Output, line: str, message: str
) -> None:
    with pytest.raises(HeadwaterError, match=re.escape(message)) as raised:
        run(database, output, line)
    assert "\n" not in raised.value.message


def test_in_the_present_there_is_nothing_to_step_to_and_a_file_cannot_be_scrubbed(
    database: headwater.Database, output: Output
) -> None:
    with pytest.raises(HeadwaterError, match="this is the present"):
        run(database, output, "\\track accounts", "\\step")
    with pytest.raises(HeadwaterError, match="needs a terminal"):
        run(database, output, "\\scrub")
