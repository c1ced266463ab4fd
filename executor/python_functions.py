"""The Python code of users' functions, and what DuckDB calls to run it.

Code is filed by the name that DuckDB knows a function by, for all databases and all threads of the process; each
connection is given what has been filed since it was last used.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.python_values import FunctionFailed, arrow_form, arrow_values, failure, python_values
from headwater.planner.sql_types import add_function, keep_functions
from headwater.planner.user_functions import Function, carrier

_Caller = Callable[..., pa.Array]

_lock = threading.Lock()
_filed: dict[str, tuple[Function, Any, _Caller]] = {}
_users: dict[str, int] = {}  # how many open databases have a function
_changes = 0
_given: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, int] = weakref.WeakKeyDictionary()  # as of which change
_local = threading.local()


class Conflict(Exception):
    """Another database of this process has other code for the very same function."""


def provide(function: Function, target: Any) -> None:
    """Files the code of a function, a callable or a class. Raises Conflict if there is another one for it."""
    global _changes
    with _lock:
        known = _filed.get(function.internal)
        if known is None:
            _filed[function.internal] = function, target, _caller(function, target)
            _changes += 1
        elif function.body is None and known[1] is not target:
            raise Conflict
        _users[function.internal] = _users.get(function.internal, 0) + 1


def withdraw(functions: Iterable[Function]) -> None:
    """Takes back as many times of `provide`."""
    global _changes
    with _lock:
        _changes += 1
        for function in functions:
            _users[function.internal] -= 1
            if not _users[function.internal]:
                del _users[function.internal], _filed[function.internal]


def target_of(internal: str) -> tuple[Function, Any]:
    """A function that has been provided, and its code."""
    function, target, _ = _filed[internal]
    return function, target


def give_functions(con: duckdb.DuckDBPyConnection) -> None:
    """Lets `con` call every function that is provided now, and no other."""
    with _lock:
        if _given.get(con, 0) == _changes:
            return
        keep_functions(con, _filed)
        for internal, (function, _, caller) in _filed.items():
            add_function(con, internal, caller, function.duckdb_parameters, carrier(function.returns))
        _given[con] = _changes


def raise_interrupt() -> None:
    """Raises the KeyboardInterrupt that came while a function ran; DuckDB takes it for the row's fault."""
    if getattr(_local, "interrupted", False):
        _local.interrupted = False
        raise KeyboardInterrupt


def _caller(function: Function, target: Any) -> _Caller:
    """What DuckDB calls, with columns of the same length: it gives as many values."""
    if function.is_aggregate:
        called = _over_lists(function, target)
    else:
        called = _over_arrays(function, target) if function.is_vectorized else _by_row(function, target)

    def caller(*columns: pa.ChunkedArray) -> pa.Array:
        if getattr(_local, "interrupted", False):
            raise KeyboardInterrupt
        try:
            return called(*columns)
        except KeyboardInterrupt:
            _local.interrupted = True
            raise
        except BaseException as error:
            raise failure(function.name, error) from None

    return caller


def _by_row(function: Function, target: Any) -> _Caller:
    types = [parameter.type for parameter in function.parameters]

    def called(*columns: pa.ChunkedArray) -> pa.Array:
        if not types:
            return arrow_values([target() for _ in range(len(columns[0]))], function.returns, function.name)
        rows = zip(*map(python_values, columns, types), strict=True)
        if function.called_on_null:
            values = [target(*row) for row in rows]
        else:
            values = [None if None in row else target(*row) for row in rows]
        return arrow_values(values, function.returns, function.name)

    return called


def _over_arrays(function: Function, target: Any) -> _Caller:
    returned = arrow_form(function.returns)

    def called(*columns: pa.ChunkedArray) -> pa.Array:
        arrays = [_array(column) for column in columns]
        if function.called_on_null or not any(array.null_count for array in arrays):
            return _vector(function, target, arrays, returned)
        whole = np.logical_and.reduce([array.is_valid().to_numpy(zero_copy_only=False) for array in arrays])
        if not whole.any():
            return pa.nulls(len(whole), returned)
        given = _vector(function, target, [array.filter(pa.array(whole)) for array in arrays], returned)
        places = pa.array(np.cumsum(whole) - 1, mask=~whole)
        return given.take(places)

    return called


def _vector(function: Function, target: Any, arrays: list[pa.Array], returned: pa.DataType) -> pa.Array:
    """The values of whole arrays; if that fails, row by row: whether a row fails depends on the row alone."""
    try:
        return _checked(function, target(*arrays), len(arrays[0]), returned)
    except Exception:
        if len(arrays[0]) <= 1:
            raise
    rows = ([array.slice(i, 1) for array in arrays] for i in range(len(arrays[0])))
    return pa.concat_arrays([_checked(function, target(*row), 1, returned) for row in rows])


def _checked(function: Function, given: Any, count: int, returned: pa.DataType) -> pa.Array:
    """What a vectorized function returned, with the type that it should have."""
    if isinstance(given, pa.ChunkedArray):
        given = _array(given)
    if isinstance(given, np.ndarray) and given.ndim == 1:
        given = pa.array(given)
    if not isinstance(given, pa.Array):
        raise FunctionFailed(f"{function.name}() returned a {type(given).__name__}, not an Arrow array")
    if len(given) != count:
        raise FunctionFailed(f"{function.name}() returned {len(given)} values for {count} row{'s' * (count != 1)}")
    if given.type == returned:
        return given
    try:
        return given.cast(returned)
    except pa.ArrowException as error:
        raise FunctionFailed(f"{function.name}() returned {given.type}, and not {function.returns}: {error}") from None


def _over_lists(function: Function, target: Any) -> _Caller:
    def called(lists: pa.ChunkedArray) -> pa.Array:
        groups = _array(lists)
        rows = groups.flatten()
        lengths = pc.fill_null(pc.list_value_length(groups), 0).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths, dtype=np.int64)
        values = [
            aggregated(function, target, rows.slice(end - length, length))
            for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]
        return arrow_values(values, function.returns, function.name)

    return called


def aggregated(function: Function, target: Any, rows: pa.StructArray) -> Any:
    """The value of an aggregate over all rows of a group, each the struct of its arguments."""
    arrays = arguments_of(function, rows)
    if not isinstance(target, type):
        return target(*arrays)
    state = target()
    if len(arrays[0]):
        state.accumulate(*arrays)
    return state.finish()


def arguments_of(function: Function, rows: pa.StructArray) -> list[pa.Array]:
    """The arguments of rows as arrays, those with a NULL among them left out if the function is not to see it."""
    arrays: list[pa.Array] = rows.flatten()
    if function.called_on_null or not any(array.null_count for array in arrays):
        return arrays
    whole = np.logical_and.reduce([array.is_valid().to_numpy(zero_copy_only=False) for array in arrays])
    return [array.filter(pa.array(whole)) for array in arrays]


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
