"""Arrow values as text, a column at a time: for people (`texts`) and as JSON (`json_texts`).

Both give one string per value. Nothing becomes a Python object that need not, so nanoseconds, years beyond 9999 and
38-digit numbers come out as they are. Nested values are JSON in both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.types as kind

_INFINITY = {2**63 - 1: "infinity", -(2**63) + 1: "-infinity", 2**31 - 1: "infinity", -(2**31) + 1: "-infinity"}


def texts(array: pa.Array) -> list[str | None]:
    """Each value as a person reads it, None for NULL. Timestamps carry no needless zeros; with a zone they are UTC."""
    array = _plain(array)
    if kind.is_nested(array.type):
        return [text if known else None for text, known in zip(json_texts(array), _known(array), strict=True)]
    return _leaf(array.type)(array)


def json_texts(array: pa.Array) -> list[str]:
    """Each value as JSON text, 'null' for NULL.

    Numbers keep all their digits, but NaN and the infinities, for which JSON has no number, are strings; so are
    timestamps, which are ISO 8601.
    """
    array = _plain(array)
    if not len(array):
        return []
    if kind.is_map(array.type):
        return _json_maps(array)
    if kind.is_list(array.type) or kind.is_large_list(array.type):
        return _json_lists(array)
    if kind.is_struct(array.type):
        return _json_structs(array)
    if kind.is_union(array.type):
        return [json_texts(pa.array([value]))[0] for value in array.to_pylist()]
    leaves = _leaf(array.type)(array)
    if kind.is_boolean(array.type) or _is_number(array.type):
        return [_json_number(text) for text in leaves]
    if kind.is_timestamp(array.type):
        leaves = [None if text is None else text.replace(" ", "T").replace("+00", "Z") for text in leaves]
    return ["null" if text is None else _json_string(text) for text in leaves]


# ---------------------------------------------------------------- nested values


def _json_lists(array: pa.Array) -> list[str]:
    offsets = array.offsets.to_pylist()
    items = json_texts(array.values.slice(offsets[0], offsets[-1] - offsets[0]))
    return [f"[{', '.join(items[start:end])}]" if known else "null" for start, end, known in _slots(array, offsets)]


def _json_maps(array: pa.Array) -> list[str]:
    offsets = array.offsets.to_pylist()
    first, count = offsets[0], offsets[-1] - offsets[0]
    keys = (_json_string(key or "") for key in texts(array.keys.slice(first, count)))
    entries = [f"{key}: {value}" for key, value in zip(keys, json_texts(array.items.slice(first, count)), strict=True)]
    return [f"{{{', '.join(entries[a:z])}}}" if known else "null" for a, z, known in _slots(array, offsets)]


def _json_structs(array: pa.Array) -> list[str]:
    names = [_json_string(field.name) for field in array.type]
    rows = zip(*(json_texts(child) for child in array.flatten()), strict=True)
    objects = (", ".join(f"{name}: {text}" for name, text in zip(names, row, strict=True)) for row in rows)
    return [f"{{{text}}}" if known else "null" for text, known in zip(objects, _known(array), strict=True)]


def _slots(array: pa.Array, offsets: list[int]) -> Iterator[tuple[int, int, bool]]:
    """Where each list's items start and end, counted from the first item of all, and whether the list is there."""
    first = offsets[0]
    for start, end, known in zip(offsets, offsets[1:], _known(array), strict=False):
        yield start - first, end - first, known


# ---------------------------------------------------------------- leaves


def _leaf(type: pa.DataType) -> Callable[[pa.Array], list[str | None]]:
    """The function that gives the texts of an array of this type, which is not nested."""
    if kind.is_timestamp(type) or kind.is_date(type):
        return _times
    if kind.is_floating(type):
        return _floats
    if kind.is_decimal(type):
        return _decimals
    if kind.is_boolean(type):
        return lambda array: [None if value is None else str(value).lower() for value in array.to_pylist()]
    if kind.is_time(type):
        return lambda array: [_short(text) for text in array.cast(pa.string()).to_pylist()]
    if kind.is_binary(type) or kind.is_large_binary(type) or kind.is_fixed_size_binary(type):
        return lambda array: [None if value is None else _bytes(value) for value in array.to_pylist()]
    if kind.is_interval(type):
        return lambda array: [None if value is None else _interval(value) for value in array.to_pylist()]
    return lambda array: [None if value is None else str(value) for value in array.to_pylist()]


def _times(array: pa.Array) -> list[str | None]:
    zone = ""
    if kind.is_timestamp(array.type) and array.type.tz is not None:
        array, zone = array.cast(pa.timestamp(array.type.unit)), "+00"
    units = array.cast(pa.int32() if kind.is_date32(array.type) else pa.int64()).to_pylist()
    written = array.cast(pa.string()).to_pylist()
    return [
        None if text is None else _INFINITY.get(unit) or f"{_short(text)}{zone}"
        for text, unit in zip(written, units, strict=True)
    ]


def _short(time: str | None) -> str | None:
    """`time` without the zeros at the end of its fraction of a second."""
    return time.rstrip("0").rstrip(".") if time is not None and "." in time else time


def _floats(array: pa.Array) -> list[str | None]:
    if kind.is_float64(array.type):
        return [None if value is None else repr(value) for value in array.to_pylist()]
    narrow = array.fill_null(0).to_numpy(zero_copy_only=False)  # numpy prints a FLOAT's own shortest digits
    return [str(value) if known else None for value, known in zip(narrow, _known(array), strict=True)]


def _decimals(array: pa.Array) -> list[str | None]:
    return [None if value is None else f"{value:f}" for value in array.to_pylist()]


def _bytes(value: bytes) -> str:
    """As SQL writes a BLOB: printable ASCII as it is, other bytes as \\xNN."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02X}" for byte in value)


def _interval(value: pa.MonthDayNano) -> str:
    """As SQL writes an INTERVAL: `1 year 2 months 3 days 04:05:06.5`; no time where it is zero."""
    years, months = divmod(abs(value.months), 12)
    sign = -1 if value.months < 0 else 1
    counts = ((sign * years, "year"), (sign * months, "month"), (value.days, "day"))
    parts = [f"{count} {unit}{'' if abs(count) == 1 else 's'}" for count, unit in counts if count]
    if value.nanoseconds or not parts:
        seconds, nanoseconds = divmod(abs(value.nanoseconds), 1_000_000_000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{nanoseconds:09}"
        parts.append(f"{'-' if value.nanoseconds < 0 else ''}{_short(clock)}")
    return " ".join(parts)


def _plain(array: pa.Array) -> pa.Array:
    """The same values in a type that the functions above know: no extension types, dictionaries or odd list layouts."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if kind.is_dictionary(array.type):
        return array.dictionary_decode()
    if kind.is_fixed_size_list(array.type) or kind.is_list_view(array.type):
        return array.cast(pa.list_(array.type.value_type))
    return array


def _known(array: pa.Array) -> list[bool]:
    known: list[bool] = array.is_valid().to_pylist()
    return known


def _is_number(type: pa.DataType) -> bool:
    return bool(kind.is_integer(type) or kind.is_floating(type) or kind.is_decimal(type))


def _json_number(text: str | None) -> str:
    if text is None:
        return "null"
    return f'"{text}"' if text in ("nan", "inf", "-inf") else text


def _json_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
