"""How a file is written down: the options of COPY, and of a stream that follows files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.errors import Span, SqlError, UnknownName, suggestion
from headwater.parser import syntax

ENDINGS = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".log": "ndjson",
    ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow",
}  # fmt: skip
FORMATS = ("csv", "json", "ndjson", "parquet", "arrow")
OF_CSV = frozenset({"header", "delimiter", "quote", "null"})
_WORDS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How rows are written in a file. All but the format is about CSV."""

    format: str
    header: bool = True
    delimiter: str = ","
    quote: str = '"'
    null: str = ""  # what stands for NULL, without quotes


@dataclass(frozen=True, slots=True)
class FileSource:
    """The files that a stream reads: those that match a path, once, or with `follow` as they grow and come."""

    path: str
    options: FileOptions
    follow: bool
    poll_us: int  # after what time to look again


def file_options(path: str, given: Mapping[str, syntax.Property], span: Span | None) -> FileOptions:
    """The options for a file, by what is given of `format` and OF_CSV; the format is else told by the file's ending."""
    format = _format(path, given.get("format"), span)
    for name in OF_CSV & given.keys():
        if format != "csv":
            raise SqlError(f"{name.upper()} is about CSV, and this is {format}", given[name].span, hint="leave it out")
    default = "\t" if path.lower().endswith(".tsv") else ","
    null = given["null"].value if "null" in given else ""
    header = truth(given["header"]) if "header" in given else True
    return FileOptions(format, header, _character(given, "delimiter", default), _character(given, "quote", '"'), null)


def copy_options(statement: syntax.Copy) -> FileOptions:
    """The options of COPY. Raises UnknownName for one that there is not, SqlError for a value that cannot be."""
    known: dict[str, syntax.Property] = {}
    for item in statement.options:
        if item.name not in OF_CSV | {"format"}:
            hint = suggestion(item.name, [name.upper() for name in OF_CSV | {"format"}], "options")
            raise UnknownName(f'COPY has no option "{item.name}"', item.span, hint=hint)
        if item.name in known:
            raise SqlError(f"{item.name.upper()} is given twice", item.span, hint="keep one of them")
        known[item.name] = item
    return file_options(statement.path, known, statement.span)


def truth(item: syntax.Property) -> bool:
    """The value of a property that is true or false."""
    if item.value.lower() not in _WORDS:
        raise SqlError(f"{item.name} is true or false", item.span)
    return _WORDS[item.value.lower()]


def _format(path: str, item: syntax.Property | None, span: Span | None) -> str:
    if item is None:
        name = path.lower().removesuffix("*")
        ending = next((format for end, format in ENDINGS.items() if name.endswith(end)), None)
        if ending is None:
            raise SqlError(
                f"the name '{path}' does not tell the format of the file", span,
                hint=f"write FORMAT: {', '.join(FORMATS)}",
            )  # fmt: skip
        return ending
    if item.value.lower() not in FORMATS:
        hint = suggestion(item.value, FORMATS, "formats")
        raise UnknownName(f'there is no format "{item.value}"', item.span, hint=hint)
    return item.value.lower()


def _character(given: Mapping[str, syntax.Property], name: str, default: str) -> str:
    if name not in given:
        return default
    value = "\t" if given[name].value == "\\t" else given[name].value
    if len(value) != 1 or not value.isascii() or value in "\r\n":
        raise SqlError(f"{name.upper()} is one ASCII character", given[name].span)
    return value
