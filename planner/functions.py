"""Functions by ksqlDB's names that DuckDB expressions can say: a table of definitions, put in the place of each call.

What DuckDB understands keeps DuckDB's meaning. So this table has only names that DuckDB does not know; other forms of
calls that DuckDB does know, and functions that no expression can be, are rewritten in the tree (`calls.py`).
The definition becomes part of the plan, so a plan whose functions mean something else is another computation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from headwater.errors import SqlError
from headwater.parser import parse_statement, syntax
from headwater.parser.syntax import Identifier
from headwater.planner.names import with_names


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function: `name(parameters)` is `body`. The last parameters may be left out, and are then `defaults`."""

    name: str
    parameters: str  # their names, with commas between
    body: str
    defaults: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(self.parameters.split(", "))


_NUMBERS = (
    Function(
        "geo_distance",
        "lat1, lon1, lat2, lon2, unit",
        """CASE WHEN abs(lat1) > 90 OR abs(lat2) > 90 THEN error('a latitude lies between -90 and 90')
                WHEN abs(lon1) > 180 OR abs(lon2) > 180 THEN error('a longitude lies between -180 and 180')
                ELSE CASE WHEN upper(unit) IN ('KM', 'KILOMETER', 'KILOMETERS') THEN 6371.0
                          WHEN upper(unit) IN ('MI', 'MILE', 'MILES') THEN 3959.0
                          ELSE error('the unit of geo_distance is KM or MI') END::DOUBLE
                     * 2 * asin(sqrt(least(1.0, pow(sin(radians(lat2 - lat1) / 2), 2)
                       + cos(radians(lat1)) * cos(radians(lat2)) * pow(sin(radians(lon2 - lon1) / 2), 2)))) END""",
        ("'KM'",),
    ),
    Function("as_value", "v", "v"),
)

_COLLECTIONS = (
    Function(
        "array_union",
        "a, b",
        """CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN
                list_filter(list_concat(a, b), lambda x, i: list_position(list_concat(a, b), x) = i) END""",
    ),
    Function(
        "array_except",
        "a, b",
        """CASE WHEN b IS NOT NULL THEN
                list_filter(a, lambda x, i: list_position(a, x) = i AND list_position(b, x) IS NULL) END""",
    ),
    Function("array_remove", "a, v", "list_filter(a, lambda x: x IS DISTINCT FROM v)"),
    Function("array_max", "a", "list_max(a)"),
    Function("array_min", "a", "list_min(a)"),
    Function(
        "array_join",
        "a, delimiter",
        """CASE WHEN length(a) = 0 THEN '' ELSE
                list_reduce(list_transform(a, lambda x: coalesce(CAST(x AS VARCHAR), 'null')),
                            lambda x, y: x || coalesce(CAST(delimiter AS VARCHAR), '') || y) END""",
        ("','",),
    ),
    Function("as_map", "keys, vals", "map(keys, vals)"),
    Function("map_union", "a, b", "map_concat(a, b)"),
    Function(
        "entries",
        "m, sorted",
        """CASE WHEN sorted THEN list_sort(list_transform(map_entries(m), lambda e: {'K': e.key, 'V': e.value}))
                ELSE list_transform(map_entries(m), lambda e: {'K': e.key, 'V': e.value}) END""",
    ),
    Function("slice", "a, first, last", "list_slice(a, first, last)"),
    Function(
        "cube_of",
        "a",
        """list_reduce(list_transform(a, lambda x: CASE WHEN x IS NULL THEN [[x]] ELSE [[NULL], [x]] END),
                       lambda x, y: flatten(list_transform(x, lambda l:
                         list_transform(y, lambda r: list_concat(l, r)))))""",
    ),
)

_MASKS = ("'X'", "'x'", "'n'", "'-'")

