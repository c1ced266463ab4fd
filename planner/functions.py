"""Functions by ksqlDB's names that are DuckDB macros: a table of definitions, installed into every connection.

What DuckDB understands keeps DuckDB's meaning. So this table has only names that DuckDB does not know; other forms of
calls that DuckDB does know, and functions that no macro can be, are rewritten in the tree (`calls.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True, slots=True)
class Macro:
    """A scalar function: `name(parameters)` is `body`. Parameters may have defaults (`unit := 'KM'`)."""

    name: str
    parameters: str
    body: str

    @property
    def sql(self) -> str:
        """The statement that makes it."""
        return f"CREATE OR REPLACE TEMP MACRO {self.name}({self.parameters}) AS {self.body}"


_NUMBERS = (
    Macro(
        "geo_distance",
        "lat1, lon1, lat2, lon2, unit := 'KM'",
        """CASE WHEN abs(lat1) > 90 OR abs(lat2) > 90 THEN error('a latitude lies between -90 and 90')
                WHEN abs(lon1) > 180 OR abs(lon2) > 180 THEN error('a longitude lies between -180 and 180')
                ELSE CASE WHEN upper(unit) IN ('KM', 'KILOMETER', 'KILOMETERS') THEN 6371.0
                          WHEN upper(unit) IN ('MI', 'MILE', 'MILES') THEN 3959.0
                          ELSE error('the unit of geo_distance is KM or MI') END::DOUBLE
                     * 2 * asin(sqrt(least(1.0, pow(sin(radians(lat2 - lat1) / 2), 2)
                       + cos(radians(lat1)) * cos(radians(lat2)) * pow(sin(radians(lon2 - lon1) / 2), 2)))) END""",
    ),
    Macro("as_value", "v", "v"),
)

_COLLECTIONS = (
    Macro(
        "array_union",
        "a, b",
        """CASE WHEN a IS NOT NULL AND b IS NOT NULL THEN
                list_filter(list_concat(a, b), lambda x, i: list_position(list_concat(a, b), x) = i) END""",
    ),
    Macro(
        "array_except",
        "a, b",
        """CASE WHEN b IS NOT NULL THEN
                list_filter(a, lambda x, i: list_position(a, x) = i AND list_position(b, x) IS NULL) END""",
    ),
    Macro("array_remove", "a, v", "list_filter(a, lambda x: x IS DISTINCT FROM v)"),
    Macro("array_max", "a", "list_max(a)"),
    Macro("array_min", "a", "list_min(a)"),
    Macro(
        "array_join",
        "a, delimiter := ','",
        """CASE WHEN length(a) = 0 THEN '' ELSE
                list_reduce(list_transform(a, lambda x: coalesce(CAST(x AS VARCHAR), 'null')),
                            lambda x, y: x || coalesce(CAST(delimiter AS VARCHAR), '') || y) END""",
    ),
    Macro("as_map", "keys, vals", "map(keys, vals)"),
    Macro("map_union", "a, b", "map_concat(a, b)"),
    Macro(
        "entries",
        "m, sorted",
        """CASE WHEN sorted THEN list_sort(list_transform(map_entries(m), lambda e: {'K': e.key, 'V': e.value}))
                ELSE list_transform(map_entries(m), lambda e: {'K': e.key, 'V': e.value}) END""",
    ),
    Macro("slice", "a, first, last", "list_slice(a, first, last)"),
    Macro(
        "cube_of",
        "a",
        """list_reduce(list_transform(a, lambda x: CASE WHEN x IS NULL THEN [[x]] ELSE [[NULL], [x]] END),
                       lambda x, y: flatten(list_transform(x, lambda l:
                         list_transform(y, lambda r: list_concat(l, r)))))""",
    ),
)

_TEXT = (
    Macro(
        "initcap",
        "s",
        r"""array_to_string(list_transform(regexp_extract_all(s, '\S+|\s+'),
                                          lambda w: upper(left(w, 1)) || lower(substring(w, 2))), '')""",
    ),
    Macro(
        "mask",
        "s, upper_as := 'X', lower_as := 'x', digit_as := 'n', other_as := '-'",
        r"""array_to_string(list_transform(string_split(s, ''), lambda c:
              CASE WHEN regexp_full_match(c, '\p{Lu}') THEN coalesce(upper_as, c)
                   WHEN regexp_full_match(c, '\p{Ll}') THEN coalesce(lower_as, c)
                   WHEN regexp_full_match(c, '\p{Nd}') THEN coalesce(digit_as, c)
                   WHEN c <> '' THEN coalesce(other_as, c) ELSE c END), '')""",
    ),
    *(
        Macro(name, "s, n, upper_as := 'X', lower_as := 'x', digit_as := 'n', other_as := '-'", body)
        for name, body in {
            "mask_left": "mask(left(s, n), upper_as, lower_as, digit_as, other_as) || substring(s, n + 1)",
            "mask_right": """left(s, greatest(length(s) - n, 0))
                               || mask(right(s, n), upper_as, lower_as, digit_as, other_as)""",
            "mask_keep_left": "left(s, n) || mask(substring(s, n + 1), upper_as, lower_as, digit_as, other_as)",
            "mask_keep_right": """mask(left(s, greatest(length(s) - n, 0)), upper_as, lower_as, digit_as, other_as)
                                    || right(s, n)""",
        }.items()
    ),
    Macro(
        "instr_from",
        "s, part, position, occurrence := 1",
        """coalesce(list_extract(CASE WHEN position < 0 THEN list_reverse(list_filter(
                      range(1, length(s) - length(part) + 2),
                      lambda i: i <= length(s) + position + 1 AND substring(s, i, length(part)) = part))
                    ELSE list_filter(range(1, length(s) - length(part) + 2),
                      lambda i: i >= position AND substring(s, i, length(part)) = part) END,
                    greatest(occurrence, 1)), 0)""",
    ),
    Macro(
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
    Macro("is_json_string", "j", "coalesce(json_valid(j), false)"),
    Macro("json_type_of", "j", "CASE WHEN json_valid(j) THEN json_type(j) END"),
    Macro("extractjsonfield", "j, path", "CASE WHEN json_valid(j) THEN json_extract_string(j, path) END"),
    Macro(
        "json_items",
        "j",
        """CASE WHEN json_type_of(j) = 'ARRAY' THEN CAST(from_json(j, '["JSON"]') AS VARCHAR[]) END""",
    ),
    Macro(
        "json_array_contains",
        "j, v",
        "coalesce(list_contains(json_items(j), CAST(to_json(v) AS VARCHAR)), false)",
    ),
    Macro(
        "json_records",
        "j",
        """CASE WHEN json_type_of(j) = 'OBJECT'
                THEN CAST(from_json(j, '"MAP(VARCHAR,JSON)"') AS MAP(VARCHAR, VARCHAR)) END""",
    ),
    Macro(
        "json_concat_of",
        "a",
        """CASE WHEN NOT list_bool_and(list_transform(a, lambda j: is_json_string(j))) THEN NULL
                WHEN list_bool_and(list_transform(a, lambda j: json_type_of(j) = 'OBJECT'))
                THEN CAST(to_json(list_reduce(list_transform(a, lambda j: from_json(j, '"MAP(VARCHAR,JSON)"')),
                                              lambda x, y: map_concat(x, y))) AS VARCHAR)
                ELSE CAST(to_json(flatten(list_transform(a, lambda j: CASE WHEN json_type_of(j) = 'ARRAY'
                       THEN from_json(j, '["JSON"]') ELSE [CAST(j AS JSON)] END))) AS VARCHAR) END""",
    ),
    Macro("to_json_string", "v", "coalesce(CAST(to_json(v) AS VARCHAR), 'null')"),
)

_BYTES = (
    Macro(
        "from_bytes",
        "b, encoding",
        """CASE lower(encoding) WHEN 'hex' THEN hex(b) WHEN 'base64' THEN base64(b)
                WHEN 'utf8' THEN decode(b) WHEN 'ascii' THEN decode(b)
                ELSE error('an encoding is hex, utf8, ascii or base64') END""",
    ),
    Macro(
        "to_bytes",
        "s, encoding",
        """CASE lower(encoding) WHEN 'hex' THEN unhex(s) WHEN 'base64' THEN from_base64(s)
                WHEN 'utf8' THEN encode(s) WHEN 'ascii' THEN encode(s)
                ELSE error('an encoding is hex, utf8, ascii or base64') END""",
    ),
    Macro(
        "bytes_in_order",
        "b, width, byte_order",
        """CASE WHEN octet_length(b) <> width THEN NULL
                WHEN byte_order = 'BIG_ENDIAN' THEN b
                WHEN byte_order = 'LITTLE_ENDIAN'
                THEN unhex(array_to_string(list_reverse(regexp_extract_all(hex(b), '..')), '')) END""",
    ),
    *(
        Macro(
            f"{name}_from_bytes",
            "b, byte_order := 'BIG_ENDIAN'",
            f"CAST(CAST(bytes_in_order(b, {width}, byte_order) AS BIT) AS {type_name})",
        )
        for name, width, type_name in (("int", 4, "INTEGER"), ("bigint", 8, "BIGINT"), ("double", 8, "DOUBLE"))
    ),
)

_TIMES = (
    Macro("convert_tz", "t, source, target", "timezone(target, timezone(source, CAST(t AS TIMESTAMP)))"),
    Macro("from_days", "days", "DATE '1970-01-01' + CAST(days AS INTEGER)"),
    Macro(  # of milliseconds since 1970, or of a TIMESTAMP, which is what ROWTIME is here
        "from_unixtime",
        "t",
        """CASE WHEN typeof(t) LIKE 'TIMESTAMP%' THEN TRY_CAST(t AS TIMESTAMP)
                ELSE epoch_ms(TRY_CAST(t AS BIGINT)) END""",
    ),
    Macro("unix_timestamp", "t", "epoch_ms(from_unixtime(t))"),
    Macro("unix_date", "d", "CAST(date_diff('day', DATE '1970-01-01', CAST(d AS DATE)) AS INTEGER)"),
)

# RFC 3986, appendix B, with the authority taken apart: scheme, user, host, port, path, query, fragment.
_URL = (
    r"^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://(?:([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d*))?)?([^?#]*)(\?[^#]*)?(#.*)?$"
)
_NOT_IN_URL = r"""[\s<>"{}|\\^`]"""

_URLS = (
    Macro("url_encode_param", "s", "replace(url_encode(s), '%20', '+')"),
    Macro("url_decode_param", "s", "url_decode(replace(s, '+', ' '))"),
    Macro(
        "url_part",
        "url, n",
        f"""CASE WHEN NOT regexp_matches(url, '{_NOT_IN_URL}') AND regexp_matches(url, '{_URL}')
                 THEN regexp_extract(url, '{_URL}', n) END""",
    ),
    Macro("url_extract_protocol", "url", "nullif(url_part(url, 1), '')"),
    Macro("url_extract_host", "url", "nullif(url_part(url, 3), '')"),
    Macro("url_extract_port", "url", "CAST(nullif(url_part(url, 4), '') AS INTEGER)"),
    Macro("url_extract_path", "url", "url_decode_param(url_part(url, 5))"),
    Macro("url_extract_query", "url", "url_decode_param(substring(nullif(url_part(url, 6), ''), 2))"),
    Macro("url_extract_fragment", "url", "url_decode_param(substring(nullif(url_part(url, 7), ''), 2))"),
    Macro(
        "url_extract_parameter",
        "url, name",
        """list_extract(list_transform(
             list_filter(string_split(substring(url_part(url, 6), 2), '&'),
                         lambda p: contains(p, '=') AND url_decode_param(split_part(p, '=', 1)) = name),
             lambda p: url_decode_param(substring(p, instr(p, '=') + 1))), 1)""",
    ),
)

MACROS: tuple[Macro, ...] = (*_NUMBERS, *_COLLECTIONS, *_TEXT, *_JSON, *_BYTES, *_TIMES, *_URLS)


def install_functions(con: duckdb.DuckDBPyConnection) -> None:
    """Makes the macros in `con`."""
    con.execute(";".join(macro.sql for macro in MACROS))
