"""Rows as Arrow and Parquet, in batches as they come: writers like those of text, for a place that takes bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa

from headwater.errors import HeadwaterError
from headwater.repl.writers import RowWriter

_ROWS_AT_ONCE = 1 << 16  # of a group of rows in Parquet


class ArrowWriter:
    """Arrow's IPC format: as a stream or, with `is_file`, as a file, which can be read from any place."""

    def __init__(self, schema: pa.Schema, sink: BinaryIO, *, is_file: bool) -> None:
        self._schema = schema
        self._sink = sink
        opened = pa.ipc.new_file if is_file else pa.ipc.new_stream
        self._writer = opened(_Counting(sink), schema)

    def add(self, rows: pa.RecordBatch) -> None:
        """Write these rows; whoever reads has them then."""
        self._writer.write_batch(pa.RecordBatch.from_arrays(rows.columns, schema=self._schema))
        self._sink.flush()

    def close(self) -> None:
        """Write what ends the stream or the file."""
        self._writer.close()
        self._sink.flush()


class ParquetWriter:
    """A Parquet file, whose rows are written in groups."""

    def __init__(self, schema: pa.Schema, sink: BinaryIO) -> None:
        import pyarrow.parquet as parquet  # which takes a while

        self._schema = schema
        self._sink = sink
        try:
            self._writer = parquet.ParquetWriter(_Counting(sink), schema)
        except pa.ArrowNotImplementedError as error:
            raise HeadwaterError(f"Parquet cannot hold these columns: {error}", hint="cast them to VARCHAR") from error
        self._waiting: list[pa.RecordBatch] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """Take these rows; they are written when there are enough for a group."""
        self._waiting.append(pa.RecordBatch.from_arrays(rows.columns, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= _ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        """Write the last group, and what ends the file."""
        self._write()
        self._writer.close()
        self._sink.flush()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting.clear()


class _Counting:
    """A place for bytes that knows how many it has taken, as a pipe does not say."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._taken = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._sink.write(data)
        self._taken += len(data)
        return len(data)

    def tell(self) -> int:
        return self._taken

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        """What is below stays open: it belongs to somebody else."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _parquet(schema: pa.Schema, sink: BinaryIO, is_file: bool) -> RowWriter:
    return ParquetWriter(schema, sink)


def _arrow(schema: pa.Schema, sink: BinaryIO, is_file: bool) -> RowWriter:
    return ArrowWriter(schema, sink, is_file=is_file)


BINARY_WRITERS: dict[str, Callable[[pa.Schema, BinaryIO, bool], RowWriter]] = {"parquet": _parquet, "arrow": _arrow}