_TEXT = (
    Function(
        "initcap",
        "s",
        r"""array_to_string(list_transform(regexp_extract_all(s, '\S+|\s+'),
                                          lambda w: upper(left(w, 1)) || lower(substring(w, 2))), '')""",
    ),
    Function(
        "mask",
        "s, upper_as, lower_as, digit_as, other_as",
        r"""array_to_string(list_transform(string_split(s, ''), lambda c:
              CASE WHEN regexp_full_match(c, '\p{Lu}') THEN coalesce(upper_as, c)
                   WHEN regexp_full_match(c, '\p{Ll}') THEN coalesce(lower_as, c)
                   WHEN regexp_full_match(c, '\p{Nd}') THEN coalesce(digit_as, c)
                   WHEN c <> '' THEN coalesce(other_as, c) ELSE c END), '')""",
        _MASKS,
    ),
    *(
        Function(name, "s, n, upper_as, lower_as, digit_as, other_as", body, _MASKS)
        for name, body in {
            "mask_left": "mask(left(s, n), upper_as, lower_as, digit_as, other_as) || substring(s, n + 1)",
            "mask_right": """left(s, greatest(length(s) - n, 0))
                               || mask(right(s, n), upper_as, lower_as, digit_as, other_as)""",
            "mask_keep_left": "left(s, n) || mask(substring(s, n + 1), upper_as, lower_as, digit_as, other_as)",
            "mask_keep_right": """mask(left(s, greatest(length(s) - n, 0)), upper_as, lower_as, digit_as, other_as)
                                    || right(s, n)""",
        }.items()
    ),
    Function(
        "instr_from",
        "s, part, position, occurrence",
        """coalesce(list_extract(CASE WHEN position < 0 THEN list_reverse(list_filter(
                      range(1, length(s) - length(part) + 2),
                      lambda i: i <= length(s) + position + 1 AND substring(s, i, length(part)) = part))
                    ELSE list_filter(range(1, length(s) - length(part) + 2),
                      lambda i: i >= position AND substring(s, i, length(part)) = part) END,
                    greatest(occurrence, 1)), 0)""",
        ("1",),
    ),
    Function(
        "split_to_map",
        "s, entry_delimiter, key_delimiter",
        """CASE WHEN s IS NOT NULL AND entry_delimiter <> '' AND key_delimiter <> '' THEN
                list_reduce(list_transform(
                    list_filter(string_split(s, entry_delimiter), lambda e: contains(e, key_delimiter)),
                    lambda e: map([split_part(e, key_delimiter, 1)], [split_part(e, key_delimiter, 2)])),
                  lambda x, y: map_concat(x, y), CAST(MAP {} AS MAP(VARCHAR, VARCHAR))) END""",
    ),
)

_JSON = (
    Function("is_json_string", "j", "coalesce(json_valid(j), false)"),
    Function("json_type_of", "j", "CASE WHEN json_valid(j) THEN json_type(j) END"),
    Function("extractjsonfield", "j, path", "CASE WHEN json_valid(j) THEN json_extract_string(j, path) END"),
    Function(
        "json_items",
        "j",
        """CASE WHEN json_type_of(j) = 'ARRAY' THEN CAST(from_json(j, '["JSON"]') AS VARCHAR[]) END""",
    ),
    Function(
        "json_array_contains",
        "j, v",
        "coalesce(list_contains(json_items(j), CAST(to_json(v) AS VARCHAR)), false)",
    ),
    Function(
        "json_records",
        "j",
        """CASE WHEN json_type_of(j) = 'OBJECT'
                THEN CAST(from_json(j, '"MAP(VARCHAR,JSON)"') AS MAP(VARCHAR, VARCHAR)) END""",
    ),
    Function(
        "json_concat_of",
        "a",
        """CASE WHEN NOT list_bool_and(list_transform(a, lambda j: is_json_string(j))) THEN NULL
                WHEN list_bool_and(list_transform(a, lambda j: json_type_of(j) = 'OBJECT'))
                THEN CAST(to_json(list_reduce(list_transform(a, lambda j: from_json(j, '"MAP(VARCHAR,JSON)"')),
                                              lambda x, y: map_concat(x, y))) AS VARCHAR)
                ELSE CAST(to_json(flatten(list_transform(a, lambda j: CASE WHEN json_type_of(j) = 'ARRAY'
                       THEN from_json(j, '["JSON"]') ELSE [CAST(j AS JSON)] END))) AS VARCHAR) END""",
    ),
    Function("to_json_string", "v", "coalesce(CAST(to_json(v) AS VARCHAR), 'null')"),
)

_BYTES = (
    Function(
        "from_bytes",
        "b, encoding",
        """CASE lower(encoding) WHEN 'hex' THEN hex(b) WHEN 'base64' THEN base64(b)
                WHEN 'utf8' THEN decode(b) WHEN 'ascii' THEN decode(b)
                ELSE error('an encoding is hex, utf8, ascii or base64') END""",
    ),
    Function(
        "to_bytes",
        "s, encoding",
        """CASE lower(encoding) WHEN 'hex' THEN unhex(s) WHEN 'base64' THEN from_base64(s)
                WHEN 'utf8' THEN encode(s) WHEN 'ascii' THEN encode(s)
                ELSE error('an encoding is hex, utf8, ascii or base64') END""",
    ),
    Function(
        "bytes_in_order",
        "b, width, byte_order",
        """CASE WHEN octet_length(b) <> width THEN NULL
                WHEN byte_order = 'BIG_ENDIAN' THEN b
                WHEN byte_order = 'LITTLE_ENDIAN'
                THEN unhex(array_to_string(list_reverse(regexp_extract_all(hex(b), '..')), '')) END""",
    ),
    *(
        Function(
            f"{name}_from_bytes",
            "b, byte_order",
            f"CAST(CAST(bytes_in_order(b, {width}, byte_order) AS BIT) AS {type_name})",
            ("'BIG_ENDIAN'",),
        )
        for name, width, type_name in (("int", 4, "INTEGER"), ("bigint", 8, "BIGINT"), ("double", 8, "DOUBLE"))
    ),
)

