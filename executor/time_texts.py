"""Times written as text: few different texts come of many times, so each is written once.

`strftime(at, '%Y-%m-%d')` costs DuckDB some 60 ns a row, which is more than a whole GROUP BY. Its text depends on the
day alone. So the days of a batch are numbered, DuckDB writes those that it has not written before, and the rest is
copying.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from headwater.executor.key_index import numbered_values
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.logical import Expression
from headwater.planner.rewrite import tree_of
from headwater.values import Column

# The parts of a time that a directive shows: %-d, like %d, shows the day.
_UNITS_US = {
    86_400_000_000: frozenset("YymdbBaAjUWwuVG"),
    60_000_000: frozenset("HIMp"),
    1_000_000: frozenset("S"),
}
_DIRECTIVE = re.compile(r"%(-?.)")
_TIME_MAX = 1 << 62  # microseconds; beyond are infinities, which share their day with other times
_KEPT_MAX = 1 << 14  # texts that are kept for later batches


@dataclass(frozen=True)
class TimeText:
    """`strftime(column, format)`, whose value is the same for all times in a span of `unit_us`."""

    column: str
    format: str
    unit_us: int

    @property
    def name(self) -> str:
        """The name of the column that has the texts."""
        return f"$text {self.column} {self.format}"


class TimeTexts:
    """Columns of texts for rows of a batch. Those that were written before are kept."""

    def __init__(self, texts: Sequence[TimeText]) -> None:
        self.texts = tuple(texts)
        self._kept: dict[TimeText, dict[int, str | None]] = {text: {} for text in self.texts}

    def added_to(self, rows: pa.RecordBatch, con: duckdb.DuckDBPyConnection) -> pa.RecordBatch | None:
        """`rows` with a column for each text; None where a time is too far away to tell its day."""
        for text in self.texts:
            times = rows.column(text.column)
            numbers = times.view(pa.int64()).fill_null(0).to_numpy()
            if len(numbers) and max(int(numbers.max()), -int(numbers.min())) > _TIME_MAX:
                return None
            spans, first = numbered_values(numbers // text.unit_us)
            written = self._written(text, times.view(pa.int64()).fill_null(0).take(pa.array(first)), con)
            column = pa.DictionaryArray.from_arrays(
                pa.array(spans, mask=times.is_null().to_numpy(zero_copy_only=False) if times.null_count else None),
                written,
            )
            rows = rows.append_column(text.name, column.dictionary_decode())
        return rows

    def _written(self, text: TimeText, times: pa.Array, con: duckdb.DuckDBPyConnection) -> pa.Array:
        """The texts of times of different spans."""
        kept = self._kept[text]
        spans = (times.to_numpy() // text.unit_us).tolist()
        fresh = [place for place, span in enumerate(spans) if span not in kept]
        if fresh:
            given = pa.table({"time": times.take(pa.array(fresh)).view(pa.timestamp("us"))})
            con.register("times", given)
            format = unparse(syntax.Literal("string", text.format))
            written = con.sql(f"SELECT strftime(time, {format}) FROM times").fetchall()
            con.unregister("times")
            if len(kept) + len(fresh) > _KEPT_MAX:
                kept = self._kept[text] = {span: kept[span] for span in spans if span in kept}
            kept |= {spans[place]: value for place, (value,) in zip(fresh, written, strict=True)}
        return pa.array([kept[span] for span in spans], pa.string())


def with_text_columns(expression: Expression, columns: Sequence[Column]) -> tuple[Expression, list[TimeText]]:
    """`expression` over `columns` with texts of times read from columns of their own, and what those are."""
    if "strftime(" not in expression.sql:
        return expression, []
    times = {column.name for column in columns if column.type == "TIMESTAMP"}
    found: list[TimeText] = []

    def change(node: syntax.Node) -> syntax.Node | None:
        text = _text_of(node, times)
        if text is None:
            return None
        found.append(text)
        return syntax.Name((Identifier(text.name, quoted=True),))

    tree = syntax.rewrite(tree_of(expression.sql), change)
    if not found:
        return expression, []
    reads = (*expression.reads, *(text.name for text in found))
    return Expression(unparse(tree), expression.type, tuple(dict.fromkeys(reads))), found


def _text_of(node: syntax.Node, times: set[str]) -> TimeText | None:
    match node:
        case syntax.Call(
            name=name, arguments=(syntax.Name(parts=(part,)), syntax.Literal(kind="string", text=format))
        ) if name.lower() == "strftime" and part.text in times:
            unit = _unit(format)
            return None if unit is None else TimeText(part.text, format, unit)
    return None


def _unit(format: str) -> int | None:
    """The longest span of time in which a format gives one text; None for one that is not known."""
    shown = {directive.lstrip("-") for directive in _DIRECTIVE.findall(format)} - {"%"}
    if not shown <= frozenset().union(*_UNITS_US.values()):
        return None
    return min((unit for unit, directives in _UNITS_US.items() if shown & directives), default=None)
