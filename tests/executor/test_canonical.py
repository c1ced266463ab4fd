"""Records as canonical JSON: what any program computes that knows `docs/ledgers.md` and has a JSON library."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from math import inf, isfinite, nan
from typing import Any

import pyarrow as pa
import pytest

from headwater.executor.canonical import record_hashes, record_texts

Dice = random.Random
ROWS = 60
LETTERS = ['"', "\\", "/", "\0", "\b", "\t", "\n", "\x1f", " ", "\x7f", "é", "\u2028", "\ud7ff", "\uffff", "😀", "a"]
DOUBLES = [0.0, -0.0, inf, -inf, nan, 1e16, 1e-5, 1e22, 5e-324, 1.7976931348623157e308, 0.1, 123456.0, 2.0**53]


@dataclass(frozen=True)
class Kind:
    """A type: how Arrow has it, and random values of it, each with what the documented form writes for it."""

    arrow: pa.DataType
    value: Callable[[Dice], tuple[Any, Any]]

    def maybe(self, dice: Dice) -> tuple[Any, Any]:
        return (None, None) if dice.random() < 0.2 else self.value(dice)


def number(arrow: pa.DataType, low: int, high: int) -> Kind:
    """A type whose values are whole numbers in Arrow, and in the text."""

    def value(dice: Dice) -> tuple[int, int]:
        picked = dice.choice([low, high, 0, dice.randint(low, high), dice.randint(max(low, -9), 9)])
        return picked, picked

    return Kind(arrow, value)


def decimal(precision: int, scale: int) -> Kind:
    def value(dice: Dice) -> tuple[Decimal, str]:
        digits = str(dice.randrange(10 ** dice.randint(0, precision))).zfill(scale + 1)
        text = digits if scale == 0 else f"{digits[:-scale]}.{digits[-scale:]}"
        text = f"-{text}" if dice.random() < 0.5 and digits.strip("0") else text
        return Decimal(text), text

    return Kind(pa.decimal128(precision, scale), value)


def double(dice: Dice) -> tuple[float, Any]:
    (drawn,) = struct.unpack("<d", dice.randbytes(8))
    return written(dice.choice([*DOUBLES, drawn, dice.uniform(-1e6, 1e6)]))


def single(dice: Dice) -> tuple[float, Any]:
    (drawn,) = struct.unpack("<f", dice.randbytes(4))
    return written(dice.choice([0.0, -0.0, inf, -inf, nan, 0.5, drawn]))


def written(value: float) -> tuple[float, Any]:
    names = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return value, value if isfinite(value) else names[str(value)]


def text(dice: Dice) -> tuple[str, str]:
    letters = "".join(dice.choices(LETTERS if dice.random() < 0.5 else "abc é", k=dice.randrange(6)))
    return letters, letters


def blob(dice: Dice) -> tuple[bytes, str]:
    found = dice.randbytes(dice.randrange(5))
    return found, found.hex()


def interval(dice: Dice) -> tuple[pa.MonthDayNano, list[int]]:
    parts = [dice.randint(-99, 99), dice.randint(-(2**31), 2**31 - 1), dice.randint(-(2**63), 2**63 - 1)]
    return pa.MonthDayNano(parts), parts


TIMES = [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", "UTC")]
KINDS = [
    Kind(pa.bool_(), lambda dice: (dice.random() < 0.5,) * 2),
    *(number(pa.type_for_alias(f"int{n}"), -(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)),
    *(number(pa.type_for_alias(f"uint{n}"), 0, 2**n - 1) for n in (8, 16, 32, 64)),
    *(number(time, -(2**63) + 1, 2**63 - 1) for time in TIMES),
    number(pa.time64("us"), 0, 86_400_000_000 - 1),
    number(pa.date32(), -(2**31), 2**31 - 1),
    *(decimal(*of) for of in ((9, 2), (18, 0), (38, 0), (38, 6), (38, 7), (38, 37), (10, 10))),
    Kind(pa.float64(), double),
    Kind(pa.float32(), single),
    Kind(pa.string(), text),
    Kind(pa.binary(), blob),
    Kind(pa.month_day_nano_interval(), interval),
]


def kind(dice: Dice, depth: int = 0) -> Kind:
    """Any type: one in three is made of others."""
    if depth == 3 or dice.random() < 0.67:
        return dice.choice(KINDS)
    make = dice.choice([list_of, array_of, struct_of, map_of])
    return make(dice, depth + 1)


def pairs(found: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [value for value, _ in found], [plain for _, plain in found]


def list_of(dice: Dice, depth: int) -> Kind:
    of = kind(dice, depth)
    return Kind(pa.list_(of.arrow), lambda dice: pairs([of.maybe(dice) for _ in range(dice.randrange(4))]))


def array_of(dice: Dice, depth: int) -> Kind:
    of, size = kind(dice, depth), dice.randint(1, 3)
    return Kind(pa.list_(of.arrow, size), lambda dice: pairs([of.maybe(dice) for _ in range(size)]))


def struct_of(dice: Dice, depth: int) -> Kind:
    of = {name: kind(dice, depth) for name in ["a", 'q"é', "\\"][: dice.randint(1, 3)]}

    def value(dice: Dice) -> tuple[dict[str, Any], dict[str, Any]]:
        values, plain = pairs([field.maybe(dice) for field in of.values()])
        return dict(zip(of, values, strict=True)), dict(zip(of, plain, strict=True))

    return Kind(pa.struct([(name, field.arrow) for name, field in of.items()]), value)


def map_of(dice: Dice, depth: int) -> Kind:
    key, item = dice.choice(KINDS), kind(dice, depth)

    def value(dice: Dice) -> tuple[list[Any], list[Any]]:
        keys, items = ([of(dice) for _ in range(dice.randrange(3))] for of in (key.value, item.maybe))
        entries = list(zip(keys, items, strict=False))
        return [(k[0], v[0]) for k, v in entries], [[k[1], v[1]] for k, v in entries]

    return Kind(pa.map_(key.arrow, item.arrow), value)


@pytest.mark.parametrize("seed", range(40))
def test_a_record_is_what_a_json_library_writes_of_the_documented_form(seed: int) -> None:
    dice = random.Random(seed)
    chosen = KINDS if seed == 0 else [kind(dice) for _ in range(8)]
    columns = {f'c{number} "ä"\\': of for number, of in enumerate(chosen)}
    values = {name: pairs([of.maybe(dice) for _ in range(ROWS)]) for name, of in columns.items()}
    rows = pa.record_batch({name: pa.array(values[name][0], of.arrow) for name, of in columns.items()})
    start, partition = dice.randrange(ROWS), dice.randrange(3)
    expected = [
        json.dumps(
            {**{name: plain[row] for name, (_, plain) in values.items()}, "ROWPARTITION": partition},
            ensure_ascii=False, separators=(",", ":"),
        )
        for row in range(start, ROWS)
    ]  # fmt: skip
    assert record_texts(rows.slice(start), partition) == expected
    hashes = b"".join(sha256(b"\0" + record.encode()).digest() for record in expected)
    assert record_hashes(rows.slice(start), partition) == hashes
