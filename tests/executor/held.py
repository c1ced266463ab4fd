"""What an operator really holds: the bytes of all arrays and buffers that can be reached from it, each counted once."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa

_TYPES = (str, bytes, int, float, bool, type(None), type, pa.Schema, pa.DataType, pa.Field)


def held_bytes(root: Any) -> int:
    """The bytes that `root` keeps alive. What describes it (plans, schemas, functions) is not counted."""
    seen: set[int] = set()
    buffers: dict[int, int] = {}  # of arrays and Arrow buffers: address of the whole allocation → its size
    objects = 0
    open_: list[Any] = [root]
    alive: list[Any] = []  # so that no address is used twice
    while open_:
        value = open_.pop()
        if isinstance(value, _TYPES) or callable(value) or _describes(value) or id(value) in seen:
            continue
        seen.add(id(value))
        alive.append(value)
        if isinstance(value, np.ndarray):
            whole = value
            while isinstance(whole.base, np.ndarray):
                whole = whole.base
            buffers[whole.__array_interface__["data"][0]] = whole.nbytes
        elif isinstance(value, pa.RecordBatch | pa.Table):
            open_ += value.columns
        elif isinstance(value, pa.ChunkedArray):
            open_ += value.chunks
        elif isinstance(value, pa.Array):
            for buffer in _buffers(value):
                while buffer.parent is not None:
                    buffer = buffer.parent
                buffers[buffer.address] = max(buffers.get(buffer.address, 0), buffer.size)
        elif isinstance(value, dict):
            objects += sys.getsizeof(value)
            open_ += [*value.keys(), *value.values()]
            objects += sum(sys.getsizeof(v) for v in value.values() if isinstance(v, int | float | str))
        elif isinstance(value, list | tuple | set):
            objects += sys.getsizeof(value)
            open_ += list(value)
        else:
            open_ += list(getattr(value, "__dict__", {}).values())
            open_ += [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    return sum(buffers.values()) + objects


def _describes(value: Any) -> bool:
    return type(value).__module__.startswith("headwater.planner")


def _buffers(array: pa.Array) -> list[pa.Buffer]:
    found = [buffer for buffer in array.buffers() if buffer is not None]
    if isinstance(array, pa.DictionaryArray):
        found += _buffers(array.dictionary)
    return found
