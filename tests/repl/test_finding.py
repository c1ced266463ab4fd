"""The commands that say what there is: run without a terminal, and held against the documentation."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater
from headwater.engine.query_pace import pace
from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError
from headwater.repl.command_lines import run_script
from headwater.repl.commands import COMMANDS, run_command
from headwater.repl.finding import broken
from headwater.repl.help import TOPICS, by_topic, overview
from headwater.repl.history import bound, entries
from headwater.repl.output import Output
from headwater.repl.settings import OPTIONS, Settings
from headwater.repl.toolbar import Part, Toolbar, fitted
from headwater.repl.travel import Travel
from headwater.repl.words import command_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOP = """
CREATE STREAM bids (auction BIGINT KEY, price DOUBLE);
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR);
CREATE TABLE hot AS SELECT auction, count(*) AS n FROM bids GROUP BY auction;
CREATE VIEW cool AS SELECT * FROM hot WHERE n > 3;
INSERT INTO bids VALUES (1, 10.5), (2, 3.0), (1, 4.0);
"""


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute(SHOP)
        yield opened


def run(database: headwater.Database, *lines: str) -> str:
    output = Output(io.StringIO())
    run_script(database, output, "\n".join(lines))
    return output.stream.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_d_lists_what_there_is_and_what_it_is_made_of(database: headwater.Database) -> None:
    shown = run(database, "\\set format csv", "\\d")
    assert 'bids,stream,auction,3,"auction, price",' in shown
    assert 'hot,table,auction,2,"auction, n",bids' in shown
    assert "cool,view,,,,hot" in shown


def test_d_with_a_name_says_what_it_is_made_of_and_what_reads_it(database: headwater.Database) -> None:
    database.settle()
    shown = run(database, "\\d HOT")
    assert re.search(r"made of +bids\n", shown)
    assert re.search(r"read by +cool\n", shown)
    assert re.search(r"state +running, lag: none\n", shown)
    with pytest.raises(HeadwaterError, match='no stream or table "hott"'):
        run(database, "\\d hott")


def test_a_statement_is_broken_before_its_clauses_and_nowhere_in_strings() -> None:
    text = "CREATE VIEW v AS SELECT 'a FROM b' FROM (SELECT 1 FROM t) GROUP BY x"
    assert broken(text).split("\n") == [
        "CREATE VIEW v AS SELECT 'a FROM b'", "  FROM (SELECT 1 FROM t)", "  GROUP BY x",
    ]  # fmt: skip


def test_dq_says_how_much_a_query_has_not_read(database: headwater.Database) -> None:
    database.settle()
    assert ",running," in run(database, "\\set format csv", "\\dq")
    hot = database.pipeline.catalog.relations["hot"]
    version = database.log.version
    database.append("bids", [{"auction": 1, "price": 1.0}, {"auction": 3, "price": 2.0}])
    now_us = database.log.time_of(version + 1) + 2_000_000
    at = pace(hot, database.pipeline, now_us)
    assert (at.waiting, at.versions, at.waits_us) == (2, 1, 2_000_000)
    assert "2 rows, 1 version," in run(database, "\\dq")
    database.settle()
    assert pace(hot, database.pipeline, now_us).waiting == 0


def test_a_query_that_stopped_is_behind_from_there_on(database: headwater.Database) -> None:
    database.execute("PAUSE hot; INSERT INTO bids VALUES (9, 1.0);")
    hot = database.pipeline.catalog.relations["hot"]
    assert pace(hot, database.pipeline, database.log.time_of(database.version)).waiting == 1
    assert "paused" in run(database, "\\dq")


def test_lineage_draws_all_or_what_is_around_a_name(database: headwater.Database) -> None:
    assert run(database, "\\lineage").splitlines() == [
        "bids (stream) ───▶ hot (table) ───▶ cool (view)",
        "people (table)",
    ]
    assert "people" not in run(database, "\\lineage hot")


def test_explain_is_also_about_the_last_statement(database: headwater.Database) -> None:
    assert "StreamSource bids" in run(database, "SELECT * FROM bids;", "\\explain")
    with pytest.raises(HeadwaterError, match="no statement to explain"):
        run(database, "\\explain")


def test_watch_repeats_no_statement_that_changes_something(database: headwater.Database) -> None:
    with pytest.raises(HeadwaterError, match="repeats queries"):
        run(database, "\\watch INSERT INTO bids VALUES (1, 1.0)")


def test_options_are_set_and_get_their_defaults_back(database: headwater.Database) -> None:
    assert "timing is on" in run(database, "\\timing on")
    assert "rows is auto" in run(database, "\\set rows 3", "\\unset rows")
    with pytest.raises(HeadwaterError, match="there is no option rowz"):
        run(database, "\\unset rowz")


def test_three_letters_are_enough_where_one_command_begins_with_them(database: headwater.Database) -> None:
    assert "bids" in run(database, "\\lin")
    with pytest.raises(HeadwaterError, match="did you mean"):
        run(database, "\\lineag3")


def test_files_that_files_run_are_looked_for_beside_them(database: headwater.Database, tmp_path: Path) -> None:
    (tmp_path / "inner.sql").write_text("SELECT 4711 AS deep;")
    (tmp_path / "outer.sql").write_text("\\i inner.sql\n")
    (tmp_path / "self.sql").write_text("\\i self.sql\n")
    assert "4711" in run(database, f"\\i {tmp_path / 'outer.sql'}")
    with pytest.raises(HeadwaterError, match="runs itself"):
        run(database, f"\\i {tmp_path / 'self.sql'}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("exit", "\\q"), ("QUIT;", "\\q"), ("help", "\\?"), (".tables", "\\d"), ("show  tables", "\\d"),
        ("\\dt", "\\d"), (".schema bids", "\\d bids"), (".read a.sql", "\\i a.sql"),
        ("\\d bids", "\\d bids"), ("SELECT 1", None),
        ("helpful", None), ("help_me;", None), ("", None),
    ],
)  # fmt: skip
def test_words_of_other_shells_are_understood(typed: str, meant: str | None) -> None:
    assert command_of(typed) == meant


def test_the_toolbar_leaves_out_what_matters_least() -> None:
    parts = [Part("shop.hw", 4), Part("version 12", 8), Part("3 running", 5), Part("1 stopped", 7)]
    assert fitted(parts, 80) == "shop.hw · version 12 · 3 running · 1 stopped"
    assert fitted(parts, 40) == "version 12 · 3 running · 1 stopped"
    assert fitted(parts, 24) == "version 12 · 1 stopped"
    assert fitted(parts, 8) == "version "


def test_the_toolbar_tells_of_queries_and_of_the_past(database: headwater.Database) -> None:
    toolbar, travel = Toolbar(database, Travel()), Travel()
    assert "in memory · version" in toolbar.text(80)
    assert "1 running" in toolbar.text(80)
    database.execute("PAUSE hot;")
    assert "1 stopped" in toolbar.text(40)
    travel.stand(database, 3)
    assert "at 3, \\now returns" in toolbar.text(40)
    assert all(len(toolbar.text(columns)) <= columns for columns in range(1, 120))


def test_help_has_every_command_under_one_topic() -> None:
    placed = [name for names in TOPICS.values() for name in names]
    assert len(placed) == len(set(placed))
    assert sorted(command.name for found in by_topic(COMMANDS).values() for command in found) == sorted(COMMANDS)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_terminal(columns: int) -> None:
    assert all(len(line) <= columns for line in overview(COMMANDS, Screen(columns)))


def test_the_history_is_bounded_and_keeps_what_was_typed_last(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text("".join(f"\n# 2026\n+SELECT {i}\n+  AS x;\n" for i in range(30)))
    assert entries(file)[-1] == "SELECT 29\n  AS x;"
    bound(file, 10)
    assert entries(file) == [f"SELECT {i}\n  AS x;" for i in range(20, 30)]
    assert entries(tmp_path / "none") == []


def test_the_documentation_has_every_command_and_option_and_no_other() -> None:
    rows = re.findall(r"^\| `(\\[^ `]+)([^`]*)` \|", (DOCS / "shell.md").read_text(), re.MULTILINE)
    documented = {name: argument.strip().replace("\\|", "|") for name, argument in rows}
    assert documented == {command.name: command.argument for command in COMMANDS.values()}
    options = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \| (.+) \|$", (DOCS / "configuration.md").read_text(), re.M
    )
    assert options == [(name, Settings().word(name), option.taken, option.meaning) for name, option in OPTIONS.items()]


def test_the_shell_survives_whatever_is_typed(
    database: headwater.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command with arguments that make no sense ends well, or in one of our errors."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    choice = random.Random(7)
    words = [
        "",
        "hot",
        "bids",
        "1",
        "-1",
        "999999999999",
        "'",
        '"',
        "SELECT 1",
        "SELECT",
        "ü",
        "\\",
        "rows",
        "all",
        "on",
        "*",
    ]
    output = Output(io.StringIO())
    for _ in range(400):
        name = choice.choice([name for name in COMMANDS if name not in ("\\watch", "\\scrub")])
        line = " ".join([name, *choice.choices(words, k=choice.randint(0, 3))])
        try:
            run_command(database, output, line)
        except (HeadwaterError, EOFError):
            pass
    assert database.sql("SELECT count(*) FROM bids AS OF LATEST").fetchall() == [(3,)]
