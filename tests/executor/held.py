"""What an operator really holds: the bytes of all arrays and buffers that can be reached from it, each counted once."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa

from headwater.executor.circuit import Circuit

_TYPES = (str, bytes, int, float, bool, type(None), type, pa.Schema, pa.DataType, pa.Field)


def held_bytes(root: Any, *, whole: bool = True) -> int:
    """The bytes that `root` keeps alive. What describes it (plans, schemas, functions) is not counted.

    Of what is a part of something larger, the whole is counted; without `whole`, the part: of a file that is mapped.
    """
    seen: set[int] = set()
    buffers: dict[int, int] = {}  # of arrays and Arrow buffers: address of the whole allocation → its size
    objects = 0
    ahead: list[Any] = [root]
    alive: list[Any] = []  # so that no address is used twice
    while ahead:
        value = ahead.pop()
        if isinstance(value, _TYPES) or callable(value) or _describes(value) or id(value) in seen:
            continue
        seen.add(id(value))
        alive.append(value)
        if isinstance(value, np.ndarray):
            array = value
            while whole and isinstance(array.base, np.ndarray):
                array = array.base
            address = array.__array_interface__["data"][0]
            buffers[address] = max(buffers.get(address, 0), array.nbytes)
        elif isinstance(value, pa.RecordBatch | pa.Table):
            ahead += value.columns
        elif isinstance(value, pa.ChunkedArray):
            ahead += value.chunks
        elif isinstance(value, pa.Array):
            for buffer in _buffers(value):
                while whole and buffer.parent is not None:
                    buffer = buffer.parent
                buffers[buffer.address] = max(buffers.get(buffer.address, 0), buffer.size)
        elif isinstance(value, dict):
            objects += sys.getsizeof(value)
            ahead += [*value.keys(), *value.values()]
            objects += sum(sys.getsizeof(v) for v in value.values() if isinstance(v, int | float | str))
        elif isinstance(value, list | tuple | set):
            objects += sys.getsizeof(value)
            ahead += list(value)
        else:
            ahead += list(getattr(value, "__dict__", {}).values())
            ahead += [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
    return sum(buffers.values()) + objects


def _describes(value: Any) -> bool:
    """Whether it describes what is held, or is a circuit inside an operator, whose operators tell for themselves."""
    return isinstance(value, Circuit) or type(value).__module__.startswith("headwater.planner")


def _buffers(array: pa.Array) -> list[pa.Buffer]:
    found = [buffer for buffer in array.buffers() if buffer is not None]
    if isinstance(array, pa.DictionaryArray):
        found += _buffers(array.dictionary)
    return found
