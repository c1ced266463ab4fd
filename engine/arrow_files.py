"""Files of Arrow and Parquet, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from headwater.errors import DataError
from headwater.planner.file_options import FileOptions

WHOLE_FILES = ("parquet", "arrow")  # read batch by batch, once they are whole
_FORMATS = {"parquet": "parquet", "arrow": "ipc"}


def schema_of(path: str, options: FileOptions) -> pa.Schema:
    """The columns of a file. Raises DataError for what is none."""
    try:
        return _opened(path, options).schema
    except pa.ArrowException as error:
        raise DataError(f"this is not {options.format} as it should be: {str(error).splitlines()[0]}") from error


def batches_of(path: str, options: FileOptions) -> Iterator[pa.RecordBatch]:
    """The rows of a file, in its order. Raises DataError for what cannot be read."""
    try:
        yield from _opened(path, options).to_batches()
    except pa.ArrowException as error:
        raise DataError(f"this is not {options.format} as it should be: {str(error).splitlines()[0]}") from error


def _opened(path: str, options: FileOptions) -> pa.dataset.Dataset:
    import pyarrow.dataset as dataset  # which imports pandas, where it is installed: that takes longer than all of ours

    return dataset.dataset(path, format=_FORMATS[options.format])
