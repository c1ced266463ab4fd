"""Scans of two of twelve columns, whose values are added up, next to Arrow IPC and Parquet files of the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headwater.bench.report import Figure, Report
from headwater.bench.sample import SUMMED, orders
from headwater.bench.timing import in_turns, ratio, seconds
from headwater.storage import Append, Log, OsStorage

GOAL = 1.3  # times as long as Arrow IPC

_BATCH_ROWS = (10_000, 100_000)


def measure_scans(directory: Path, report: Report, rows: int, rounds: int) -> None:
    """Report rows per second of the first scan after opening, which verifies checksums, and of later ones."""
    report.begin(f"{len(SUMMED)} of {orders(1).num_columns} columns scanned and added up, {rows:,} rows")
    for batch_rows in _BATCH_ROWS:
        report.doing(f"scanning batches of {batch_rows:,} rows")
        report.add(_scans(directory / f"{batch_rows}", orders(batch_rows), max(1, rows // batch_rows), rounds))


def _scans(directory: Path, batch: pa.RecordBatch, batches: int, rounds: int) -> list[Figure]:
    directory.mkdir()
    files = _Files(directory)
    files.write(batch, batches)
    with_log, with_arrow = Log.open(OsStorage(), files.log), files.open_arrow()
    _add_up(_from_log(with_log))

    def first() -> float:
        log = Log.open(OsStorage(), files.copy)  # what it verified before is forgotten
        taken = seconds(lambda: _add_up(_from_log(log)))
        log.close()
        return taken

    def arrow_first() -> float:
        reader = files.open_arrow()
        return seconds(lambda: _add_up(_from_arrow(reader)))

    def parquet() -> float:
        with pq.ParquetFile(files.parquet, memory_map=True) as reader:
            return seconds(lambda: _add_up(reader.iter_batches(batch.num_rows, columns=list(SUMMED))))

    taken = in_turns(
        {
            "first": first,
            "arrow first": arrow_first,
            "again": lambda: seconds(lambda: _add_up(_from_log(with_log))),
            "arrow again": lambda: seconds(lambda: _add_up(_from_arrow(with_arrow))),
            "parquet": parquet,
        },
        rounds,
    )
    with_log.close()
    title, total = f"batches of {batch.num_rows:,} rows", batch.num_rows * batches
    figures = []
    for name in ("first", "again"):
        ours, arrow = taken[name], taken[f"arrow {name}"]
        figures += [
            Figure(f"{title}, {name}", total / median(ours), "rows/s"),
            Figure(f"{title}, {name}, Arrow IPC", total / median(arrow), "rows/s"),
            Figure(f"{title}, {name}, time to Arrow IPC", ratio(ours, arrow), "times", GOAL),
        ]
    return [
        *figures,
        Figure(f"{title}, Parquet", total / median(taken["parquet"]), "rows/s"),
        Figure(f"{title}, first, time to Parquet", ratio(taken["first"], taken["parquet"]), "times"),
    ]


class _Files:
    """The same rows in logs, in an Arrow IPC file and in a Parquet file. A log is opened once at a time: so, two."""

    def __init__(self, directory: Path) -> None:
        self.log = str(directory / "log.hw")
        self.copy = str(directory / "copy.hw")
        self.arrow = str(directory / "rows.arrow")
        self.parquet = str(directory / "rows.parquet")

    def write(self, batch: pa.RecordBatch, batches: int) -> None:
        for path in (self.log, self.copy):
            log = Log.open(OsStorage(), path)
            for _ in range(batches):
                log.commit([Append(0, 0, batch)])
            log.close()
        with (
            pa.ipc.new_file(self.arrow, batch.schema) as arrow,
            pq.ParquetWriter(self.parquet, batch.schema) as parquet,
        ):
            for _ in range(batches):
                arrow.write_batch(batch)
                parquet.write_batch(batch)

    def open_arrow(self) -> pa.ipc.RecordBatchFileReader:
        source = pa.memory_map(self.arrow)
        with pa.ipc.open_file(source) as reader:
            included = [reader.schema.get_field_index(name) for name in SUMMED]
        return pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=included))


def _from_log(log: Log) -> Iterable[pa.RecordBatch]:
    return (chunk.rows for chunk in log.scan(0, columns=SUMMED))


def _from_arrow(reader: pa.ipc.RecordBatchFileReader) -> Iterable[pa.RecordBatch]:
    return (reader.get_batch(number) for number in range(reader.num_record_batches))


def _add_up(batches: Iterable[pa.RecordBatch]) -> list[float]:
    """Read every value: the sum of each column."""
    sums = [0.0] * len(SUMMED)
    for batch in batches:
        for number, column in enumerate(batch.columns):
            sums[number] += pc.sum(column).as_py()
    return sums
