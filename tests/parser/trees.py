"""Syntax trees at random: strategies for every kind of node that an expression or a query may have inside.

They give trees that text can say: what the grammar reads is what they make. Strategies with `as_of`, `window` and
`streaming` arguments leave out what only Headwater has, so that DuckDB can read the same text.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from headwater.parser import syntax as ast

# Unquoted words of both grammars, and names that need their quotes.
IDENTIFIERS = st.sampled_from(
    [ast.Identifier(text) for text in "a b Price offset at window key values date interval größe left of_ emit".split()]
    + [ast.Identifier(text, quoted=True) for text in ("a", "select", "OF", "A b", 'say "x"', "1st", "semi;colon")]
)
QUALIFIED = st.builds(
    ast.QualifiedName,
    st.lists(st.sampled_from("a Price values größe".split()), min_size=2, max_size=3).map(".".join),
    inspected=st.booleans(),
) | st.builds(ast.QualifiedName, st.sampled_from(["a.A b", 'of."']), st.just(True), st.booleans())
STRINGS = st.sampled_from(["", "x", "it's", "-- ", "/*", 'a "b"', ";", "$$", "ü\n"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=4
)
NUMBERS = st.sampled_from("0 7 1_000 0.10 .5 3. 1e3 2.5E-3 99999999999999999999".split())
LITERALS = st.one_of(
    NUMBERS.map(lambda text: ast.Literal("number", text)),
    STRINGS.map(lambda text: ast.Literal("string", text)),
    st.sampled_from([ast.Literal("boolean", "true"), ast.Literal("boolean", "false"), ast.Literal("null", "null")]),
)
NAMES = st.lists(IDENTIFIERS, min_size=1, max_size=3).map(lambda parts: ast.Name(tuple(parts)))
TYPES = st.sampled_from(["INTEGER", "VARCHAR[]", "DECIMAL(10,2)", 'STRUCT(a INTEGER, "b c" MAP(VARCHAR, INTEGER[3]))'])
UNITS = st.sampled_from(["SECOND", "MILLISECOND", "DAY", "MONTH", "YEAR"])
BINARY = st.sampled_from(
    "+ - * / // % ^ || = <> < <= > >= AND OR -> ->> & | << >>".split() + ["IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
)
UNARY = st.sampled_from(
    ["-", "+", "~", "NOT", "IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"]
)
LIKES = st.sampled_from([f"{word}{like}" for word in ("", "NOT ") for like in ("LIKE", "ILIKE", "SIMILAR TO")])
COMPARISONS = st.sampled_from("= <> < <= > >=".split())
NOTHING = st.none()


def tuples(items: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def maybe(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | items


def short(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same strategy under a short name: hypothesis warns of long ones."""

    @st.composite
    def trees(draw: st.DrawFn) -> Any:
        return draw(items)

    return trees()


