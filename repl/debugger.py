"""The commands that go through the past: \\track, \\untrack, \\goto, \\now, \\step, \\back, \\bisect and \\scrub.

Each moves the position of the shell (`Output.travel`) and draws what is tracked there, marked against where the user
was before. To a pipe they write the same without colours; in a format for programs the rows alone.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import pyarrow as pa

from headwater.engine.database import Database
from headwater.engine.render import count
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, visible
from headwater.errors import HeadwaterError
from headwater.repl.bisection import Found, Search, assertion
from headwater.repl.marking import Marked, changes, marked
from headwater.repl.output import Output
from headwater.repl.pictures import differences, painted, summary, table
from headwater.repl.progress import Bar
from headwater.repl.scrub import Scrub, series_of
from headwater.repl.travel import Tracked, find_position, read_by, time_of, track
from headwater.values import Column

_OPTION = re.compile(r"--(linear|since\s+(\d+))(?:\s+|$)")


def track_question(database: Database, output: Output, argument: str) -> None:
    """\\track NAME | SELECT …: adds it to what is tracked; without an argument lists that."""
    tracked = output.travel.tracked
    if argument:
        added = track(argument, database)
        if added.sql in (known.sql for known in tracked):
            raise HeadwaterError(f"{added.name} is tracked already")
        _show(database, output, [added])
        tracked.append(added)
        return
    for number, known in enumerate(tracked, 1):
        output.say(f"{number}  {known.name}")
    if not tracked:
        output.say("nothing is tracked: \\track NAME, or \\track SELECT …")


def untrack(database: Database, output: Output, argument: str) -> None:
    """\\untrack NAME | number: stops tracking it; without an argument, everything."""
    tracked = output.travel.tracked
    gone = [
        known for number, known in enumerate(tracked, 1) if argument.lower() in ("", str(number), known.name.lower())
    ]
    if argument and not gone:
        raise HeadwaterError(f"{argument} is not tracked", hint="\\track lists what is, with numbers")
    output.travel.tracked = [known for known in tracked if known not in gone]
    output.say(f"tracking {count(len(output.travel.tracked), 'question')}")


def goto(database: Database, output: Output, argument: str) -> None:
    """\\goto 42 | +3 | OFFSET 1000 | '5 minutes ago' | earliest | latest …; without an argument says where one is."""
    if argument:
        _move(database, output, find_position(argument, output.travel, database))
    else:
        output.say(_place(database, output))


def now(database: Database, output: Output, argument: str) -> None:
    """\\now: back to the present."""
    _move(database, output, None)


def step(database: Database, output: Output, argument: str) -> None:
    """\\step [n]: on to the next version that changes something tracked, or the n-th."""
    travel, wanted = output.travel, _count(argument, "\\step")
    travel.reads(database)
    here, latest = travel.position(database), database.version
    if here is None:
        raise HeadwaterError("this is the present: nothing comes after it", hint="\\back, or \\goto VERSION")
    with _bar(output) as bar:
        found = travel.forward(database, wanted, lambda version: bar.update(version - here, latest - here))
    _walk(database, output, found, wanted, where="after")


def back(database: Database, output: Output, argument: str) -> None:
    """\\back [n]: back to the version that made what was there before, or n times so."""
    wanted = _count(argument, "\\back")
    here = output.travel.here(database)
    with _bar(output) as bar:
        found = output.travel.back(database, wanted, lambda version: bar.update(here - version, here))
    _walk(database, output, found, wanted, where="before")


def bisect(database: Database, output: Output, argument: str) -> None:
    """\\bisect [--since VERSION] [--linear] CONDITION: goes to the first version at which it is false."""
    travel = output.travel
    options, condition = _options(argument)
    sql = assertion(condition, database)
    upto = database.version
    if options.since > upto:
        raise HeadwaterError(f"version {options.since:,} is not there yet: the latest is {upto:,}")
    with _bar(output) as bar:

        def tell(version: int, holds: bool) -> None:
            if options.linear:
                bar.update(version, upto)
            else:
                output.say(f"  version {version:>{len(f'{upto:,}')},}  {'holds' if holds else 'false'}")

        found = Search(sql, database, tell).run(options.since, upto, linear=options.linear)
    output.say(_said(found, database, upto, options))
    if output.settings.format != "table":
        _show_found(found, database, output)
    if found.first is not None:
        travel.stand(database, found.first)
        if found.before is not None:
            _show_changes(database, output, sql, found.first)
        output.say(_place(database, output))


def scrub(database: Database, output: Output, argument: str) -> None:
    """\\scrub [column | aggregate]: a time line on the whole screen, with a curve of the number."""
    output.travel.reads(database)
    if not (sys.stdin.isatty() and output.stream.isatty()):
        raise HeadwaterError("\\scrub needs a terminal", hint="\\step and \\back go through time anywhere")
    from headwater.repl.scrubber import scrub as run  # only a terminal needs what this imports

    series = series_of(output.travel, database, argument)
    state = Scrub(database, output.travel, series)
    chosen = run(database, output.travel, state, Screen.of(output.stream))
    if chosen is not None:
        output.travel.stand(database, chosen)
    output.say(_place(database, output))


# ---------------------------------------------------------------- moving


def _move(database: Database, output: Output, position: int | None, note: str = "") -> None:
    """Stands at a version, or in the present, and draws what is tracked there."""
    was = output.travel.here(database)
    output.travel.stand(database, position)
    output.say(_place(database, output) + note)
    _show(database, output, output.travel.tracked, was)


def _walk(database: Database, output: Output, found: list[int], wanted: int, *, where: str) -> None:
    """Goes to the last version that was found, if any was; `where` it was looked for, after or before this one."""
    here = output.travel.here(database)
    if not found:
        output.say(f"nothing that is tracked is different {where} version {here:,}")
        return
    versions = abs(found[-1] - here)
    note = f" · {count(versions, 'version')} {'on' if where == 'after' else 'back'}"
    if versions > len(found):
        note += f", {versions - len(found):,} unchanged"
    if len(found) < wanted:
        note += f" · that is all: {count(len(found), 'change')}"
    _move(database, output, found[-1], note)


def _bar(output: Output) -> Bar:
    """For what looks at many versions."""
    return Bar(output.stream, "looking", lambda total: count(total, "version"))


def _count(argument: str, name: str) -> int:
    if argument and not (argument.isdecimal() and int(argument)):
        raise HeadwaterError(f'{name} takes a number of changes, not "{argument}"')
    return int(argument or 1)


# ---------------------------------------------------------------- what is shown


def _place(database: Database, output: Output) -> str:
    """`version 42 of 99 · 2026-11-26 22:10:03 UTC`."""
    position = output.travel.position(database)
    if position is None:
        return f"the present, version {database.version:,}"
    return f"version {position:,} of {database.version:,} · {time_of(position, database)}"


def _show(database: Database, output: Output, questions: list[Tracked], was: int | None = None) -> None:
    """Draws questions as of here, marked against the version where the user was."""
    travel = output.travel
    here = travel.here(database)
    for tracked in questions:
        after = travel.at(database, tracked, here)
        if output.settings.format != "table":
            output.show(after)
            continue
        before = travel.before(database, tracked, was)
        rows = marked(before, after, tracked.key, _limit(output), ends_last=tracked.ends_last)
        _draw(output, tracked, rows, summary(rows))


def _draw(output: Output, tracked: Tracked, rows: Marked, said: str) -> None:
    screen = Screen.of(output.stream)
    title = [("bold", visible(tracked.name)), ("dim", f" · {said}")]
    output.stream.write(painted([title, *table(rows, screen)], screen))
    output.stream.flush()


def _limit(output: Output) -> int:
    limit = output.settings.row_limit
    return sys.maxsize if limit is None else limit


# ---------------------------------------------------------------- bisect


@dataclass(frozen=True, slots=True)
class _Options:
    since: int = 0
    linear: bool = False


def _options(argument: str) -> tuple[_Options, str]:
    """The options that stand before a condition, and the condition."""
    since, linear = 0, False
    while option := _OPTION.match(argument):
        since, linear = int(option[2] or since), linear or option[1] == "linear"
        argument = argument[option.end() :]
    if not argument or argument.startswith("--"):
        raise HeadwaterError(
            "\\bisect needs a condition, which holds and then does not",
            hint="\\bisect [--since VERSION] [--linear] (SELECT sum(balance) FROM accounts) = 0",
        )
    return _Options(since, linear), argument


def _said(found: Found, database: Database, upto: int, options: _Options) -> str:
    """What was found, in a sentence or two."""
    asked = f"{count(found.asked, 'question')}, {count(found.versions, 'version')} to look at"
    if found.first is None:
        said = f"it holds at version {upto:,} ({asked})"
        return said if options.linear else f"{said}\n\\bisect --linear finds out whether it ever was false before"
    if found.before is None:
        said = f"it is false at version {found.first:,} already, the earliest looked at ({asked})"
        return f"{said}\n\\bisect --since VERSION begins later"
    said = f"first false at version {found.first:,}, {time_of(found.first, database)} ({asked})"
    return (
        said
        if options.linear
        else f"{said}\nthat is right if, once false, it stays false: \\bisect --linear takes nothing for granted"
    )


def _show_found(found: Found, database: Database, output: Output) -> None:
    """The same for programs."""
    time = None if found.first is None else time_of(found.first, database)
    columns = (Column("first_false", "BIGINT"), Column("committed", "VARCHAR"), Column("questions", "BIGINT"))
    row = (found.first, time, found.asked)
    output.show(Result.of_rows(columns, [row], [pa.int64(), pa.string(), pa.int64()]))


def _show_changes(database: Database, output: Output, sql: str, version: int) -> None:
    """Draws what a version changed in what an assertion reads, and in what is tracked."""
    if output.settings.format != "table":
        return
    travel = output.travel
    questions = {question.sql: question for question in (*read_by(sql, database), *travel.tracked)}
    for question in questions.values():
        before, after = travel.at(database, question, version - 1), travel.at(database, question, version)
        if (found := changes(before, after, question.key, _limit(output))).is_different:
            _draw(output, question, found, differences(found))
