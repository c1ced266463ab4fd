"""The oracle over a part of what was put in: only some records, or all but these."""

from __future__ import annotations

from collections.abc import Mapping, Set

from tests.executor.differential import Case, Rows, canonical_value
from tests.executor.sources import Source

Records = Mapping[str, Set[tuple[int, int]]]  # by relation: partitions and offsets


def answer_of(case: Case, sql: str, records: Records, *, without: bool = False) -> Rows:
    """The rows of `sql` over these records alone or, `without` them, over all others."""
    con = case.oracle.con
    con.execute("BEGIN")
    try:
        for name, source in case.sources.items():
            numbers = _stored(case, source, records.get(name, set()))
            listed = ", ".join(map(str, numbers)) or "-1"
            con.execute(f"DELETE FROM {name}_all WHERE rowid {'IN' if without else 'NOT IN'} ({listed})")
        return case.oracle.answer(sql)
    finally:
        con.execute("ROLLBACK")


def _stored(case: Case, source: Source, records: Set[tuple[int, int]]) -> set[int]:
    """The row ids under which the oracle has records. Equal rows of a table without a key are all of them."""
    con, name = case.oracle.con, source.name
    if source.kind == "stream":
        rows = con.execute(
            f"SELECT rowid, part, row_number() OVER (PARTITION BY part ORDER BY seq) - 1 FROM {name}_all"
        ).fetchall()
        return {rowid for rowid, partition, offset in rows if (partition, offset) in records}
    wanted = {
        tuple(canonical_value(row[column]) for column in source.names)
        for chunk in case.db.log.scan(case.id_of(name))
        for offset, row in enumerate(chunk.rows.to_pylist(), chunk.offset)
        if (chunk.partition, offset) in records
    }
    rows = con.execute(f"SELECT rowid, {', '.join(source.names)} FROM {name}_all").fetchall()
    return {rowid for rowid, *values in rows if tuple(map(canonical_value, values)) in wanted}
