"""`headwater tail FILE "SELECT …"`: SQL over a file of lines, or a pipe, as it grows. No database is made on disk.

The rows are those of a stream in memory that is called tail, or stdin if the query says so. Its columns are what the
first lines have; a later line that does not fit is left out and counted, and the first of them shown at the end.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TextIO

from headwater.engine.database import Database, connect
from headwater.engine.file_columns import columns_of
from headwater.engine.file_rows import filled, header_of, read_piece, whole_rows
from headwater.engine.subscription import Subscription
from headwater.errors import SqlError, StorageError
from headwater.parser import parse_statement, quote, syntax, unparse
from headwater.planner.file_options import ENDINGS, FORMATS, FileOptions
from headwater.repl.live import show_live
from headwater.repl.output import Output
from headwater.repl.settings import FORMATS as OUTPUT_FORMATS
from headwater.repl.settings import Settings
from headwater.storage.files import matching_files
from headwater.values import Column

_EXAMPLES = """\
examples:
  headwater tail app.jsonl "SELECT level, count(*) AS n GROUP BY level"     the answer for what is there
  headwater tail -f app.jsonl "SELECT time, msg WHERE level = 'error'"      and rows as they come, until Ctrl-C
  journalctl -f -o json | headwater tail - "SELECT MESSAGE FROM stdin"      from a pipe, until it ends
  headwater tail trips.csv "SELECT * ORDER BY km DESC LIMIT 3" --format csv
