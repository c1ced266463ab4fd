"""What text means: statement to tree. The forms are in the order of the grammar."""

from __future__ import annotations

import time

import pytest

from headwater.errors import SyntaxProblem, Unsupported
from headwater.parser import parse, parse_statement, unparse
from headwater.parser import syntax as ast
from headwater.parser.keywords import KEYWORDS, RESERVED
from headwater.parser.parse import DEPTH_MAX
from headwater.parser.syntax import Identifier, Literal, Name


def name(text: str) -> Name:
    return Name(tuple(Identifier(part) for part in text.split(".")))


def number(text: str) -> Literal:
    return Literal("number", text)


def expression(sql: str) -> ast.Expression:
    query = parse_statement(f"SELECT {sql}")
    assert isinstance(query, ast.Query) and isinstance(query.body, ast.Select)
    (item,) = query.body.items
    return item.expression


# ---------------------------------------------------------------- trees


def test_create_stream_has_columns_and_properties() -> None:
    sql = "CREATE STREAM bids (auction BIGINT KEY, at TIMESTAMP NOT NULL) WITH (PARTITIONS = 4, timestamp = 'at')"
    assert parse_statement(sql) == ast.CreateRelation(
        "STREAM",
        Identifier("bids"),
        (
            ast.ColumnDefinition(Identifier("auction"), "BIGINT", key=True),
            ast.ColumnDefinition(Identifier("at"), "TIMESTAMP", not_null=True),
        ),
        (ast.Property("partitions", "4"), ast.Property("timestamp", "at")),
    )


def test_a_primary_key_over_several_columns_marks_each_of_them() -> None:
    statement = parse_statement("CREATE TABLE t (a INT, b INT, c INT, PRIMARY KEY (A, c))")
    assert isinstance(statement, ast.CreateRelation)
    assert [column.primary_key for column in statement.columns] == [True, False, True]


def test_a_materialized_view_is_a_table() -> None:
    assert parse_statement("CREATE MATERIALIZED VIEW v AS SELECT 1") == parse_statement("CREATE TABLE v AS SELECT 1")
    assert parse_statement("DROP MATERIALIZED VIEW v") == ast.Drop("TABLE", Identifier("v"))


def test_a_window_counts_in_microseconds() -> None:
    sql = "SELECT 1 FROM t WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 500 MILLISECONDS, GRACE PERIOD 0 SECONDS)"
    query = parse_statement(sql)
    assert isinstance(query, ast.Query) and isinstance(query.body, ast.Select)
    assert query.body.window == ast.Window("HOPPING", 60_000_000, 500_000, grace_us=0)


def test_as_of_before_and_after_the_alias_is_the_same() -> None:
    assert parse_statement("SELECT * FROM hot AS OF OFFSET 10 h") == parse_statement(
        "SELECT * FROM hot h AS OF OFFSET 10"
    )


@pytest.mark.parametrize(
    ("written", "as_of"),
    [
        ("AS OF OFFSET 10", ast.AsOf("offset", "10")),
        ("AS OF OFFSET (0 => 120, people => 98)", ast.AsOf("offsets", positions=((0, 120), ("people", 98)))),
        ("AS OF VERSION 42", ast.AsOf("version", "42")),
        ("AS OF TIMESTAMP '2026-01-01'", ast.AsOf("timestamp", "2026-01-01")),
        ("AS OF '2026-01-01'", ast.AsOf("timestamp", "2026-01-01")),
        ("AS OF '5 minutes ago'", ast.AsOf("ago", "5 minutes ago")),
        ("FOR SYSTEM_TIME AS OF '2026-01-01'", ast.AsOf("timestamp", "2026-01-01")),
        ("FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01'", ast.AsOf("timestamp", "2026-01-01")),
    ],
)
def test_a_point_of_the_log(written: str, as_of: ast.AsOf) -> None:
    relation = ast.Relation(Identifier("hot"), as_of=as_of)
    assert parse_statement(f"SELECT * FROM hot {written}") == ast.Query(
        ast.Select((ast.SelectItem(ast.Star()),), relation)
    )
    whole = parse_statement(f"SELECT * FROM a JOIN b USING (id) {written}")
    assert isinstance(whole, ast.Query) and whole.as_of == as_of


