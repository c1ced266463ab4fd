"""The commands `headwater check`, `repair`, `backup` and `fork`: for whoever looks after a database.

They work on the files, and never open a database that is damaged. What they find goes to standard output, a bar to
standard error when it takes long.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter

from headwater.errors import HeadwaterError, StorageError
from headwater.executor.canonical import record_hashes
from headwater.repl.progress import Bar
from headwater.storage import OsStorage
from headwater.storage.backup import back_up
from headwater.storage.check import Check
from headwater.storage.findings import Finding
from headwater.storage.giving_up import unfinished
from headwater.storage.repair import LostCommits, LostImages, LostRows, parse_loss, prospect
from headwater.storage.repair import repair as repair_database
from headwater.storage.state import State

_EVIDENCE = "Keep the files as they are, and go on with a backup from before"
_LINES_PER_FILE = 20  # of a file with more findings the rest is counted

_CHECK_EXAMPLES = """\
examples:
  headwater check shop.hw       verify every byte that was committed, and all ledgers; nothing is changed

Works while another process has the database open, and on one that cannot be opened.
Exit code: 0 without damage, 1 with damage. Remarks are harmless.
"""

_REPAIR_EXAMPLES = """\
examples:
  headwater repair shop.hw                                    say what is damaged and what can be done
  headwater repair shop.hw --rebuild                          make again what can be made without any loss
  headwater repair shop.hw --accept-loss 3/1:120..139         give up offsets 120 to 139 of stream 3, partition 1
  headwater repair shop.hw --accept-loss images               discard the damaged images
  headwater repair shop.hw --accept-loss after:41             give up all commits after version 41

Nothing is lost that was not named, and the log keeps a note of what was. Make a copy of the directory first.
"""

_BACKUP_EXAMPLES = """\
examples:
  headwater backup shop.hw /mnt/monday.hw               copy the database as it is now, and verify the copy
  headwater backup shop.hw /mnt/monday.hw --no-verify   only copy

Works while another process has the database open. The copy is a database of its own: open it like any other.
"""


_FORK_EXAMPLES = """\
examples:
  headwater fork shop.hw what-if.hw                a second database that begins as this one is now
  headwater fork shop.hw what-if.hw --version 41   as it was at version 41

