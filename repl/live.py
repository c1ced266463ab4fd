"""The live display of a continuous query: its changes, written as they come; or at a terminal, where rows can be taken
back, a table that is updated in place (`live_view`).

Rows of an append-only query stand alone. Where rows can be taken back, each change says whether it adds (+) or
removes (-) its row: in the column `op` of a table, in `_op` and `_version` of the other formats.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine.render import TableWriter, count
from headwater.engine.result import ChangeBatch
from headwater.engine.subscription import Subscription
from headwater.engine.terminal import Screen
from headwater.planner.sql_types import arrow_schema
from headwater.repl.sinks import Sink
from headwater.repl.writers import RowWriter
from headwater.values import Column

# How long one wait lasts. A change ends it at once; it only bounds how long Ctrl-C takes where waits ignore signals.
_POLL_SECONDS = 0.5
_AT_ONCE = 1000  # changes that come at once and are shown, where it is to keep pace


def show_live(subscription: Subscription, sink: Sink, format: str, *, in_place: bool = True) -> None:
    """Show what `subscription` gives until it is finished, or until Ctrl-C; then close it.

    With `in_place` that is the table of its rows as they are now, at a terminal that can show one, if changes add up.
    """
    can_draw = format == "table" and Screen.of(sink.stream).can_move
    if in_place and can_draw and subscription.adds_up and not subscription.is_append_only:
        from headwater.repl.live_view import watch_table  # which needs a terminal

        watch_table(subscription, sink.stream)
    else:
        show_changes(subscription, sink, format, keep_pace=in_place and can_draw)


def show_changes(subscription: Subscription, sink: Sink, format: str, *, keep_pace: bool = False) -> None:
    """Write the changes of `subscription` to `sink` until it is finished, or until Ctrl-C; then close it.

    A table ends with the number of changes. To `keep_pace` with what nobody could read, only the last of very many
    changes that come at once are shown.
    """
    stream = sink.stream
    screen = Screen.of(stream)
    is_table = format == "table"
    if is_table and screen.width is not None:
        stream.write(screen.paint("changes as they come, until Ctrl-C", "dim") + "\n")
        stream.flush()
    writer = _writer(subscription, sink, screen, format)
    seen = hidden = 0
    try:
        while (batch := subscription.poll(_POLL_SECONDS)) is not None or not subscription.finished:
            if batch is not None:
                seen += len(batch)  # before they are shown: who sees a row may press Ctrl-C at once
                rows = batch.rows if subscription.is_append_only else _marked(batch, format)
                if keep_pace and len(batch) > _AT_ONCE:
                    passed = len(batch) - _AT_ONCE
                    hidden, rows = hidden + passed, rows.slice(passed)
                    stream.write(screen.paint(f"{screen.ellipsis} {count(passed, 'change')} not shown", "dim") + "\n")
                writer.add(rows)
                stream.flush()
    except KeyboardInterrupt:
        if screen.width is not None:
            stream.write("\n")  # the terminal has echoed ^C
    finally:
        subscription.close()
    writer.close()
    if is_table:
        said = f", {hidden:,} not shown" if hidden else ""
        stream.write(screen.paint(f"{count(seen, 'change')}{said}", "dim") + "\n")
    stream.flush()


def _writer(subscription: Subscription, sink: Sink, screen: Screen, format: str) -> RowWriter:
    """The writer for the rows that `_marked` makes, or for the plain rows of an append-only query."""
    can_retract = not subscription.is_append_only
    columns = subscription.columns
    if format == "table":
        sign = (Column("op", ""),) if can_retract else ()
        return TableWriter(sign + columns, screen, sink.stream.write, signs=can_retract)
    marks = (Column("_op", "VARCHAR"), Column("_version", "BIGINT")) if can_retract else ()
    return sink.writer(format, marks + columns, arrow_schema(marks + columns))


def _marked(batch: ChangeBatch, format: str) -> pa.RecordBatch:
    """The rows with what happened to them in front."""
    signs = pc.if_else(pa.array(batch.weights > 0), "+", "-")
    versions = pa.repeat(pa.scalar(batch.version, pa.int64()), batch.rows.num_rows)
    marks = [signs] if format == "table" else [signs, versions]
    columns = [*marks, *batch.rows.columns]
    return pa.RecordBatch.from_arrays(columns, names=[str(index) for index in range(len(columns))])
