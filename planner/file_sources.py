"""CREATE STREAM … WITH (connector = 'file', …): what files a stream reads, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headwater.errors import SqlError, UnknownName
from headwater.parser import syntax
from headwater.planner.file_options import OF_CSV, FileSource, file_options, truth
from headwater.planner.properties import length_us

POLL_US = 200_000


def file_source(statement: syntax.CreateRelation, given: Mapping[str, syntax.Property]) -> FileSource | None:
    """The files that a CREATE says are the source of a stream; None if it says nothing of files."""
    connector = given.get("connector")
    if connector is None:
        for name in ("path", *OF_CSV, "follow", "poll"):
            if name in given:
                raise SqlError(f"{name} is about files", given[name].span, hint="write connector = 'file' too")
        return None
    if connector.value.lower() != "file":
        raise UnknownName(f'there is no connector "{connector.value}"', connector.span, hint="connectors: file")
    if statement.kind != "STREAM":
        raise SqlError("the rows of files are a stream", statement.name.span, hint="CREATE STREAM … WITH (…)")
    if "path" not in given:
        raise SqlError("the connector needs to know what files to read", connector.span, hint="path = 'dir/*.json'")
    path = given["path"]
    options = file_options(path.value, given, path.span)
    if options.format == "json":
        options = replace(options, format="ndjson")  # only of rows that are lines can it be said how far they are read
    poll = given.get("poll")
    poll_us = POLL_US if poll is None else length_us(poll.value)
    if poll_us is None:
        assert poll is not None
        raise SqlError(f"cannot read '{poll.value}' as a length of time", poll.span, hint="write poll = '1 second'")
    return FileSource(path.value, options, "follow" in given and truth(given["follow"]), poll_us)