def test_emit_and_limit_come_in_either_order() -> None:
    assert parse_statement("SELECT a FROM t EMIT CHANGES LIMIT 3") == parse_statement(
        "SELECT a FROM t LIMIT 3 EMIT CHANGES"
    )


def test_parentheses_around_a_query_leave_no_trace() -> None:
    assert parse_statement("((SELECT 1))") == parse_statement("SELECT 1")
    assert parse_statement("(SELECT 1) UNION (SELECT 2)") == parse_statement("SELECT 1 UNION SELECT 2")
    assert expression("((SELECT 1))") == expression("(SELECT 1)")


@pytest.mark.parametrize(
    ("sql", "tree"),
    [
        ("a.b.c", name("a.b.c")),
        ('"A b"', Name((Identifier("A b", quoted=True),))),
        ("`A``b`", Name((Identifier("A`b", quoted=True),))),
        ("'it''s'", Literal("string", "it's")),
        ("$$it's$$", Literal("string", "it's")),
        ("1e3", number("1e3")),
        ("tRuE", Literal("boolean", "true")),
        ("NULL", Literal("null", "null")),
        ("DATE '2026-01-01'", ast.Cast(Literal("string", "2026-01-01"), "DATE")),
        ("x::INT", ast.Cast(name("x"), "INTEGER")),
        ("TRY_CAST(x AS INT)", ast.Cast(name("x"), "INTEGER", is_try=True)),
        ("INTERVAL 5 SECONDS", ast.Interval(number("5"), "SECOND")),
        ("INTERVAL '5 seconds'", ast.Interval(Literal("string", "5 seconds"))),
        ("EXTRACT(YEAR FROM x)", ast.Call("date_part", (Literal("string", "year"), name("x")))),
        ("x AT TIME ZONE 'UTC'", ast.Call("timezone", (Literal("string", "UTC"), name("x")))),
        ("count(*)", ast.Call("count", (ast.Star(),))),
        ("now()", ast.Call("now", ())),
        ("{'a': 1, b: 2}", ast.Struct((("a", number("1")), ("b", number("2"))))),
        ("ARRAY[1]", ast.Array((number("1"),))),
        ("x[1]", ast.Subscript(name("x"), number("1"))),
        ("a != b", ast.Binary("<>", name("a"), name("b"))),
        ("a IS NOT DISTINCT FROM b", ast.Binary("IS NOT DISTINCT FROM", name("a"), name("b"))),
        ("NOT a", ast.Unary("NOT", name("a"))),
        ("a IS NOT NULL", ast.Unary("IS NOT NULL", name("a"))),
        ("a NOT IN (1)", ast.In(name("a"), (number("1"),), negated=True)),
        ("a NOT BETWEEN 1 AND 2", ast.Between(name("a"), number("1"), number("2"), negated=True)),
    ],
)
def test_an_expression_is_this_tree(sql: str, tree: ast.Expression) -> None:
    assert expression(sql) == tree


# ---------------------------------------------------------------- canonical text


