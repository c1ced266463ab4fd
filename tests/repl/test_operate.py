"""`headwater check`, `repair`, `backup` and `fork` as somebody types them: what they print, and their exit codes."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

import headwater
from headwater.repl.main import main
from headwater.repl.progress import Bar

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of four rows in the working directory."""
    monkeypatch.chdir(tmp_path)
    with headwater.connect("shop.hw", background=False) as db:
        db.execute("CREATE STREAM bids (auction BIGINT, price DOUBLE)")
        db.execute("INSERT INTO bids VALUES (1, 10.5), (2, NULL)")
        db.execute("CREATE TABLE hot AS SELECT auction, count(*) AS n FROM bids GROUP BY auction")
        db.execute("INSERT INTO bids VALUES (3, 1)")
        db.execute("INSERT INTO bids VALUES (4, 1)")
        db.execute("CHECKPOINT")
    return tmp_path / "shop.hw"


def flip(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


def first_rows(shop: Path) -> tuple[Path, int]:
    """Where the rows of the first INSERT are."""
    (file,) = shop.glob("commits/*.log")
    return file, file.read_bytes().index(b"HWFD")


def damage_first_rows(shop: Path) -> str:
    file, position = first_rows(shop)
    flip(file, position + 100)
    return f"{file.relative_to(shop.parent)}:{position}"


def run(capsys: Capture, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_whole_database_is_summed_up_in_a_line(shop: Path, capsys: Capture) -> None:
    code, out, err = run(capsys, "check", "shop.hw")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"checked \d+ commits, 2 streams, 2 files, [\d.]+ kB: no damage\n", out)


def test_a_check_goes_beside_an_open_database(shop: Path, capsys: Capture) -> None:
    with headwater.connect("shop.hw"):
        assert run(capsys, "check", "shop.hw")[0] == 0


def test_damage_is_one_line_with_its_place(shop: Path, capsys: Capture) -> None:
    place = damage_first_rows(shop)
    code, out, err = run(capsys, "check", "shop.hw")
    assert (code, err) == (1, "")
    first, name, last = out.splitlines()
    assert first == (
        f"damage: {place}: the checksum of a frame's payload does not match; "
        "offsets 0 to 1 of stream 1, partition 0 (commit 2) cannot be read"
    )
    assert name == 'stream 1 is "bids"'
    assert last.endswith(": 1 place damaged")


def test_a_repair_says_what_can_be_done_and_does_nothing(shop: Path, capsys: Capture) -> None:
    damage_first_rows(shop)
    before = {file: file.read_bytes() for file in shop.rglob("*") if file.is_file()}
    code, out, _ = run(capsys, "repair", "shop.hw")
    assert code == 1
    assert "  --accept-loss 1/0:0..1  gives up 2 rows of stream 1, partition 0\n" in out
    assert out.endswith("nothing was changed. To do it:\n  headwater repair shop.hw --accept-loss 1/0:0..1\n")
    assert before == {file: file.read_bytes() for file in shop.rglob("*") if file.is_file()}


def test_a_repair_does_what_was_accepted(shop: Path, capsys: Capture) -> None:
    damage_first_rows(shop)
    code, out, _ = run(capsys, "repair", "shop.hw", "--accept-loss", "1/0:0..1")
    assert code == 0
    assert re.match(r"gave up 1/0:0..1: commit \d+ says so\nchecked .*: no damage\n", out)
    with headwater.connect("shop.hw") as db:
        assert db.sql("SELECT auction FROM bids").fetchall() == [(3,), (4,)]
    assert "nothing is left of that to give up\n" in run(capsys, "repair", "shop.hw", "--accept-loss", "1/0:0..1")[1]


def test_commits_are_given_up_as_proposed(shop: Path, capsys: Capture) -> None:
    file, _ = first_rows(shop)
    flip(file, file.read_bytes().index(b"HWFC", 1000) + 70)
    _, out, _ = run(capsys, "repair", "shop.hw")
    command = out.splitlines()[-1].split()
    assert command[:3] == ["headwater", "repair", "shop.hw"] and command[4].startswith("after:")
    assert "their bytes are kept in shop.hw/lost" in out
    assert run(capsys, *command[1:])[0] == 0
    with headwater.connect("shop.hw") as db:
        assert db.sql("SELECT count(*) FROM bids").fetchall() == [(2,)]


def test_a_repair_that_was_interrupted_at_its_end_is_finished(shop: Path, capsys: Capture) -> None:
    (shop / "lost/1").mkdir(parents=True)
    (shop / "lost/1/UNFINISHED").write_text('{"after":3,"saved":"lost/1"}')
    code, out, _ = run(capsys, "repair", "shop.hw")
    assert code == 1 and out.endswith("  headwater repair shop.hw --accept-loss after:3\n")
    assert run(capsys, "repair", "shop.hw", "--accept-loss", "after:3")[0] == 0
    assert run(capsys, "repair", "shop.hw")[0] == 0


def test_format_is_made_again_at_no_loss(shop: Path, capsys: Capture) -> None:
    before = (shop / "FORMAT").read_bytes()
    flip(shop / "FORMAT", 3)
    assert "--rebuild  makes shop.hw/FORMAT again; nothing is lost\n" in run(capsys, "repair", "shop.hw")[1]
    assert run(capsys, "repair", "shop.hw", "--rebuild")[0] == 0
    assert (shop / "FORMAT").read_bytes() == before


def test_what_cannot_be_repaired_comes_with_advice(shop: Path, capsys: Capture) -> None:
    (shop / "FORMAT").write_text("nothing of it is left")
    code, out, _ = run(capsys, "repair", "shop.hw")
    assert code == 1
    assert "nothing can be done about shop.hw/FORMAT: copy FORMAT from any backup of this database" in out


def test_a_whole_database_needs_no_repair(shop: Path, capsys: Capture) -> None:
    code, out, _ = run(capsys, "repair", "shop.hw")
    assert code == 0 and out.endswith("there is nothing to repair\n")


def test_a_loss_that_is_none_is_refused(shop: Path, capsys: Capture) -> None:
    code, _, err = run(capsys, "repair", "shop.hw", "--accept-loss", "1/0:0..1")
    assert (code, err) == (1, "error: 2 of the rows 1/0:0..1 are not damaged: nothing was changed\n")


def test_a_backup_is_verified_and_opens(shop: Path, capsys: Capture) -> None:
    with headwater.connect("shop.hw"):
        code, out, err = run(capsys, "backup", "shop.hw", "monday.hw")
    assert (code, err) == (0, "")
    assert re.match(r'copied version \d+, [\d.]+ kB, to "monday.hw" in [\d.]+ s\nchecked .*: no damage\n', out)
    with headwater.connect("monday.hw") as db:
        assert db.sql("SELECT count(*) FROM bids").fetchall() == [(4,)]


def test_a_backup_that_need_not_be_verified_is_only_copied(shop: Path, capsys: Capture) -> None:
    assert run(capsys, "backup", "shop.hw", "monday.hw", "--no-verify")[1].count("\n") == 1


def test_a_backup_of_damage_is_an_error(shop: Path, capsys: Capture) -> None:
    damage_first_rows(shop)
    code, _, err = run(capsys, "backup", "shop.hw", "monday.hw")
    assert code == 1
    assert err.startswith('error: the copy "monday.hw" is damaged: do not rely on it\nhint: headwater check shop.hw')


def test_a_fork_is_made_beside_an_open_database_and_opens(shop: Path, capsys: Capture) -> None:
    with headwater.connect("shop.hw") as db:
        code, out, err = run(capsys, "fork", "shop.hw", "now.hw")
        assert run(capsys, "fork", "shop.hw", "then.hw", "--version", "2")[0] == 0
        assert run(capsys, "check", "then.hw")[0] == 0
        db.execute("INSERT INTO bids VALUES (5, 1)")
    assert (code, err) == (0, "")
    assert re.fullmatch(r'forked version \d+ to "now.hw" in [\d.]+ s: 1 file shared, [\d.]+ kB copied\n', out)
    for path, count in (("now.hw", 4), ("then.hw", 2), ("shop.hw", 5)):
        with headwater.connect(path) as db:
            assert db.sql("SELECT count(*) FROM bids").fetchall() == [(count,)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fork", "nowhere.hw", "fork.hw"], 'there is no database at "nowhere.hw"'),
        (["fork", "shop.hw", "shop.hw/x"], '"shop.hw/x" is inside the database: give the name of a directory outside'),
        (["fork", "shop.hw", "no/such/fork.hw"], '"no/such/fork.hw" cannot be made: there is no directory "no/such"'),
        (["check", "nowhere.hw"], 'there is no database at "nowhere.hw"'),
        (["repair", "nowhere.hw", "--rebuild"], 'there is no database at "nowhere.hw"'),
        (["backup", "nowhere.hw", "copy.hw"], 'there is no database at "nowhere.hw"'),
        (["backup", "shop.hw", "shop.hw"], '"shop.hw" is not empty: give the name of a directory that does not exist'),
        (["backup", "shop.hw", "no/such/copy.hw"], '"no/such/copy.hw" cannot be made: there is no directory "no/such"'),
    ],
)
def test_a_failure_is_one_sentence(shop: Path, capsys: Capture, arguments: list[str], message: str) -> None:
    assert run(capsys, *arguments) == (1, "", f"error: {message}\n")


@pytest.mark.parametrize("command", ["check", "repair", "backup", "fork"])
def test_help_has_examples(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  headwater {command} shop.hw" in capsys.readouterr().out


def test_a_bar_is_drawn_at_a_terminal_only_and_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock = [0.0]
    monkeypatch.setattr("headwater.repl.progress.perf_counter", lambda: clock[0])
    for stream, is_terminal in ((Terminal(), True), (io.StringIO(), False)):
        clock[0] = 0.0
        with Bar(stream, "copying") as bar:
            bar.update(1_000_000, 4_000_000)
            assert stream.getvalue() == ""
            clock[0] = 1.5
            bar.update(2_000_000, 4_000_000)
            assert ("copying" in stream.getvalue() and "50% of 4 MB" in stream.getvalue()) == is_terminal
        assert stream.getvalue().endswith("\r\x1b[K") == is_terminal