_TIMES = (
    Function("convert_tz", "t, source, target", "timezone(target, timezone(source, CAST(t AS TIMESTAMP)))"),
    Function("from_days", "days", "DATE '1970-01-01' + CAST(days AS INTEGER)"),
    Function(  # of milliseconds since 1970, or of a TIMESTAMP, which is what ROWTIME is here
        "from_unixtime",
        "t",
        """CASE WHEN typeof(t) LIKE 'TIMESTAMP%' THEN TRY_CAST(t AS TIMESTAMP)
                ELSE epoch_ms(TRY_CAST(t AS BIGINT)) END""",
    ),
    Function("unix_timestamp", "t", "epoch_ms(from_unixtime(t))"),
    Function("unix_date", "d", "CAST(date_diff('day', DATE '1970-01-01', CAST(d AS DATE)) AS INTEGER)"),
)

# RFC 3986, appendix B, with the authority taken apart: scheme, user, host, port, path, query, fragment.
_URL = (
    r"^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://(?:([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?)?([^?#]*)(\?[^#]*)?(#.*)?$"
)
_NOT_IN_URL = r"""[\s<>"{}|\\^`]"""

_URLS = (
    Function("url_encode_param", "s", "replace(url_encode(s), '%20', '+')"),
    Function("url_decode_param", "s", "url_decode(replace(s, '+', ' '))"),
    Function(
        "url_part",
        "url, n",
        f"""CASE WHEN NOT regexp_matches(url, '{_NOT_IN_URL}') AND regexp_matches(url, '{_URL}')
                 THEN regexp_extract(url, '{_URL}', n) END""",
    ),
    Function("url_extract_protocol", "url", "nullif(url_part(url, 1), '')"),
    Function("url_extract_host", "url", "nullif(url_part(url, 3), '')"),
    Function("url_extract_port", "url", "CAST(nullif(url_part(url, 4), '') AS INTEGER)"),
    Function("url_extract_path", "url", "url_decode_param(url_part(url, 5))"),
    Function("url_extract_query", "url", "url_decode_param(substring(nullif(url_part(url, 6), ''), 2))"),
    Function("url_extract_fragment", "url", "url_decode_param(substring(nullif(url_part(url, 7), ''), 2))"),
    Function(
        "url_extract_parameter",
        "url, name",
        """list_extract(list_transform(
             list_filter(string_split(substring(url_part(url, 6), 2), '&'),
                         lambda p: contains(p, '=') AND url_decode_param(split_part(p, '=', 1)) = name),
             lambda p: url_decode_param(substring(p, instr(p, '=') + 1))), 1)""",
    ),
)

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (*_NUMBERS, *_COLLECTIONS, *_TEXT, *_JSON, *_BYTES, *_TIMES, *_URLS)
}  # fmt: skip


def expanded(call: syntax.Call) -> syntax.Expression | None:
    """The definition of the function that is called, over its arguments; None for a name that is not in the table."""
    function = FUNCTIONS.get(call.name.lower())
    if function is None:
        return None
    names, defaults = function.names, _defaults(function)
    least, most = len(names) - len(defaults), len(names)
    if not least <= len(call.arguments) <= most:
        wanted = str(most) if least == most else f"{least} to {most}"
        raise SqlError(
            f"{call.name}() takes {wanted} arguments, not {len(call.arguments)}", call.span,
            hint=f"{function.name}({function.parameters})",
        )  # fmt: skip
    if call.distinct or call.order_by or call.filter is not None or call.over is not None:
        raise SqlError(f"{call.name}() is no aggregate", call.span, hint="leave out DISTINCT, FILTER and OVER")
    missing = most - len(call.arguments)
    given = dict(zip(names, (*call.arguments, *defaults[len(defaults) - missing :]), strict=True))
    body = with_names(_body(function), lambda name: given[name.parts[0].text])
    return replace(body, span=call.span)


@cache
def _body(function: Function) -> syntax.Expression:
    """The syntax of the definition; what its lambdas call their own has names that no column has."""
    return _with_own_names(_parsed(function.body))


@cache
def _defaults(function: Function) -> tuple[syntax.Expression, ...]:
    return tuple(_parsed(default) for default in function.defaults)


def _parsed(sql: str) -> syntax.Expression:
    statement = parse_statement(f"SELECT {sql}")
    assert isinstance(statement, syntax.Query) and isinstance(statement.body, syntax.Select)
    return statement.body.items[0].expression


def _with_own_names(tree: syntax.Expression) -> syntax.Expression:
    def change(node: syntax.Node) -> syntax.Node | None:
        if not isinstance(node, syntax.Lambda):
            return None
        own = {parameter.text: Identifier(f"${parameter.text}", quoted=True) for parameter in node.parameters}

        def called(name: syntax.Name) -> syntax.Name:
            first, *rest = name.parts
            return syntax.Name((own[first.text], *rest)) if first.text in own else name

        body = _with_own_names(with_names(node.body, called))
        return syntax.Lambda(tuple(own.values()), body)

    return syntax.rewrite(tree, change)