@pytest.mark.parametrize(
    ("sql", "canonical"),
    [
        ("select a, b c from t x where a=1", "SELECT a, b AS c FROM t AS x WHERE a = 1"),
        ("SELECT ALL 1", "SELECT 1"),
        ("SELECT DISTINCT a FROM t", "SELECT DISTINCT a FROM t"),
        ("SELECT t.* EXCLUDE a, * REPLACE (x+1 AS x)", "SELECT t.* EXCLUDE (a), * REPLACE (x + 1 AS x)"),
        ("SELECT 1 FROM a, b JOIN c USING (x)", "SELECT 1 FROM a CROSS JOIN (b JOIN c USING (x))"),
        ("SELECT 1 FROM a FULL OUTER JOIN b ON x = y", "SELECT 1 FROM a FULL JOIN b ON x = y"),
        ("SELECT 1 FROM a SEMI JOIN b USING (x)", "SELECT 1 FROM a SEMI JOIN b USING (x)"),
        ("SELECT 1 FROM ((SELECT 1) UNION SELECT 2) d", "SELECT 1 FROM (SELECT 1 UNION SELECT 2) AS d"),
        ("SELECT 1 FROM ((SELECT 1) a CROSS JOIN b)", "SELECT 1 FROM (SELECT 1) AS a CROSS JOIN b"),
        ("SELECT 1 GROUP BY a, b HAVING count(*) > 1", "SELECT 1 GROUP BY a, b HAVING count(*) > 1"),
        ("SELECT 1 ORDER BY a ASC, b DESC NULLS FIRST", "SELECT 1 ORDER BY a, b DESC NULLS FIRST"),
        ("SELECT 1 OFFSET 2 LIMIT 1", "SELECT 1 LIMIT 1 OFFSET 2"),
        ("SELECT 1 UNION SELECT 2 INTERSECT SELECT 3", "SELECT 1 UNION SELECT 2 INTERSECT SELECT 3"),
        ("(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3", "(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3"),
        ("SELECT 1 EXCEPT ALL (SELECT 2 EXCEPT SELECT 3)", "SELECT 1 EXCEPT ALL (SELECT 2 EXCEPT SELECT 3)"),
        ("(SELECT 1 LIMIT 1) UNION SELECT 2", "(SELECT 1 LIMIT 1) UNION SELECT 2"),
        (
            "WITH a (n) AS (SELECT 1), b AS (VALUES (1)) SELECT 1",
            "WITH a (n) AS (SELECT 1), b AS (VALUES (1)) SELECT 1",
        ),
        ("SELECT 1 FROM (SELECT * FROM t) d AS OF VERSION 3", "SELECT 1 FROM ((SELECT * FROM t) AS OF VERSION 3) AS d"),
        ("SELECT 1 FROM ((SELECT 1) AS OF VERSION 3)", "SELECT 1 FROM ((SELECT 1) AS OF VERSION 3)"),
        ("(SELECT * FROM t) AS OF VERSION 3", "(SELECT * FROM t) AS OF VERSION 3"),
        ("SELECT 1 FROM t WINDOW TUMBLING (SIZE 60 SECONDS)", "SELECT 1 FROM t WINDOW TUMBLING (SIZE 1 MINUTE)"),
        ("SELECT sum(DISTINCT x ORDER BY y) FILTER (WHERE z)", "SELECT sum(DISTINCT x ORDER BY y) FILTER (WHERE z)"),
        ("SELECT f() OVER (PARTITION BY a ORDER BY b)", "SELECT f() OVER (PARTITION BY a ORDER BY b)"),
        ("SELECT f() over (rows 1 preceding)", "SELECT f() OVER (ROWS 1 PRECEDING)"),
        (
            "SELECT f() OVER (RANGE BETWEEN INTERVAL '1' DAYS PRECEDING AND CURRENT ROW)",
            "SELECT f() OVER (RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW)",
        ),
        ("SELECT x IN ((SELECT 1))", "SELECT x IN (SELECT 1)"),
        ("SELECT NOT EXISTS (SELECT 1)", "SELECT NOT EXISTS (SELECT 1)"),
        ("SELECT CASE x WHEN 1 THEN 2 ELSE 3 END", "SELECT CASE x WHEN 1 THEN 2 ELSE 3 END"),
        ("SELECT left(a, 1), if(a, b, c)", "SELECT left(a, 1), if(a, b, c)"),
        (
            "CREATE OR REPLACE STREAM s WITH (a = -1, b = true) AS SELECT 1",
            "CREATE OR REPLACE STREAM s WITH (a = -1, b = true) AS SELECT 1",
        ),
        (
            "CREATE TABLE IF NOT EXISTS t (a INT PRIMARY KEY NOT NULL)",
            "CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY NOT NULL)",
        ),
        ("INSERT INTO t (a) VALUES (1), (-2), ('x')", "INSERT INTO t (a) VALUES (1), (-2), ('x')"),
        ("INSERT INTO t SELECT 1", "INSERT INTO t SELECT 1"),
        ("drop stream if exists s cascade", "DROP STREAM IF EXISTS s CASCADE"),
        ("LIST QUERIES", "SHOW QUERIES"),
        ("DESC t EXTENDED", "DESCRIBE t EXTENDED"),
        ("EXPLAIN CREATE TABLE t AS SELECT 1", "EXPLAIN CREATE TABLE t AS SELECT 1"),
        ("explain analyze totals", "EXPLAIN ANALYZE totals"),
        ("EXPLAIN (format TEXT) totals", "EXPLAIN totals"),
        ("EXPLAIN ANALYZE (FORMAT json) SELECT 1", "EXPLAIN ANALYZE (FORMAT json) SELECT 1"),
        ("CHECKPOINT", "CHECKPOINT"),
        ("SELECT /* here */ 1 -- there\n + 2", "SELECT 1 + 2"),
    ],
)
def test_a_statement_has_this_canonical_text(sql: str, canonical: str) -> None:
    assert unparse(parse_statement(sql)) == canonical


