"""Files of Arrow and Parquet, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.dataset

from headwater.errors import DataError
from headwater.planner.file_options import FileOptions

WHOLE_FILES = ("parquet", "arrow")  # read batch by batch, once they are whole
_FORMATS = {"parquet": "parquet", "arrow": "ipc"}


def schema_of(path: str, options: FileOptions) -> pa.Schema:
    """The columns of a file. Raises DataError for what is none."""
    try:
        return pyarrow.dataset.dataset(path, format=_FORMATS[options.format]).schema
    except pa.ArrowException as error:
        raise DataError(f"this is not {options.format} as it should be: {str(error).splitlines()[0]}") from error


def batches_of(path: str, options: FileOptions) -> Iterator[pa.RecordBatch]:
    """The rows of a file, in its order. Raises DataError for what cannot be read."""
    try:
        yield from pyarrow.dataset.dataset(path, format=_FORMATS[options.format]).to_batches()
    except pa.ArrowException as error:
        raise DataError(f"this is not {options.format} as it should be: {str(error).splitlines()[0]}") from error