"""
READ_BYTES = 1 << 20
WAIT_SECONDS = 0.1  # after which who waits for a line sees whether somebody still watches
FIRST_SECONDS = 0.3  # how long the first lines of a pipe are waited for, after the first of them


def run(arguments: Sequence[str], prepared: Callable[[TextIO, str], TextIO]) -> int:
    """Run the command with its arguments and give the exit code. `prepared` sets a stream for a format."""
    parser = argparse.ArgumentParser(
        prog="headwater tail", description="SQL over a file, or a pipe, as it grows.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", help="lines of JSON or CSV, Parquet or Arrow; a pattern; - is a pipe")
    parser.add_argument("sql", nargs="?", metavar="SQL", default="SELECT *", help="a query; FROM can be left out")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as the file grows, and show what changes")
    parser.add_argument(
        "--input", choices=FORMATS, help="how FILE is written (default: by its ending, or its first byte)"
    )
    parser.add_argument("--format", choices=OUTPUT_FORMATS, default="table", help="how rows are printed")
    options = parser.parse_args(arguments)
    output = Output(prepared(sys.stdout, options.format), Settings.of_script(options.format))
    name, sql = query_of(options.sql)
    with connect() as database:
        if options.file == "-":
            _from_pipe(database, output, name, sql, options.input, is_live=options.follow or sys.stdout.isatty())
        else:
            _from_file(database, output, name, sql, options.file, options.input, options.follow)
    return 0


def query_of(sql: str) -> tuple[str, str]:
    """What the stream of lines is called in a query, and the query with it where FROM is left out."""
    statement = parse_statement(sql)
    if not isinstance(statement, syntax.Query):
        error = SqlError("only a query can be asked of a file", statement.span, hint='headwater tail FILE "SELECT …"')
        raise error.attach(sql)
    named = {node.name.text.lower() for node in syntax.walk(statement) if isinstance(node, syntax.Relation)}
    name = "stdin" if "stdin" in named else "tail"
    body = statement.body
    if isinstance(body, syntax.Select) and body.source is None:
        body = replace(body, source=syntax.Relation(syntax.Identifier(name)))
    emit = None if statement.emit == "CHANGES" else statement.emit
    return name, unparse(replace(statement, body=body, emit=emit))


# ---------------------------------------------------------------- a file


def _from_file(
    database: Database, output: Output, name: str, sql: str, file: str, input: str | None, follow: bool
) -> None:
    format = input or _format_of(file)
    words = {"connector": "file", "path": file, "follow": str(follow).lower(), "format": format}
    listed = ", ".join(f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in words.items())
    database.sql(f"CREATE STREAM {name} WITH ({listed})")
    try:
        if follow:
            show_live(database.subscribe(sql), output.sink, output.format)
        else:
            output.show(database.sql(sql))
    finally:
        bad = database.sql(f"SELECT cause, row FROM {name}_errors").fetchall()
        _tell_of_bad(len(bad), bad[0] if bad else None)


def _format_of(file: str) -> str:
    """The format of a file, by its ending or by its first byte."""
    found = matching_files(file)
    if not found:
        raise StorageError(f"there is no file '{file}'", hint="- reads standard input")
    ending = next((format for end, format in ENDINGS.items() if found[0].lower().endswith(end)), None)
    if ending is not None and ending != "json":
        return ending
    with open(found[0], "rb") as opened:
        return told_by(opened.read(1024))


def told_by(data: bytes) -> str:
    """The format that the first bytes of a file look like."""
    return "ndjson" if data.lstrip()[:1] == b"{" else "csv"


def _tell_of_bad(count: int, first: tuple[str, str] | None) -> None:
    if first is not None:
        lines = "1 line was" if count == 1 else f"{count:,} lines were"
        sys.stderr.write(f"{lines} left out: {first[0]}: {first[1][:200]}\n")


# ---------------------------------------------------------------- a pipe


def _from_pipe(database: Database, output: Output, name: str, sql: str, input: str | None, *, is_live: bool) -> None:
    pipe = Pipe(database, name, sys.stdin.fileno(), input)
    try:
        if not pipe.define():
            return
        subscription = _watched(database, sql)
        if subscription is None or not (is_live or subscription.is_append_only):
            pipe.read_all()
        else:
            feeding = threading.Thread(target=pipe.feed, args=(subscription,), daemon=True)
            feeding.start()
            show_live(subscription, output.sink, output.format)
            feeding.join()  # a thread that runs when the program ends would end it badly
            if pipe.failure is not None:
                raise pipe.failure
            if subscription.is_append_only:
                return
        output.show(database.sql(sql))
    finally:
        _tell_of_bad(pipe.bad, pipe.first_bad)


def _watched(database: Database, sql: str) -> Subscription | None:
    """The changes of a query; None for one that is answered only at the end, as one with an ORDER BY and no LIMIT."""
    try:
        return database.subscribe(sql)
    except SqlError:
        return None  # asked at the end, which says what is wrong if it is more than that


class Pipe:
    """Lines that come, on their way into a stream of a database."""

    def __init__(self, database: Database, name: str, descriptor: int, input: str | None) -> None:
        self._database = database
        self._name = name
        self._descriptor = descriptor
        self._options = FileOptions(input or "ndjson")
        self._is_told = input is not None
        self._names: list[str] = []
        self._columns: tuple[Column, ...] = ()
        self._rest = b""  # what has come behind the last whole line
        self._is_open = True
        self.bad = 0
        self.first_bad: tuple[str, str] | None = None
        self.failure: Exception | None = None

    def define(self) -> bool:
        """Make the stream, with the columns of the first lines; False if there are none."""
        self._read_first()
        if not self._rest.strip():
            return False
        if not self._is_told:
            self._options = FileOptions(told_by(self._rest))
        if self._options.format not in ("csv", "ndjson"):
            raise StorageError(f"{self._options.format} cannot be read from a pipe", hint="csv or ndjson can")
        with tempfile.NamedTemporaryFile(suffix=f".{self._options.format}") as first:
            first.write(self._rest[: whole_rows(self._rest, self._options)])
            first.flush()
            self._columns = columns_of(first.name, self._options)
        if self._options.format == "csv":
            self._names, begin = header_of(self._rest, self._options)
            self._rest = self._rest[begin:]
        listed = ", ".join(f"{quote(c.name)} {c.type}" for c in self._columns)
        self._database.sql(f"CREATE STREAM {self._name} ({listed})")
        self._append()
        return True

    def read_all(self) -> None:
        """Take all lines up to the end of the pipe."""
        while self._is_open:
            self._receive()
            self._append()

    def _read_while(self, subscription: Subscription) -> None:
        """Take lines up to the end of the pipe, or until nobody watches any more."""
        while self._is_open and not subscription.finished:
            if select.select([self._descriptor], [], [], WAIT_SECONDS)[0]:
                self._receive()
                self._append()

    def feed(self, subscription: Subscription) -> None:
        """Take all lines, and close the subscription when it has been given what follows from the last one."""
        try:
            self._read_while(subscription)
            self._database.settle()
            while not subscription.finished and (subscription.version or 0) < self._database.version:
                time.sleep(0.005)
        except Exception as error:
            self.failure = error  # which the other thread raises
        finally:
            subscription.close()

    def _read_first(self) -> None:
        """Wait for the first whole lines, and those that come right behind."""
        while self._is_open and self._rest.count(b"\n") < 2:
            self._receive()
            if self._rest.endswith(b"\n") and self._rest.lstrip()[:1] == b"{":
                break
        until = time.monotonic() + FIRST_SECONDS
        while self._is_open and len(self._rest) < READ_BYTES and (left := until - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], left)[0]:
                self._receive()

    def _receive(self) -> None:
        data = os.read(self._descriptor, READ_BYTES)
        self._is_open = bool(data)
        self._rest += data if data or not self._rest or self._rest.endswith(b"\n") else b"\n"

    def _append(self) -> None:
        """Append the rows that are whole."""
        end = whole_rows(self._rest, self._options) if self._is_open else len(self._rest)
        data, self._rest = self._rest[:end], self._rest[end:]
        if not data.strip():
            return
        piece = read_piece(data, self._options, self._names, self._columns)
        self.bad += len(piece.bad)
        if piece.bad and self.first_bad is None:
            self.first_bad = piece.bad[0].cause, piece.bad[0].text
        if len(piece.numbers):
            relation = self._database.pipeline.catalog.relations[self._name]
            self._database.append(self._name, filled(relation, piece.rows, len(piece.numbers)))
