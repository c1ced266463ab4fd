"""Functions by ksqlDB's names: what each gives, after the examples of ksqlDB's documentation."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pytest

from headwater.engine.database import connect
from headwater.errors import SqlError, Unsupported
from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import Catalog, bind_query, plan_snapshot
from headwater.planner.functions import FUNCTIONS
from headwater.planner.sql_types import open_duckdb
from headwater.planner.time_formats import duckdb_format
from tests.planner.shop import catalog_of

CON = open_duckdb(threads=1)


def parsed(sql: str) -> Query:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return query


def value(expression: str) -> Any:
    """The value of an expression in a snapshot query."""
    ((found,),) = CON.execute(plan_snapshot(parsed(f"SELECT {expression}"), Catalog()).sql).fetchall()
    return found


NUMBERS: list[tuple[str, Any]] = [
    ("abs(-3)", 3),
    ("as_value(5)", 5),
    ("cbrt(8)", 2.0),
    ("ceil(1.2)", 2),
    ("floor(1.8)", 1),
    ("generate_series(1, 5, 2)", [1, 3, 5]),
    ("round(geo_distance(37.4439, -122.1663, 51.5257, -0.1122), 2)", 8634.66),
    ("round(geo_distance(37.4439, -122.1663, 51.5257, -0.1122, 'KM'), 2)", 8634.66),
    ("round(geo_distance(-33.9323, 18.4197, -33.8666, 151.1, 'MI'), 2)", 6838.76),
    ("greatest(1, NULL, 3)", 3),
    ("least(2, NULL, 3)", 2),
    ("log(100)", 2.0),
    ("log(2, 8)", 3.0),
    ("power(2, 10)", 1024.0),
    ("sign(-3)", -1),
    ("trunc(1.7)", 1),
]

COLLECTIONS: list[tuple[str, Any]] = [
    ("array_concat([1, 2, 3, 1, 2], [4, 1])", [1, 2, 3, 1, 2, 4, 1]),
    ("array_concat(NULL, [1])", [1]),
    ("array_contains([1, 2, 3], 3)", True),
    ("array_except([1, 2, 3, 1, 2], [2, 3])", [1]),
    ("array_except(['apple', 'apple', NULL, 'cherry'], ['cherry'])", ["apple", None]),
    ("array_except([1], CAST(NULL AS INTEGER[]))", None),
    ("array_join([TRUE, NULL, FALSE], '|')", "true|null|false"),
    ("array_join([1, 23, -42, 0])", "1,23,-42,0"),
    ("array_join([1, 2], NULL)", "12"),
    ("array_join(CAST([] AS INTEGER[]), '|')", ""),
    ("array_length([1, 2, 3])", 3),
    ("array_max([-1, 2, NULL, 0])", 2),
    ("array_max(['Foo', 'Bar', NULL, 'baz'])", "baz"),
    ("array_min(['Foo', 'Bar', NULL, 'baz'])", "Bar"),
    ("array_min([FALSE, NULL, TRUE])", False),
    ("array_remove([1, 2, 3, 2, 1], 2)", [1, 3, 1]),
    ("array_remove([FALSE, NULL, TRUE, TRUE], FALSE)", [None, True, True]),
    ("array_remove(['Foo', 'Bar', NULL, 'baz'], NULL)", ["Foo", "Bar", "baz"]),
    ("array_sort([-1, 2, NULL, 0])", [-1, 0, 2, None]),
    ("array_sort([-1, 2, NULL, 0], 'DESC')", [2, 0, -1, None]),
    ("array_union([1, 2, 3, 1, 2], [4, 1])", [1, 2, 3, 4]),
    ("array_union(['apple', 'apple', NULL, 'cherry'], ['cherry'])", ["apple", None, "cherry"]),
    ("array_union([1], CAST(NULL AS INTEGER[]))", None),
    ("as_map(['apple', 'banana'], [10, 20])", {"apple": 10, "banana": 20}),
    ("elt(2, 'a', 'b', 'c')", "b"),
    ("elt(0, 'a', 'b')", None),
    ("elt(-1, 'a', 'b')", None),
    ("elt(9, 'a', 'b')", None),
    ("entries(as_map(['b', 'a'], [1, 2]), TRUE)", [{"K": "a", "V": 2}, {"K": "b", "V": 1}]),
    ("field('b', 'a', 'b')", 2),
    ("field('x', 'a', 'b')", 0),
    ("field(NULL, 'a', NULL)", 0),
    ("map_keys(as_map(['apple', 'banana'], [10, 20]))", ["apple", "banana"]),
    ("map_values(as_map(['apple', 'banana'], [10, 20]))", [10, 20]),
    ("map_union(as_map(['a', 'b'], [1, 2]), as_map(['a'], [5]))", {"a": 5, "b": 2}),
    ("map_union(as_map(['a'], [1]), NULL)", {"a": 1}),
    ("slice([1, 2, 3, 4], 2, 3)", [2, 3]),
]

LAMBDAS: list[tuple[str, Any]] = [
    ("transform([1, 2], x => x + 1)", [2, 3]),
    ("transform(MAP('a' := 1, 'b' := 2), (k, v) => ucase(k), (k, v) => v * 10)", {"A": 10, "B": 20}),
    ("filter([1, 2, 3], x => x > 1)", [2, 3]),
    ("reduce([1, 2, 3], 10, (s, x) => s + x)", 16),
    ("reduce(MAP('a' := 1, 'b' := 2), 10, (s, k, v) => s + v)", 13),
    ("reduce(['a', 'b'], '', (s, x) => concat(s, initcap(x)))", "AB"),
    ("transform([[1], [2, 3]], x => transform(x, y => y + array_length(x)))", [[2], [4, 5]]),
    ("list_reduce([1, 2], (a, x) -> a + x)", 3),
]

TEXT: list[tuple[str, Any]] = [
    ("chr(75)", "K"),
    (r"chr('\u004b')", "K"),
    (r"chr('\u597d')", "好"),
    ("concat('a', NULL, 'b')", "ab"),
    ("concat_ws(', ', 'apple', 'banana', NULL, 'date')", "apple, banana, date"),
    ("encode('616263', 'hex', 'utf8')", "abc"),
    ("encode('abc', 'ascii', 'base64')", "YWJj"),
    ("initcap('the  quick BROWN')", "The  Quick Brown"),
    ("instr('CORPORATE FLOOR', 'OR')", 2),
    ("instr('CORPORATE FLOOR', 'OR', 3)", 5),
    ("instr('CORPORATE FLOOR', 'OR', 3, 2)", 14),
    ("instr('CORPORATE FLOOR', 'OR', -3)", 5),
    ("instr('CORPORATE FLOOR', 'OR', -3, 2)", 2),
    ("instr('CORPORATE FLOOR', 'MISSING', 1)", 0),
    ("lcase('Ab')", "ab"),
    ("ucase('Ab')", "AB"),
    ("len('abc')", 3),
    ("lpad('Foo', 7, 'Bar')", "BarBFoo"),
    ("lpad('Foo', 2, 'Bar')", "Fo"),
    ("rpad('Foo', 7, 'Bar')", "FooBarB"),
    ("mask('My Test $123')", "Xx-Xxxx--nnn"),
    ("mask('My Test $123', '*', NULL, '1', NULL)", "*y *est $111"),
    ("mask_left('My Test $123', 4)", "Xx-Xest $123"),
    ("mask_right('My Test $123', 4)", "My Test -nnn"),
    ("mask_keep_left('My Test $123', 4)", "My Txxx--nnn"),
    ("mask_keep_right('My Test $123', 4)", "Xx-Xxxx-$123"),
    ("mask_right('ab', 4)", "xx"),
    ("regexp_split_to_array('aXbXc', 'X')", ["a", "b", "c"]),
    ("replace('foobar', 'foo', 'bar')", "barbar"),
    ("split('a,,b,', ',')", ["a", "", "b", ""]),
    ("split('ab', '')", ["a", "b"]),
    ("split_to_map('apple:=green/cherry:=red', '/', ':=')", {"apple": "green", "cherry": "red"}),
    ("split_to_map('a:1/a:2', '/', ':')", {"a": "2"}),
    ("split_to_map('a:1', '', ':')", None),
    ("substring('stream', 1, 4)", "stre"),
    ("trim('  a ')", "a"),
]

JSON: list[tuple[str, Any]] = [
    ('extractjsonfield(\'{"log": {"cloud": "gcp"}}\', \'$.log.cloud\')', "gcp"),
    ("extractjsonfield('{\"log\": {\"instance\": 4}}', '$.log.instance')", "4"),
    ("extractjsonfield('{}', '$.log')", None),
    ("extractjsonfield('no json', '$.log')", None),
    ("is_json_string('[1, 2, 3]')", True),
    ("is_json_string('null')", True),
    ("is_json_string('')", False),
    ("is_json_string('abc')", False),
    ("is_json_string(NULL)", False),
    ("json_array_contains('[1, 2, 3]', 3)", True),
    ("json_array_contains('[\"a\"]', 'b')", False),
    ("json_array_contains('{}', 3)", False),
    ("json_array_length('[1, [1, [2]], 3]')", 3),
    ("json_concat('{\"a\": 1}', '{\"b\": 2}')", '{"a":1,"b":2}'),
    ('json_concat(\'{"a": {"5": 6}}\', \'{"a": {"3": 4}}\')', '{"a":{"3":4}}'),
    ("json_concat('[1, [2]]', '[[[3]], [[[4]]]]')", "[1,[2],[[3]],[[[4]]]]"),
    ("json_concat('null', 'null')", "[null,null]"),
    ("json_concat('[1, 2]', '3')", "[1,2,3]"),
    ("json_concat('abc', '[1]')", None),
    ("json_concat(NULL, '[1]')", None),
    ("json_items('[1, {\"a\": 2}]')", ["1", '{"a":2}']),
    ('json_keys(\'{"a": "abc", "b": {"c": "a"}}\')', ["a", "b"]),
    ('json_records(\'{"a": "abc", "d": 1}\')', {"a": '"abc"', "d": "1"}),
    ("json_records('[]')", None),
    ("json_records('abc')", None),
    ("to_json_string(15.3)", "15.3"),
    ("to_json_string('abc')", '"abc"'),
    ("to_json_string(NULL)", "null"),
    ("to_json_string([1, 2])", "[1,2]"),
    ("to_json_string({'id': 1, 'name': 'A'})", '{"id":1,"name":"A"}'),
]

BYTES: list[tuple[str, Any]] = [
    ("from_bytes(encode('abc'), 'hex')", "616263"),
    ("to_bytes('YWJj', 'base64')", b"abc"),
    ("to_bytes('abc', 'utf8')", b"abc"),
    ("bigint_from_bytes(from_base64('AAAAASoF8gA='), 'BIG_ENDIAN')", 5000000000),
    ("double_from_bytes(from_base64('QICm/ZvJ9YI='))", 532.8738323),
    ("int_from_bytes(from_base64('AAAH5Q=='))", 2021),
    ("int_from_bytes(from_base64('5QcAAA=='), 'LITTLE_ENDIAN')", 2021),
    ("int_from_bytes(from_base64('AAAH5Q=='), 'SIDEWAYS')", None),
    ("int_from_bytes(encode('three'))", None),
]

TIMES: list[tuple[str, Any]] = [
    ("convert_tz(TIMESTAMP '2020-07-01 00:00:00', 'UTC', 'Europe/London')", datetime(2020, 7, 1, 1)),
    ("dateadd(DAYS, 3, DATE '2020-02-28')", date(2020, 3, 2)),
    ("datesub(MONTH, 1, DATE '2020-03-31')", date(2020, 2, 29)),
    ("timeadd(HOURS, 2, TIME '23:00:00')", time(1)),
    ("timesub(MINUTES, 1, TIME '00:00:30')", time(23, 59, 30)),
    ("timestampadd(MILLISECONDS, 5, TIMESTAMP '2020-01-01 00:00:00')", datetime(2020, 1, 1, 0, 0, 0, 5000)),
    ("timestampsub(DAY, 1 + 1, TIMESTAMP '2020-01-01 00:00:00')", datetime(2019, 12, 30)),
    ("format_date(DATE '2021-10-11', 'dd.MM.yyyy')", "11.10.2021"),
    ("format_time(TIME '13:25:10', 'HH:mm')", "13:25"),
    ("format_timestamp(TIMESTAMP '2021-06-30 12:18:39.446', 'yyyy-MM-dd''T''HH:mm:ss.SSS')", "2021-06-30T12:18:39.446"),
    ("format_timestamp(TIMESTAMP '2021-06-30 12:00:00', 'HH:mm', 'Europe/London')", "13:00"),
    ("from_days(50)", date(1970, 2, 20)),
    ("from_unixtime(5)", datetime(1970, 1, 1, 0, 0, 0, 5000)),
    ("from_unixtime(TIMESTAMP '2020-01-01 00:00:00')", datetime(2020, 1, 1)),
    ("parse_date('11/10/2021', 'dd/MM/yyyy')", date(2021, 10, 11)),
    ("parse_time('13:25', 'HH:mm')", time(13, 25)),
    (
        "parse_timestamp('2021-06-30 12:18:39.446', 'yyyy-MM-dd HH:mm:ss.SSS')",
        datetime(2021, 6, 30, 12, 18, 39, 446000),
    ),
    ("parse_timestamp('2021-06-30 12', 'yyyy-MM-dd HH', 'Europe/London')", datetime(2021, 6, 30, 11)),
    ("unix_date(DATE '1970-02-20')", 50),
    ("unix_timestamp(TIMESTAMP '1970-01-01 00:00:01')", 1000),
    ("datetostring(50, 'yyyy-MM-dd')", "1970-02-20"),
    ("stringtodate('1970-02-20', 'yyyy-MM-dd')", 50),
    ("timestamptostring(1000, 'HH:mm:ss')", "00:00:01"),
    ("stringtotimestamp('1970-01-01 01', 'yyyy-MM-dd HH')", 3_600_000),
]

URLS: list[tuple[str, Any]] = [
    ("url_decode_param('url%20encoded')", "url encoded"),
    ("url_decode_param(url_encode_param('?foo $bar'))", "?foo $bar"),
    ("url_encode_param('?foo $bar')", "%3Ffoo+%24bar"),
    ("url_extract_fragment('http://test.com#frag%20space')", "frag space"),
    ("url_extract_fragment('http://test.com')", None),
    ("url_extract_host('http://me@test.com:8080/path')", "test.com"),
    ("url_extract_host('not a url')", None),
    ("url_extract_parameter('http://test.com?a%20b=c%20d', 'a b')", "c d"),
    ("url_extract_parameter('http://test.com?a=foo&b=bar', 'b')", "bar"),
    ("url_extract_parameter('http://test.com?a=foo', 'c')", None),
    ("url_extract_path('http://test.com/path/to#a')", "/path/to"),
    ("url_extract_path('http://test.com')", ""),
    ("url_extract_port('http://localhost:8080/path')", 8080),
    ("url_extract_port('http://localhost/path')", None),
    ("url_extract_protocol('http://test.com?a=foo')", "http"),
    ("url_extract_query('http://test.com?a=foo%20bar&b=baz')", "a=foo bar&b=baz"),
]

# What DuckDB understands keeps DuckDB's meaning, where ksqlDB's is another.
DUCKDB_FIRST: list[tuple[str, Any]] = [
    ("regexp_extract('hello there', '(.*) (.*)', 2)", "there"),  # ksqlDB has the pattern first
    ("regexp_replace('aa', 'a', 'b')", "ba"),  # ksqlDB replaces all
    ("array_distinct([1, NULL, 1])", [1]),  # ksqlDB keeps NULL
    ("round(-1.5)", -2),  # ksqlDB rounds up
    ("json_array_length('{}')", 0),  # NULL in ksqlDB
]


@pytest.mark.parametrize(
    ("expression", "expected"), [*NUMBERS, *COLLECTIONS, *LAMBDAS, *TEXT, *JSON, *BYTES, *TIMES, *URLS, *DUCKDB_FIRST]
)
def test_a_function_gives_what_its_documentation_says(expression: str, expected: Any) -> None:
    assert value(expression) == expected


def test_no_definition_hides_a_function_of_duckdb() -> None:
    known = {row[0] for row in CON.execute("SELECT function_name FROM duckdb_functions() WHERE internal").fetchall()}
    assert not known & FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("array_remove([1, 2], x) FROM (SELECT 2 AS x) AS q", [1]),
        ("array_union(x, a) FROM (SELECT [2] AS x, [3] AS a) AS q", [2, 3]),
        ("transform([1, 2], x => array_remove([1, 2], x))", [[2], [1]]),
        ("array_remove(array_remove([1, 2, 3], 1), 3)", [2]),
        ("transform(['a b'], s => initcap(s))", ["A B"]),
    ],
)
def test_what_a_definition_calls_its_own_is_not_mistaken_for_a_column(sql: str, expected: Any) -> None:
    assert value(sql) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("geo_distance(95, 0, 0, 0)", "latitude"),
        ("geo_distance(5, 0, 0, 0, 'parsecs')", "KM or MI"),
        ("to_bytes('a', 'rot13')", "hex, utf8, ascii or base64"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(expression: str, message: str) -> None:
    with pytest.raises(Exception, match=message):
        value(expression)


# ---------------------------------------------------------------- aggregates

VALUES = (1, 5, 3, None, 5)
ROWS = " UNION ALL ".join(
    f"SELECT 'a' AS g, {'NULL' if v is None else v} AS v, {offset} AS ROWOFFSET, 0 AS ROWPARTITION"
    for offset, v in enumerate(VALUES)
)

AGGREGATES: list[tuple[str, Any]] = [
    ("avg(v)", 3.5),
    ("attr(g)", "a"),
    ("attr(v)", None),
    ("collect_list(v)", [1, 5, 3, None, 5]),
    ("array_sort(collect_set(v) FILTER (WHERE v > 1))", [3, 5]),
    ("round(correlation(v, v * 2), 6)", 1.0),
    ("count_distinct(v)", 3),
    ("earliest_by_offset(v)", 1),
    ("earliest_by_offset(v, 2)", [1, 5]),
    ("histogram(g)", {"a": 5}),
    ("latest_by_offset(v)", 5),
    ("latest_by_offset(v, 3)", [5, 3, 5]),
    ("latest_by_offset(CASE WHEN ROWOFFSET = 4 THEN NULL ELSE v END)", 3),
    ("latest_by_offset(CASE WHEN ROWOFFSET = 4 THEN NULL ELSE v END, FALSE)", None),
    ("round(stddev_samp(v), 4)", 1.9149),
    ("round(stddev_sample(v), 4)", 1.9149),
    ("topk(v, 2)", [5, 5]),
    ("topkdistinct(v, 2)", [5, 3]),
    ("topkdistinct(v, 9) FILTER (WHERE v < 5)", [3, 1]),
]


@pytest.mark.parametrize(("call", "expected"), AGGREGATES)
def test_an_aggregate_gives_what_its_documentation_says(call: str, expected: Any) -> None:
    assert value(f"{call} FROM ({ROWS}) AS rows") == expected


@pytest.mark.parametrize(
    ("call", "rows"),
    [("explode([1, 2])", [(1,), (2,)]), ("cube_explode(['a', NULL])", [([None, None],), (["a", None],)])],
)
def test_a_table_function_gives_several_rows(call: str, rows: list[Any]) -> None:
    assert CON.execute(plan_snapshot(parsed(f"SELECT {call}"), Catalog()).sql).fetchall() == rows


# ---------------------------------------------------------------- names, continuous queries, refusals

CATALOG = catalog_of("CREATE STREAM s (k INTEGER, v INTEGER, text VARCHAR, list INTEGER[])")


def test_a_column_is_named_by_what_was_written() -> None:
    bound = bind_query(
        parsed("SELECT initcap(text), elt(k, 'a', 'b'), dateadd(DAYS, k, DATE '2020-01-01') FROM s"), CATALOG
    )
    assert [c.name for c in bound.columns] == [
        "initcap(text)", "elt(k, 'a', 'b')", "dateadd(DAYS, k, CAST('2020-01-01' AS DATE))",
    ]  # fmt: skip
    assert [c.type for c in bound.columns] == ["VARCHAR", "VARCHAR", "DATE"]


@pytest.mark.parametrize(
    ("call", "type_name"),
    [("attr(text)", "VARCHAR"), ("attr(v + 1)", "INTEGER"), ("collect_list(v)", "INTEGER[]"),
     ("latest_by_offset(v)", "INTEGER"), ("earliest_by_offset(v, 2)", "INTEGER[]"),
     ("topkdistinct(v, 2)", "INTEGER[]")],
)  # fmt: skip
def test_an_aggregate_by_ksqldbs_name_is_kept_up_to_date(call: str, type_name: str) -> None:
    bound = bind_query(parsed(f"SELECT k, {call} AS a FROM s GROUP BY k"), CATALOG)
    assert [c.type for c in bound.columns] == ["INTEGER", type_name]


@pytest.mark.parametrize(
    ("items", "message", "place"),
    [
        ("k, geomean(v)", "geomean() is not supported in a continuous query yet", "geomean(v)"),
        ("unix_timestamp()",
         "now() stands in WHERE alone in a continuous query: ts > now() - INTERVAL 5 MINUTES, and the like",
         "unix_timestamp()"),
        ("format_date(DATE '2020-01-01', text)", "the format of format_date() must be a string", "text"),
        ("parse_date(text, 'yyyy-QQ')", "'QQ' in a format of times is not supported", "'yyyy-QQ'"),
    ],
)  # fmt: skip
def test_what_a_continuous_query_cannot_compute_is_refused_where_it_stands(
    items: str, message: str, place: str
) -> None:
    group = " GROUP BY k" if items.startswith("k, ") else ""
    sql = f"SELECT {items} FROM s{group} EMIT CHANGES"
    with pytest.raises(Unsupported) as caught:
        bind_query(parsed(sql), CATALOG)
    assert caught.value.message == message
    assert caught.value.span is not None and sql[caught.value.span.start : caught.value.span.end] == place


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("dateadd(FORTNIGHT, 1, DATE '2020-01-01')", '"FORTNIGHT" is not a unit of time'),
        ("topk(v)", "topk() takes 2 arguments, not 1"),
        ("array_union([1])", "array_union() takes 2 arguments, not 1"),
        ("MASK('a', 'b', 'c', 'd', 'e', 'f')", "MASK() takes 1 to 5 arguments, not 6"),
        ("initcap(DISTINCT 'a')", "initcap() is no aggregate"),
        ("transform(MAP('a' := 1), k => k, (k, v) => v)", "a map needs a function of a key and a value"),
        (r"chr('\uzzzz')", r"'\uzzzz' is not the code of a character"),
    ],
)
def test_a_call_that_cannot_be_rewritten_says_why(call: str, message: str) -> None:
    with pytest.raises(SqlError) as caught:
        plan_snapshot(parsed(f"SELECT {call}"), CATALOG)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "%Y-%m-%dT%H:%M:%S.%g"),
        ("d MMM yy h a", "%-d %b %y %-I %p"),
        ("''yy'o''clock'", "'%yo'clock"),
        ("100%", "100%%"),
        ("HHmmss", "%H%M%S"),
    ],
)
def test_a_format_of_times_is_translated(pattern: str, expected: str) -> None:
    assert duckdb_format(pattern) == expected


@pytest.mark.parametrize("pattern", ["QQ", "yyyyy", "'open", "SS"])
def test_a_format_that_has_no_translation_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        duckdb_format(pattern)


def test_every_function_gives_the_same_in_a_continuous_query() -> None:
    calls = [call for call, _ in (*NUMBERS, *COLLECTIONS, *LAMBDAS, *TEXT, *JSON, *BYTES, *TIMES, *URLS)]
    items = ", ".join(f"{call} AS c{i}" for i, call in enumerate(calls))
    with connect(None, background=False) as db:
        db.execute(f"CREATE STREAM s (k INTEGER); CREATE TABLE t AS SELECT {items} FROM s; INSERT INTO s VALUES (1)")
        assert db.sql("SELECT * FROM t").fetchall() == db.sql(f"SELECT {items} FROM s").fetchall()


def test_functions_of_columns_are_kept_up_to_date() -> None:
    with connect(None, background=False) as db:
        db.execute("""
            CREATE STREAM s (x VARCHAR, list INTEGER[]);
            CREATE TABLE t AS SELECT initcap(x) AS name, array_join(array_remove(list, 1), x) AS rest FROM s
                              WHERE array_max(list) > 1 AND mask(x) <> 'n';
            INSERT INTO s VALUES (initcap('a b'), [1, 2, 3]), ('c', [1]), ('5', [7]), (NULL, [8, 9]);
        """)
        assert db.sql("SELECT * FROM t").fetchall() == [("A B", "2A B3")]