@pytest.mark.parametrize(
    ("sql", "canonical"),
    [
        ("a OR b AND NOT c = d", "a OR b AND NOT c = d"),
        ("(a OR b) AND c", "(a OR b) AND c"),
        ("a = b IS NULL", "(a = b) IS NULL"),
        ("a + b * c - d", "a + b * c - d"),
        ("a - (b - c)", "a - (b - c)"),
        ("a BETWEEN 1 AND 2 AND b", "a BETWEEN 1 AND 2 AND b"),
        ("-2 ^ 2", "(-2) ^ 2"),
        ("-x::INT", "-CAST(x AS INTEGER)"),
        ("- -x", "-(-x)"),
        ("a || b || c LIKE d", "(a || b || c) LIKE d"),
        ("a -> 'b' ->> 'c' = 'd'", "((a -> 'b') ->> 'c') = 'd'"),
    ],
)
def test_operators_bind_as_in_postgresql(sql: str, canonical: str) -> None:
    assert unparse(expression(sql)) == canonical


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "word",
    """at changes columns count date day emit exclude filter final first grace hour interval key last left list map
    minute month name offset over partition period replace retention rows second size stream streams struct table tables
    time timestamp tumbling type value values version window year""".split(),
)
def test_a_keyword_is_a_name_wherever_that_is_unambiguous(word: str) -> None:
    create = parse_statement(f"CREATE TABLE t ({word} INTEGER, b INTEGER)")
    assert isinstance(create, ast.CreateRelation)
    assert create.columns[0].name == Identifier(word)
    assert expression(word) == name(word)
    assert expression(f"{word} + t.{word}") == ast.Binary("+", name(word), name(f"t.{word}"))
    select = parse_statement(
        f"SELECT {word}, b AS {word} FROM {word} AS x WHERE {word} = 1 GROUP BY {word} ORDER BY {word}"
    )
    assert parse_statement(unparse(select)) == select
    insert = parse_statement(f"INSERT INTO {word} ({word}, b) VALUES (1, 2)")
    assert isinstance(insert, ast.Insert) and insert.columns[0] == Identifier(word)


@pytest.mark.parametrize(
    "form",
    [
        "CREATE TABLE {word} ({word} INTEGER, b INTEGER)",
        "SELECT {word}, t.{word}, b AS {word}, f({word}) FROM {word} AS t WHERE {word} = {word} ORDER BY {word}",
        "INSERT INTO {word} ({word}) VALUES (1)",
        "SELECT CASE {word} WHEN {word} THEN {word} ELSE {word} END FROM a JOIN {word} USING ({word})",
        "DROP TABLE {word}",
        "DESCRIBE {word}",
    ],
)
def test_every_keyword_that_is_not_reserved_is_a_name(form: str) -> None:
    for word in KEYWORDS - RESERVED:
        parse_statement(form.format(word=word.lower()))


