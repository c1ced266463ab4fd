"""What a value looks like, to people and in JSON. Types as DuckDB gives them, so the arrays come from DuckDB."""

from __future__ import annotations

import json

import duckdb
import pyarrow as pa
import pytest

from headwater.engine.cells import json_texts, texts


def column(expressions: str) -> pa.Array:
    """A column of the values of a SQL list of expressions."""
    table = duckdb.connect().sql(f"SELECT unnest([{expressions}]) AS v").to_arrow_table()
    return table.column(0).combine_chunks()


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("true", "true"),
        ("42", "42"),
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("12.50::DECIMAL(10, 2)", "12.50"),
        ("0.0000000001::DECIMAL(20, 10)", "0.0000000001"),
        ("1::DOUBLE", "1.0"),
        ("0.1::FLOAT", "0.1"),
        ("'nan'::DOUBLE", "nan"),
        ("'-inf'::DOUBLE", "-inf"),
        ("'text'", "text"),
        ("''", ""),
        (r"'ab\xAA\x5C'::BLOB", r"ab\xAA\x5C"),
        ("DATE '2026-01-02'", "2026-01-02"),
        ("TIME '10:30:00'", "10:30:00"),
        ("TIME '10:30:00.25'", "10:30:00.25"),
        ("TIMESTAMP '2026-01-02 00:00:00'", "2026-01-02 00:00:00"),
        ("TIMESTAMP '2026-01-02 10:30:00.120'", "2026-01-02 10:30:00.12"),
        ("TIMESTAMP '20260-01-02 10:30:00'", "20260-01-02 10:30:00"),
        ("TIMESTAMP_NS '2026-01-02 10:30:00.000000001'", "2026-01-02 10:30:00.000000001"),
        ("'infinity'::TIMESTAMP", "infinity"),
        ("'-infinity'::DATE", "-infinity"),
        ("TIMESTAMPTZ '2026-01-02 10:30:00+02'", "2026-01-02 08:30:00+00"),
        ("'a'::ENUM ('a', 'b')", "a"),
        ("'8a6e0804-2bd0-4672-b79d-d97027f9071a'::UUID", "8a6e0804-2bd0-4672-b79d-d97027f9071a"),
        ("[1, NULL, 3]", "[1, null, 3]"),
        ("[1, 2]::INTEGER[2]", "[1, 2]"),
        ("{'street': 'High', 'zip': [1, 2]}", '{"street": "High", "zip": [1, 2]}'),
        ("MAP {'a': 1, 'b': NULL}", '{"a": 1, "b": null}'),
        ("MAP {7: {'x': 1.5}}", '{"7": {"x": 1.5}}'),
    ],
)
def test_a_value_is_written_as_people_read_it(expression: str, text: str) -> None:
    assert texts(column(f"{expression}, NULL")) == [text, None]


@pytest.mark.parametrize(
    "interval",
    ["1 year 2 months 3 days 04:05:06.5", "-14 months", "1 month -3 days", "-5 seconds", "0 seconds", "25 hours"],
)
def test_an_interval_is_written_as_duckdb_writes_it(interval: str) -> None:
    expected = duckdb.execute("SELECT ?::INTERVAL::VARCHAR", [interval]).fetchall()[0][0]
    assert texts(column(f"INTERVAL '{interval}'")) == [expected]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("true", "true"),
        ("42", "42"),
        ("12.50::DECIMAL(10, 2)", "12.50"),
        ("1e16::DOUBLE", "1e+16"),
        ("'nan'::DOUBLE", '"nan"'),
        ("'say \"hé\"\n'", r'"say \"hé\"\n"'),
        ("DATE '2026-01-02'", '"2026-01-02"'),
        ("TIMESTAMP '2026-01-02 10:30:00.5'", '"2026-01-02T10:30:00.5"'),
        ("TIMESTAMPTZ '2026-01-02 10:30:00+02'", '"2026-01-02T08:30:00Z"'),
        ("INTERVAL '1 day'", '"1 day"'),
        ("[TIMESTAMP '2026-01-02 10:30:00']", '["2026-01-02T10:30:00"]'),
        ("{'a': ['x', NULL], 'b': {'c': false}}", '{"a": ["x", null], "b": {"c": false}}'),
    ],
)
def test_a_value_keeps_its_type_in_json(expression: str, text: str) -> None:
    written = json_texts(column(f"{expression}, NULL"))
    assert written == [text, "null"]
    assert [json.loads(one) for one in written][1] is None


def test_part_of_a_nested_column_gives_the_same_texts_as_that_part_of_the_whole() -> None:
    values = column("[{'a': 1, 'm': MAP {'k': [1]}}], NULL, [], [{'a': 2, 'm': NULL}, NULL]")
    assert texts(values.slice(2)) == texts(values)[2:] == ["[]", '[{"a": 2, "m": null}, null]']


def test_a_column_without_values_has_no_texts() -> None:
    for type in (pa.null(), pa.list_(pa.int64()), pa.map_(pa.string(), pa.int64()), pa.struct([("a", pa.int64())])):
        assert texts(pa.array([], type)) == json_texts(pa.array([], type)) == []