def order_items(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[ast.OrderItem]:
    return st.builds(
        ast.OrderItem, inner, st.sampled_from(["ASC", "DESC"]), st.sampled_from([None, "FIRST", "LAST"])
    )  # fmt: skip


# ---------------------------------------------------------------- expressions


def windows(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[ast.WindowSpec]:
    """What OVER (…) may say, with `inner` expressions."""
    distances = st.builds(ast.Bound, st.just("PRECEDING"), inner)
    first = st.just(ast.Bound("PRECEDING")) | distances
    last = st.sampled_from([ast.Bound("CURRENT ROW"), ast.Bound("FOLLOWING")])
    units, excluded = st.sampled_from(["ROWS", "RANGE", "GROUPS"]), st.sampled_from([None, "TIES", "CURRENT ROW"])
    frames = st.builds(ast.Frame, units, first, NOTHING, excluded) | st.builds(ast.Frame, units, first, last, excluded)
    keys, orders = tuples(inner, most=2), tuples(order_items(inner), most=2)
    return st.builds(ast.WindowSpec, keys, orders, maybe(frames), maybe(IDENTIFIERS))


def calls(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[ast.Call]:
    """Calls of all kinds, with `inner` expressions as arguments."""
    orders = tuples(order_items(inner), most=2)
    over = maybe(windows(LITERALS | NAMES) | IDENTIFIERS)  # no window inside a window
    functions = st.builds(ast.Lambda, tuples(IDENTIFIERS, 1, 2), inner)
    named = st.builds(ast.NamedArgument, IDENTIFIERS, inner)
    nulls = st.sampled_from([None, "IGNORE", "RESPECT"])
    return st.one_of(
        st.builds(ast.Call, st.sampled_from(["f", "left", "date_part", "if", "Count"]), tuples(inner)),
        st.builds(ast.Call, st.just("sum"), tuples(inner, 1, 1), st.booleans(), orders, maybe(inner), over),
        st.builds(ast.Call, st.just("lag"), tuples(inner, 1, 2), over=windows(LITERALS | NAMES), nulls=nulls),
        st.builds(
            ast.Call, st.just("percentile_cont"), tuples(inner, 1, 1), within_group=tuples(order_items(inner), 1, 1)
        ),
        st.builds(ast.Call, st.just("list_filter"), st.tuples(inner, functions)),
        st.builds(ast.Call, st.just("struct_pack"), tuples(named, 1, 2)),
        st.just(ast.Call("count", (ast.Star(),))),
    )


def bigger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Expressions with `inner` expressions inside, but no queries."""
    texts = STRINGS.map(lambda text: ast.Literal("string", text))
    structs = inner.filter(lambda node: not isinstance(node, ast.Name))
    return st.one_of(
        st.builds(ast.Unary, UNARY, inner),
        st.builds(ast.Binary, BINARY, inner, inner),
        st.builds(ast.Like, LIKES, inner, inner) | st.builds(ast.Like, st.just("LIKE"), inner, inner, inner),
        st.builds(ast.Between, inner, inner, inner, st.booleans()),
        st.builds(ast.In, inner, tuples(inner, least=1), st.booleans()),
        st.builds(ast.Quantified, COMPARISONS, inner, st.sampled_from(["ANY", "ALL"]), inner),
        st.builds(ast.Case, maybe(inner), tuples(st.tuples(inner, inner), least=1), maybe(inner)),
        st.builds(ast.Cast, inner, TYPES, st.booleans()),
        calls(inner),
        st.builds(ast.Array, tuples(inner)),
        st.builds(ast.Struct, tuples(st.tuples(st.sampled_from(["a", "b c", "it's"]), inner), least=1)),
        st.builds(ast.Map, tuples(st.tuples(inner, inner))),
        st.builds(ast.Row, tuples(inner, least=2)),
        st.builds(ast.Subscript, inner, inner) | st.builds(ast.Slice, inner, maybe(inner), maybe(inner)),
        st.builds(ast.Field, structs, IDENTIFIERS),
        st.builds(ast.Interval, inner, UNITS) | st.builds(ast.Interval, texts),
    )


EXPRESSIONS = short(st.recursive(LITERALS | NAMES, bigger, max_leaves=8))

STARS = st.one_of(
    st.builds(ast.Star, maybe(IDENTIFIERS), tuples(IDENTIFIERS, most=1)),
    st.builds(lambda item: ast.Star(replace=(item,)), st.builds(ast.SelectItem, EXPRESSIONS, IDENTIFIERS)),
)
ITEMS = short(st.builds(ast.SelectItem, EXPRESSIONS, maybe(IDENTIFIERS)) | st.builds(ast.SelectItem, STARS))
ROWS = tuples(EXPRESSIONS, least=1)


# ---------------------------------------------------------------- points of the log, and windows

POSITIONS = tuples(
    st.tuples(st.integers(0, 9) | st.sampled_from(["bids", "a b", "offset"]), st.integers(0, 99)), least=1
)
POINTS = st.one_of(
    st.builds(ast.AsOf, st.sampled_from(["offset", "version"]), st.integers(0, 99).map(str)),
    st.builds(ast.AsOf, st.just("timestamp"), STRINGS),
    st.sampled_from([ast.AsOf("ago", "5 minutes ago")]),
    POSITIONS.map(lambda positions: ast.AsOf("offsets", positions=positions)),
)
AS_OF = POINTS | NAMES.map(lambda name: ast.AsOf("column", column=name))
STARTS = POINTS | st.sampled_from([ast.AsOf("earliest"), ast.AsOf("latest")])
LENGTHS = st.sampled_from([0, 1, 999, 1_000, 10_000_000, 90_000_000, 86_400_000_000])
WINDOWS = st.one_of(
    LENGTHS.map(lambda size: ast.Window("TUMBLING", size, size)),
    LENGTHS.map(lambda gap: ast.Window("SESSION", gap, gap)),
    st.builds(ast.Window, st.just("HOPPING"), LENGTHS, LENGTHS, maybe(LENGTHS), maybe(LENGTHS)),
)
EMITS = st.sampled_from([None, "CHANGES", "FINAL"])


# ---------------------------------------------------------------- FROM


def relations(streaming: bool) -> st.SearchStrategy[ast.Relation]:
    """Relations by name; with `streaming` at points of the log, or as something else than they are."""
    named = st.builds(lambda name, alias, columns: ast.Relation(name, alias, columns=columns if alias else ()),
                      IDENTIFIERS, maybe(IDENTIFIERS), tuples(IDENTIFIERS, most=2))  # fmt: skip
    if not streaming:
        return short(named)
    return short(
        st.one_of(
            named,
            st.builds(ast.Relation, IDENTIFIERS | QUALIFIED, maybe(IDENTIFIERS), AS_OF),
            st.builds(ast.Relation, IDENTIFIERS, read_as=st.sampled_from(["TABLE", "CHANGES"])),
            st.builds(ast.Relation, IDENTIFIERS, changes=st.builds(ast.Changes, STARTS, maybe(POINTS))),
            st.builds(ast.Relation, IDENTIFIERS, start=STARTS),
        )
    )


PLAIN_CALLS = st.builds(ast.Call, st.sampled_from(["f", "unnest", "Range"]), tuples(LITERALS | NAMES))
TABLE_FUNCTIONS = short(
    st.builds(
        lambda call, alias, columns, lateral, ordinality: ast.TableFunction(
            call, alias, columns if alias else (), lateral, ordinality
        ),
        PLAIN_CALLS, maybe(IDENTIFIERS), tuples(IDENTIFIERS, most=2), st.booleans(), st.booleans(),
    )
)  # fmt: skip
WINDOW_FUNCTIONS = short(
    st.one_of(
        st.builds(
            ast.WindowFunction, st.just("TUMBLE"), st.builds(ast.Relation, IDENTIFIERS | QUALIFIED),
            NAMES, LENGTHS, alias=maybe(IDENTIFIERS),
        ),
        st.builds(
            ast.WindowFunction, st.sampled_from(["HOP", "CUMULATE"]), st.builds(ast.Relation, IDENTIFIERS),
            NAMES, LENGTHS, LENGTHS,
        ),
        st.builds(
            ast.WindowFunction, st.just("SESSION"), st.builds(ast.Relation, IDENTIFIERS),
            NAMES, LENGTHS, partition_by=tuples(NAMES),
        ),
    )
)  # fmt: skip


def joins(streaming: bool) -> Any:
    """A function from sources to joins of them."""
    kinds = st.sampled_from(["INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
    asof = st.sampled_from(["ASOF", "ASOF LEFT"])
    within = st.builds(ast.Within, LENGTHS, LENGTHS, maybe(LENGTHS)) if streaming else NOTHING

    def of(inner: Any) -> Any:
        return st.one_of(
            st.builds(ast.Join, kinds | asof, inner, inner, EXPRESSIONS, within=maybe(within)),
            st.builds(ast.Join, kinds, inner, inner, NOTHING, tuples(IDENTIFIERS, least=1), within=within),
            st.builds(ast.Join, kinds, inner, inner, natural=st.just(True)),
            st.builds(ast.Join, st.sampled_from(["CROSS", "POSITIONAL"]), inner, inner),
        )

    return of


# ---------------------------------------------------------------- queries


def groupings() -> st.SearchStrategy[tuple[Any, ...]]:
    """What GROUP BY may say."""
    sets = EXPRESSIONS | st.just(ast.Row(())) | st.builds(ast.Row, tuples(NAMES, 2, 2))
    several = st.builds(ast.Grouping, st.sampled_from(["ROLLUP", "CUBE"]), tuples(EXPRESSIONS, least=1))
    nested = st.builds(ast.Grouping, st.just("GROUPING SETS"), tuples(sets | several, least=1))
    return tuples(EXPRESSIONS | several | nested, most=2) | st.just((ast.All(),))


def selects(sources: Any, conditions: Any, window: Any, streaming: bool) -> st.SearchStrategy[ast.Select]:
    items, test = tuples(ITEMS, least=1), maybe(conditions)
    keys = tuples(EXPRESSIONS, most=2)
    named = tuples(st.builds(ast.NamedWindow, IDENTIFIERS, windows(NAMES)), most=1)
    grouped = st.tuples(short(groupings()), keys if streaming else st.just(()), test, named, test)

    def select(items: Any, source: Any, where: Any, distinct: Any, groups: Any) -> ast.Select:
        relation, window = source
        group_by, partition_by, having, named, qualify = groups
        is_distinct, on = (distinct, ()) if isinstance(distinct, bool) else (False, distinct)
        return ast.Select(
            items, relation, window, where, group_by, having, is_distinct, on, partition_by, named, qualify
        )

    read = st.tuples(sources, window) | st.just((None, None))
    return short(st.builds(select, items, read, test, st.booleans() | tuples(NAMES, 1, 2), grouped))


def queries(as_of: Any, window: Any, emit: Any, streaming: bool) -> st.SearchStrategy[ast.Query]:
    """Queries over relations, subqueries, joins and set operations; the clauses that only Headwater has as given."""
    values = st.builds(ast.Values, tuples(st.tuples(EXPRESSIONS, EXPRESSIONS), least=1))
    readable = relations(streaming) | TABLE_FUNCTIONS
    if streaming:
        readable |= WINDOW_FUNCTIONS

    def larger(inner: st.SearchStrategy[ast.Query]) -> st.SearchStrategy[ast.Query]:
        subqueries = st.builds(ast.Subquery, inner) | st.builds(ast.ArrayQuery, inner)
        tests = st.one_of(
            st.builds(ast.In, EXPRESSIONS, st.tuples(st.builds(ast.Subquery, inner)), st.booleans()),
            st.builds(ast.Quantified, COMPARISONS, EXPRESSIONS, st.just("ANY"), st.builds(ast.Subquery, inner)),
            st.builds(ast.Exists, inner),
        )
        derived = st.builds(ast.Derived, inner, IDENTIFIERS, tuples(IDENTIFIERS, most=2), st.booleans())
        sources = short(st.recursive(readable | derived, joins(streaming), max_leaves=3))
        operands = inner.map(lambda query: query.body if query == ast.Query(query.body) else query)
        operators = st.sampled_from(["UNION", "INTERSECT", "EXCEPT"])
        operations = st.one_of(
            st.builds(ast.SetOperation, operators, operands, operands, st.booleans()),
            st.builds(ast.SetOperation, st.just("UNION"), operands, operands, st.booleans(), st.booleans()),
        )
        bodies = short(selects(sources, subqueries | tests, window, streaming) | operations)
        table = st.builds(ast.CommonTable, IDENTIFIERS, tuples(IDENTIFIERS, most=2), inner, maybe(st.booleans()))
        tables = st.lists(table, min_size=1, max_size=2, unique_by=lambda cte: cte.name.text.lower()).map(tuple)
        orders = tuples(order_items(EXPRESSIONS), most=2) | st.just((ast.OrderItem(ast.All()),))
        counts = maybe(EXPRESSIONS)
        return short(
            st.builds(ast.Query, bodies, st.just(()), st.just(False), orders, counts, counts, as_of, emit)
            | st.builds(ast.Query, bodies, tables, st.booleans(), orders)
        )

    smallest = short(selects(relations(streaming), EXPRESSIONS, window, streaming) | values).map(ast.Query)
    return short(st.recursive(smallest, larger, max_leaves=3))


QUERIES = queries(maybe(AS_OF), maybe(WINDOWS), EMITS, streaming=True)
DUCKDB_QUERIES = queries(NOTHING, NOTHING, NOTHING, streaming=False)
# Every kind of source, often: in a whole query most of them are rare.
READS = short(
    st.recursive(relations(streaming=True) | TABLE_FUNCTIONS | WINDOW_FUNCTIONS, joins(streaming=True), max_leaves=3)
).map(lambda source: ast.Query(ast.Select((ast.SelectItem(ast.Star()),), source)))
