"""Texts of times, each written once, are those that DuckDB writes for every row."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.evaluate import Evaluate
from headwater.executor.time_texts import TimeTexts, with_text_columns
from headwater.planner.logical import Expression, Filter, StreamSource
from headwater.values import Column, Delta

COLUMNS = (Column("at", "TIMESTAMP"), Column("day", "DATE"), Column("n", "BIGINT"))

# Around midnight, around 1970, leap days, years before Christ and far ahead.
times = st.none() | st.integers(-200_000_000_000_000_000, 200_000_000_000_000_000) | st.sampled_from(
    [0, -1, 1, 86_399_999_999, 86_400_000_000, 951_782_400_000_000, -62_198_755_200_000_001]
)  # fmt: skip
formats = st.lists(st.sampled_from(list("YymdbBaAjUWwuVGHIMpS")), min_size=1, max_size=4).map(
    lambda directives: " ".join(f"%{directive}" for directive in directives) + "'%%"
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        yield con


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def texts_in(sql: str) -> TimeTexts:
    return TimeTexts(with_text_columns(Expression(sql, "VARCHAR", ("at",)), COLUMNS)[1])


def column(some: list[int | None]) -> pa.RecordBatch:
    return pa.record_batch({"at": pa.array(some, pa.int64()).view(pa.timestamp("us"))})


@settings(deadline=None, max_examples=150)
@given(some=st.lists(times, min_size=1, max_size=12), more=st.lists(times, max_size=6), format=formats)
def test_they_are_what_duckdb_writes(
    some: list[int | None], more: list[int | None], format: str, con: duckdb.DuckDBPyConnection
) -> None:
    sql = f'strftime("at", {literal(format)})'
    made = texts_in(sql)
    (text,) = made.texts
    for batch in (some, more):
        rows = made.added_to(column(batch), con)
        assert rows is not None
        con.register("given", pa.Table.from_batches([column(batch)]))
        expected = [value for (value,) in con.sql(f"SELECT {sql} FROM given").fetchall()]
        assert rows.column(text.name).to_pylist() == expected


@pytest.mark.parametrize(
    "sql",
    [
        """strftime("at", '%f')""",  # of microseconds there are many
        """strftime("at", '%Y %c')""",
        """strftime("day", '%Y')""",
        """strftime("at" + to_days("n"), '%Y')""",
        """strftime("at", "n"::VARCHAR)""",
        """'strftime("at", ''%Y'')'""",
    ],
)
def test_other_expressions_stay_as_they_are(sql: str) -> None:
    expression = Expression(sql, "VARCHAR", ("at",))
    assert with_text_columns(expression, COLUMNS) == (expression, [])


def test_a_text_is_found_anywhere_in_an_expression() -> None:
    expression = Expression("""upper(strftime("at", '%b')) || strftime("at", '%H:%M')""", "VARCHAR", ("at",))
    rewritten, texts = with_text_columns(expression, COLUMNS)
    assert [(text.format, text.unit_us) for text in texts] == [("%b", 86_400_000_000), ("%H:%M", 60_000_000)]
    assert rewritten.sql == 'upper("$text at %b") || "$text at %H:%M"'


def test_times_beyond_all_calendars_are_left_to_duckdb(con: duckdb.DuckDBPyConnection) -> None:
    assert texts_in("""strftime("at", '%Y')""").added_to(column([0, 2**63 - 1]), con) is None


@pytest.mark.parametrize("rest", ["", """ AND "n" % 3 <> 1 AND regexp_matches("n"::VARCHAR, '.')"""])
def test_a_filter_alone_gives_its_columns_without_the_texts(rest: str) -> None:
    condition = Expression(f"""strftime("at", '%S') = '01'{rest}""", "BOOLEAN", ("at", "n"))
    leaf = StreamSource(1, "s", (Column("at", "TIMESTAMP"), Column("n", "BIGINT")))
    rows = column([0, 1_000_000, 2_000_000]).append_column("n", pa.array([1, 2, 3]))
    found = Evaluate((Filter(leaf, condition),)).step(Delta(rows)).rows
    assert found.schema.names == ["at", "n"] and found.column("n").to_pylist() == [2]