Works while another process has the database open. The two share files, and neither changes the other. A fork is no
backup: what a disk does to bytes that both have befalls both.
"""


def check(arguments: Sequence[str]) -> int:
    """`headwater check`: 1 if there is damage."""
    parser = _parser("check", "Verify every byte of a database, and say what is damaged where.", _CHECK_EXAMPLES)
    parser.add_argument("directory", metavar="DIR", help="the database")
    return 1 if _show_check(parser.parse_args(arguments).directory) else 0


def repair(arguments: Sequence[str]) -> int:
    """`headwater repair`: 1 if there is damage left."""
    parser = _parser("repair", "Say what can be done about damage, and do what is accepted.", _REPAIR_EXAMPLES)
    parser.add_argument("directory", metavar="DIR", help="the database; no other process may have it open")
    parser.add_argument("--rebuild", action="store_true", help="make again what can be made without any loss")
    parser.add_argument(
        "--accept-loss",
        action="append",
        default=[],
        metavar="LOSS",
        help="give up rows (3/1:120..139), damaged images (images), or commits (after:41); can be given several times",
    )
    options = parser.parse_args(arguments)
    try:
        losses = [parse_loss(text) for text in options.accept_loss]
    except ValueError as error:
        parser.error(str(error))
    directory: str = options.directory
    if not losses and not options.rebuild:
        return _propose(directory)
    with Bar(sys.stderr, "checking") as bar:
        version = repair_database(
            OsStorage(), directory, losses, rebuild_lossless=options.rebuild, on_progress=bar.update
        )
    if version is not None:
        print(f"gave up {', '.join(map(str, losses))}: commit {version} says so")
    elif losses:
        print("nothing is left of that to give up")
    damages = _show_check(directory)
    if damages:
        print(f"run {_command('repair', directory)} to see what can be done about the rest")
    return 1 if damages else 0


def backup(arguments: Sequence[str]) -> int:
    """`headwater backup`: 1 if the copy is damaged."""
    parser = _parser("backup", "Copy a database, also while it is in use.", _BACKUP_EXAMPLES)
    parser.add_argument("directory", metavar="DIR", help="the database")
    parser.add_argument(
        "target", metavar="TO", help="where the copy goes: a directory that does not exist, or is empty"
    )
    parser.add_argument("--no-verify", action="store_true", help="do not check the copy")
    options = parser.parse_args(arguments)
    started = perf_counter()
    with Bar(sys.stderr, "copying") as bar:
        made = back_up(OsStorage(), options.directory, options.target, bar.update)
    seconds = perf_counter() - started
    print(f'copied version {made.version:,}, {_bytes(made.nbytes)}, to "{options.target}" in {seconds:.1f} s')
    if options.no_verify or not _show_check(options.target):
        return 0
    raise StorageError(
        f'the copy "{options.target}" is damaged: do not rely on it',
        hint=f"{_command('check', options.directory)} says whether the original is damaged, too",
    )


def fork(arguments: Sequence[str]) -> int:
    """`headwater fork`."""
    from headwater.engine.forking import fork_directory

    parser = _parser("fork", "Make a second database that begins as one was, and shares its files.", _FORK_EXAMPLES)
    parser.add_argument("directory", metavar="DIR", help="the database")
    parser.add_argument(
        "target", metavar="TO", help="where the fork goes: a directory that does not exist, or is empty"
    )
    parser.add_argument("--version", type=int, metavar="N", help="as of which version (default: now)")
    options = parser.parse_args(arguments)
    started = perf_counter()
    made = fork_directory(options.directory, options.target, options.version)
    seconds = perf_counter() - started
    print(
        f'forked version {made.version:,} to "{options.target}" in {seconds:.2f} s: {made.shared:,} '
        f"file{_s(made.shared)} shared, {_bytes(made.copied)} copied"
    )
    return 0


COMMANDS = {"check": check, "repair": repair, "backup": backup, "fork": fork}


def _parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"headwater {name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _show_check(directory: str) -> list[Finding]:
    """Check a database, print what is found and a summary; the damage."""
    with Bar(sys.stderr, "checking") as bar:
        run = Check(OsStorage(read_only=True), directory, bar.update, record_hashes)
        findings = list(run.findings())
    _show(findings)
    unreadable = {finding.extent.stream for finding in findings if finding.extent is not None}
    for number in sorted(unreadable.union(run.changed_ledgers)):
        name = _names(run.state).get(number)
        if name is not None:
            print(f'stream {number} is "{name}"')
    damages = [finding for finding in findings if finding.is_damage]
    result = f"{len(damages):,} place{_s(len(damages))} damaged" if damages else "no damage"
    print(
        f"checked {run.commits:,} commit{_s(run.commits)}, {run.streams:,} stream{_s(run.streams)}, "
        f"{run.files:,} file{_s(run.files)}, {_bytes(run.nbytes)}: {result}"
    )
    return damages


def _show(findings: Sequence[Finding]) -> None:
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.path] += 1
        if shown[finding.path] <= _LINES_PER_FILE:
            print(finding)
    for path, count in shown.items():
        if count > _LINES_PER_FILE:
            print(f"and {count - _LINES_PER_FILE:,} more in {path}")


def _names(state: State | None) -> dict[int, str]:
    """What users call the streams, as far as the definitions that the log keeps tell."""
    from headwater.parser import parse_statement, syntax

    names = {}
    for note in state.kept.values() if state is not None else ():
        definition = note.get("ddl", {})
        if "create" in definition:
            with suppress(HeadwaterError):  # names are a help, no more
                statement = parse_statement(definition["create"])
                if isinstance(statement, syntax.CreateRelation):
                    names[definition["id"]] = statement.name.text
    return names


def _propose(directory: str) -> int:
    """Say what can be done about damage; nothing is changed."""
    damages = _show_check(directory)
    if not damages:
        note = unfinished(OsStorage(read_only=True), directory)
        if note is None:
            print("there is nothing to repair")
            return 0
        print("an earlier repair was interrupted before the log had a note of it. To finish it:")
        print(f"  {_command('repair', directory)} --accept-loss after:{note['after']}")
        return 1
    found = prospect(OsStorage(read_only=True), directory, damages)
    options = [("--rebuild", f"makes {path} again; nothing is lost") for path in _paths(found.rebuildable)]
    options += [(f"--accept-loss {loss}", _meaning(loss, directory)) for loss in found.losses]
    if options:
        width = max(len(option) for option, _ in options)
        print("\nwhat can be done:")
        for option, meaning in options:
            print(f"  {option:<{width}}  {meaning}")
    for path in _paths(found.beyond_repair):
        print(f"\nnothing can be done about {path}: {_advice(path)}")
    for path in _paths(found.evidence):
        print(f"\nnothing is done about {path}: that a ledger was changed is evidence. {_EVIDENCE}")
    commands = [option for option, _ in options if "after:" in option] or list(dict.fromkeys(o for o, _ in options))
    if commands:
        print("\nnothing was changed. To do it:")
        print(f"  {_command('repair', directory)} {' '.join(commands)}")
    return 1


def _paths(findings: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.path for finding in findings))


def _meaning(loss: object, directory: str) -> str:
    match loss:
        case LostRows(stream, partition, first, last):
            count = last - first + 1
            return f"gives up {count:,} row{_s(count)} of stream {stream}, partition {partition}"
        case LostImages():
            return "discards the damaged images; tables are computed from the rows again, as far as these are kept"
        case LostCommits(after):
            return f"gives up all commits after version {after}; their bytes are kept in {directory}/lost"
    raise AssertionError(f"{loss!r} is no loss")


def _advice(path: str) -> str:
    if path.endswith("/FORMAT"):
        return "copy FORMAT from any backup of this database, in which it is the same"
    return "restore the database from a backup"


def _command(name: str, directory: str) -> str:
    return f"headwater {name} {shlex.quote(directory)}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _bytes(count: float) -> str:
    """A number of bytes in the largest unit of which there is one."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