def test_a_reserved_word_is_a_name_in_quotes() -> None:
    assert expression('"select"') == Name((Identifier("select", quoted=True),))


def test_a_word_that_only_duckdb_reserves_means_the_same_in_quotes() -> None:
    assert unparse(expression("Offset")) == '"Offset"'
    assert expression('"Offset"') == expression("Offset") == name("Offset")


def test_shift_and_nested_types_share_their_mark() -> None:
    assert expression("x::INT >> 2") == ast.Binary(">>", ast.Cast(name("x"), "INTEGER"), number("2"))
    assert expression("x::ARRAY<ARRAY<INT>>") == ast.Cast(name("x"), "INTEGER[][]")


# ---------------------------------------------------------------- scripts and places


def test_a_script_is_its_statements_without_the_empty_ones() -> None:
    assert parse("CHECKPOINT;; ; -- nothing\n SHOW TABLES") == (ast.Checkpoint(), ast.Show("TABLES"))
    assert parse(" -- nothing\n") == ()


def test_spans_point_into_the_whole_text() -> None:
    text = "CHECKPOINT;\nSELECT a, sum(b + 1) FROM t;"
    statements = parse(text)
    places = {text[node.span.start : node.span.end] for node in ast.walk(statements[1])}
    assert {"SELECT a, sum(b + 1) FROM t", "a", "sum(b + 1)", "b + 1", "t"} <= places


def test_parse_statement_takes_exactly_one() -> None:
    assert parse_statement("CHECKPOINT;") == ast.Checkpoint()
    for text in ("", ";", "CHECKPOINT; CHECKPOINT"):
        with pytest.raises(SyntaxProblem):
            parse_statement(text)


# ---------------------------------------------------------------- sizes


def test_parentheses_nest_as_deep_as_you_like() -> None:
    assert expression("(" * 5_000 + "1" + ")" * 5_000) == number("1")


@pytest.mark.parametrize("sql", ["NOT " * 5_000 + "x", "f(" * 5_000 + "x" + ")" * 5_000, " OR ".join(["x"] * 5_000)])
def test_what_nests_too_deep_for_the_trees_to_be_walked_is_refused(sql: str) -> None:
    with pytest.raises(Unsupported, match=f"nested more than {DEPTH_MAX} levels"):
        parse_statement(f"SELECT {sql}")


def test_a_tree_as_deep_as_is_allowed_can_be_walked_rewritten_and_unparsed() -> None:
    calls = DEPTH_MAX - 6
    statement = parse_statement("SELECT " + "f(" * calls + "x" + ")" * calls)
    assert sum(1 for _ in ast.walk(statement)) > calls
    renamed = ast.rewrite(statement, lambda node: name("y") if node == name("x") else None)
    assert unparse(renamed) == "SELECT " + "f(" * calls + "y" + ")" * calls


def test_a_long_script_takes_no_longer_per_statement_than_a_short_one() -> None:
    statement = """CREATE TABLE hot AS
      SELECT auction, count(*) AS n, max(price) AS top
      FROM bids WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 2 SECONDS)
      WHERE price > 100 AND auction IS NOT NULL
      GROUP BY auction;\n"""
    parse(statement)

    def seconds(statements: int) -> float:
        began = time.process_time()
        assert len(parse(statement * statements)) == statements
        return time.process_time() - began

    assert min(seconds(200) for _ in range(3)) < 20 * 3 * min(seconds(10) for _ in range(3))


def test_a_list_of_a_hundred_thousand_values_is_one_in() -> None:
    choices = expression(f"x IN ({', '.join(map(str, range(100_000)))})")
    assert isinstance(choices, ast.In) and choices.choices[99_999] == number("99999")
