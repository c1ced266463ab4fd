"""CSV, JSON and NDJSON, against the readers of the standard library where there is one."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa

from headwater.repl.writers import WRITERS
from headwater.values import Column

COLUMNS = (Column("id", "BIGINT"), Column("name", "VARCHAR"), Column("tags", "VARCHAR[]"))
ROWS = [(1, "plain", ["a", "b"]), (2, 'with "quotes", commas\nand lines', []), (None, None, None), (4, "", ["ü"])]


def written(format: str, columns: tuple[Column, ...], *batches: list[tuple[Any, ...]]) -> str:
    types = [{"BIGINT": pa.int64(), "VARCHAR[]": pa.list_(pa.string())}.get(c.type, pa.string()) for c in columns]
    stream = io.StringIO()
    writer = WRITERS[format](columns, stream.write)
    for rows in batches:
        values = [pa.array([row[i] for row in rows], type) for i, type in enumerate(types)]
        writer.add(pa.RecordBatch.from_arrays(values, [c.name for c in columns]))
    writer.close()
    return stream.getvalue()


def test_csv_quotes_only_what_needs_it_and_tells_null_from_empty() -> None:
    assert written("csv", COLUMNS, ROWS) == (
        'id,name,tags\n1,plain,"[""a"", ""b""]"\n2,"with ""quotes"", commas\nand lines",[]\n,,\n4,"","[""ü""]"\n'
    )


def test_csv_is_read_back_by_a_csv_reader() -> None:
    lines = list(csv.reader(io.StringIO(written("csv", COLUMNS, ROWS))))
    assert [line[1] for line in lines] == ["name", *(row[1] or "" for row in ROWS)]


def test_ndjson_has_one_object_per_line() -> None:
    lines = written("ndjson", COLUMNS, ROWS).splitlines()
    assert [tuple(json.loads(line).values()) for line in lines] == ROWS


def test_json_is_one_array_however_many_batches_there_were() -> None:
    text = written("json", COLUMNS, ROWS[:1], [], ROWS[1:])
    assert [tuple(row.values()) for row in json.loads(text)] == ROWS


def test_no_rows_are_an_empty_array_no_lines_and_a_csv_header() -> None:
    assert written("json", COLUMNS) == "[]\n"
    assert written("ndjson", COLUMNS) == ""
    assert written("csv", COLUMNS) == "id,name,tags\n"


def test_columns_of_one_name_get_keys_of_their_own() -> None:
    columns = (Column("n", "BIGINT"), Column("n", "BIGINT"), Column("n_1", "BIGINT"))
    assert json.loads(written("ndjson", columns, [(1, 2, 3)])) == {"n": 1, "n_1": 2, "n_1_1": 3}


def test_a_json_column_is_part_of_the_document_and_of_its_line() -> None:
    columns = (Column("body", "JSON"),)
    text = written("ndjson", columns, [('{"a":\n [1, 2]}',), (None,)])
    assert [json.loads(line) for line in text.splitlines()] == [{"body": {"a": [1, 2]}}, {"body": None}]


def test_tsv_escapes_what_would_break_its_lines_and_tells_null_from_empty() -> None:
    columns = (Column("a", "VARCHAR"), Column("b", "VARCHAR"))
    text = written("tsv", columns, [("tab\there", None), ("two\nlines", "back\\slash"), ("", "ü")])
    assert text == "a\tb\ntab\\there\t\\N\ntwo\\nlines\tback\\\\slash\n\tü\n"


def test_markdown_is_a_table_with_numbers_to_the_right() -> None:
    assert written("markdown", COLUMNS[:2], [(1, "a|b"), (None, "two\nlines")]) == (
        "| id | name |\n| ---: | --- |\n| 1 | a\\|b |\n| NULL | two<br>lines |\n"
    )
