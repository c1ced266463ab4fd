"""The properties of CREATE … WITH (name = value): which there are, and what their values mean."""

from __future__ import annotations

import re
from typing import Literal

from headwater.errors import SqlError, UnknownName, suggestion
from headwater.parser import syntax
from headwater.planner.catalog import LogOptions

OF_QUERIES = frozenset({"clock", "idle_timeout", "start", "state_limit"})  # of what a continuous query writes alone
OF_FILES = frozenset(
    {"path", "follow", "header", "delimiter", "quote", "null", "poll"}
)  # of a stream that follows files
OF_ANY_LOG = frozenset({"retention", "retention_size", "compression", "ledger"})  # also of what a query writes
PROPERTIES = OF_QUERIES | OF_FILES | OF_ANY_LOG | {"connector", "partitions", "timestamp", "timestamp_format"}

# Words of other systems that need no setting here: the log is one, rows are columnar, nothing is replicated.
WITHOUT_EFFECT = frozenset({"kafka_topic", "value_format", "key_format", "format", "replicas"})

PARTITIONS_MAX = 1024
FOREVER = "forever"

Properties = dict[str, syntax.Property]

_DURATION = re.compile(r"\s*(\d+)\s*([a-z]+?)s?\s*", re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b\s*", re.IGNORECASE)
_UNITS_US = {
    "millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000,
    "week": 604_800_000_000, "month": 30 * 86_400_000_000, "year": 365 * 86_400_000_000,
}  # fmt: skip
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def read_properties(statement: syntax.CreateRelation) -> Properties:
    """The properties of a statement by name in lower case. Raises SqlError for one that there is not."""
    known: Properties = {}
    for item in statement.properties:
        name = item.name.lower()
        if name not in PROPERTIES | WITHOUT_EFFECT:
            hint = suggestion(item.name, PROPERTIES, "properties")
            raise UnknownName(f'there is no property "{item.name}"', item.span, hint=hint)
        known[name] = item
    return known


def partitions(properties: Properties) -> int:
    """How many partitions a relation has."""
    item = properties.get("partitions")
    if item is None:
        return 1
    if not item.value.isdigit() or not 1 <= int(item.value) <= PARTITIONS_MAX:
        raise SqlError(f"partitions is a whole number from 1 to {PARTITIONS_MAX}", item.span)
    return int(item.value)


def timestamp_format(properties: Properties) -> str | None:
    """How times are written, as strptime has it; None for the standard way."""
    item = properties.get("timestamp_format")
    if item is not None and "%" not in item.value:
        raise SqlError(
            f"cannot read times by the format '{item.value}'", item.span,
            hint="write it with %: timestamp_format = '%Y-%m-%d %H:%M:%S'",
        )  # fmt: skip
    return None if item is None else item.value


def log_options(properties: Properties) -> LogOptions:
    """What a relation's log keeps, and how."""
    options = LogOptions(
        _retention_us(properties), _retention_bytes(properties), _compression(properties), _is_ledger(properties)
    )
    if options.ledger and not options.is_kept_for_ever:
        item = properties["retention" if options.retention_us is not None else "retention_size"]
        raise SqlError("a ledger keeps all its records", item.span, hint=f"leave out {item.name}, or the ledger")
    return options


def _is_ledger(properties: Properties) -> bool:
    item = properties.get("ledger")
    if item is not None and item.value.lower() not in ("true", "false"):
        raise SqlError("ledger is true or false", item.span)
    return item is not None and item.value.lower() == "true"


def _retention_us(properties: Properties) -> int | None:
    item = properties.get("retention")
    if item is None or item.value.lower() == FOREVER:
        return None
    return duration_us(item, "a time to keep rows for", "write retention = '7 days', or 'forever'")


def idle_timeout_us(properties: Properties) -> int | None:
    """After how long a silence of its streams the windows of a query close; None for never."""
    item = properties.get("idle_timeout")
    return None if item is None else duration_us(item, "a length of time", "write idle_timeout = '10 seconds'")


def duration_us(item: syntax.Property, what: str, hint: str) -> int:
    length = length_us(item.value)
    if length is None:
        raise SqlError(f"cannot read '{item.value}' as {what}", item.span, hint=hint)
    return length


def length_us(text: str) -> int | None:
    """The number of µs that a text like '10 seconds' means; None for anything else, and for no time."""
    match = _DURATION.fullmatch(text)
    unit = _UNITS_US.get(match[2].lower()) if match else None
    return int(match[1]) * unit or None if match is not None and unit is not None else None


def _retention_bytes(properties: Properties) -> int | None:
    item = properties.get("retention_size")
    if item is None or item.value.lower() == FOREVER:
        return None
    size = bytes_of(item.value)
    if size is None:
        raise SqlError(
            f"cannot read '{item.value}' as a size to keep", item.span, hint="write retention_size = '10 GB'"
        )
    return size


def state_limit(properties: Properties) -> int | None:
    """How many bytes the state of a query may have; None where that is not said."""
    item = properties.get("state_limit")
    if item is None:
        return None
    size = bytes_of(item.value)
    if size is None:
        raise SqlError(f"cannot read '{item.value}' as a size of state", item.span, hint="write state_limit = '1 GB'")
    return size


def has_own_clock(properties: Properties) -> bool:
    """Whether a query is to move at a pace of its own."""
    item = properties.get("clock")
    if item is not None and item.value.lower() not in ("own", "shared"):
        raise SqlError(f"there is no clock '{item.value}'", item.span, hint="write clock = 'own', or clock = 'shared'")
    return item is not None and item.value.lower() == "own"


def bytes_of(text: str) -> int | None:
    """The number of bytes that a text like '1.5 GB' means; None for anything else."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * 1000 ** _POWERS[match[2].lower()]) if match else None


def _compression(properties: Properties) -> Literal["lz4", "zstd"] | None:
    item = properties.get("compression")
    match item.value.lower() if item is not None else "none":
        case "none":
            return None
        case "lz4":
            return "lz4"
        case "zstd":
            return "zstd"
        case _:
            assert item is not None
            raise SqlError(f"there is no compression '{item.value}'", item.span, hint="one of none, lz4, zstd")
