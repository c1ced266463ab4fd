"""Ledgers: streams whose records are hashed, so that anybody can be shown that nothing of them has changed.

VERIFY computes all hashes again from the files. SHOW ROOT gives what to keep elsewhere, and SHOW PROOF what convinces
somebody who has kept a root, without the other records. STATE ROOT is one hash for all rows that a relation has.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa

from headwater.engine.parts import Parts
from headwater.engine.result import Result
from headwater.errors import OutOfRange, Span, SqlError
from headwater.executor.canonical import content_hashes, record_hashes, record_texts
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.progress import task
from headwater.storage import Log
from headwater.storage.ledgers import Ledger
from headwater.storage.merkle import Frontier
from headwater.storage.proving import LedgerTree
from headwater.storage.state import check_ledger
from headwater.storage.verify import Partition, Verification, Wanted
from headwater.values import Column

LedgerStatement = syntax.Verify | syntax.ShowProof | syntax.ShowExtension | syntax.ShowRoot | syntax.StateRoot

_ROOT = re.compile(r"[0-9a-fA-F]{64}")
_TEXT, _NUMBER = pa.string(), pa.int64()


def run(statement: LedgerStatement, parts: Parts) -> Result:
    """Runs a statement about a ledger, or about the content of a relation."""
    parts.pipeline.catch_up()
    if isinstance(statement, syntax.StateRoot):
        return _state_root(statement, parts)
    relation = parts.pipeline.catalog.find(statement.name)
    if not relation.log.ledger:
        raise SqlError(
            f'"{relation.name}" is no ledger: its records were not hashed', statement.name.span,
            hint="CREATE STREAM … WITH (ledger = true)",
        )  # fmt: skip
    match statement:
        case syntax.Verify():
            return _verify(statement, relation, parts)
        case syntax.ShowRoot():
            return _roots(relation, parts.pipeline.log)
        case syntax.ShowProof():
            return _proof(statement, relation, parts.pipeline.log)
        case syntax.ShowExtension():
            return _extension(statement, relation, parts.pipeline.log)


def _ledger(relation: Relation, partition: int, log: Log, span: Span) -> Ledger:
    """One partition of a ledger as it is now. Raises SqlError if there is none, and CorruptLog if it was changed."""
    _check_partition(relation, partition, span)
    return check_ledger(log.state, relation.id, partition)


def _check_partition(relation: Relation, partition: int, span: Span) -> None:
    if partition >= relation.partitions:
        last = relation.partitions - 1
        raise SqlError(f'"{relation.name}" has no partition {partition}', span, hint=f"partitions 0 to {last}")


# ---------------------------------------------------------------- roots


def _roots(relation: Relation, log: Log) -> Result:
    rows: list[tuple[Any, ...]] = []
    for partition in range(relation.partitions):
        ledger = _ledger(relation, partition, log, Span(0, 0))
        rows.append((partition, ledger.tree.size, ledger.tree.root.hex()))
    return _result({"partition": _NUMBER, "size": _NUMBER, "root": _TEXT}, rows)


def _state_root(statement: syntax.StateRoot, parts: Parts) -> Result:
    source = syntax.Relation(statement.name, as_of=statement.as_of, span=statement.name.span)
    items = (syntax.SelectItem(syntax.Star(span=statement.span), span=statement.span),)
    query = syntax.Query(syntax.Select(items, source, span=statement.span), span=statement.span)
    rows = parts.reader.query(query).arrow().combine_chunks()
    leaves = b"".join(content_hashes(batch) for batch in rows.to_batches())
    return _result({"rows": _NUMBER, "root": _TEXT}, [(len(rows), Frontier().extended(leaves).root.hex())])


# ---------------------------------------------------------------- verifying


def _verify(statement: syntax.Verify, relation: Relation, parts: Parts) -> Result:
    log, against = parts.pipeline.log, statement.against
    if statement.first is not None and statement.last is not None and statement.last < statement.first:
        raise SqlError(f"there are no offsets from {statement.first} to {statement.last}", statement.span)
    if against is not None:
        _check_partition(relation, against.partition, against.span)
        if not _ROOT.fullmatch(against.root):
            raise SqlError("a root is 64 hexadecimal digits", against.span, hint=f"SHOW ROOT OF {relation.name}")
    wanted = Wanted(
        relation.id,
        log.version,
        first=statement.first or 0,
        last=statement.last,
        size=None if against is None else (against.partition, against.size),
    )
    with task("verifying") as tell:
        total = log.row_count(relation.id)
        run = Verification(parts.storage, log.path, wanted, record_hashes, lambda done: tell(done, total))
        found = run.run(log.state)
    rows = []
    for partition in sorted({*range(relation.partitions), *found}):  # somebody may have written of others
        part = found.get(partition, Partition())
        problem = _problem(part)
        if against is not None and against.partition == partition and problem is None:
            problem = _difference(part, against)
        offset, file, what = problem or (None, None, None)
        state = "intact" if problem is None else "damaged"
        tree = part.ledger.tree
        rows.append((partition, part.records, tree.size, tree.root.hex(), state, offset, file, what))
    types = {"partition": _NUMBER, "records": _NUMBER, "size": _NUMBER, "root": _TEXT, "state": _TEXT}
    return _result({**types, "offset": _NUMBER, "file": _TEXT, "problem": _TEXT}, rows)


_Problem = tuple[int | None, str | None, str] | None  # offset, file, what it is


def _problem(part: Partition) -> _Problem:
    found = part.damage
    return None if found is None else (found.offset, f"{found.path}:{found.position}", found.message)


def _difference(part: Partition, against: syntax.Against) -> _Problem:
    """What is wrong with a partition that is whole in itself, for somebody who has a root of it."""
    size = part.ledger.tree.size
    if size < against.size:
        return size, None, f"there are {size:,} records, and there were {against.size:,} when the root was taken"
    root = part.root if against.size else Frontier().root
    if root is None or root.hex() != against.root.lower():
        found = "another root" if root is None else f"the root {root.hex()}"
        return None, None, f"the first {against.size:,} records have {found}: they are not those of which this one is"
    return None


# ---------------------------------------------------------------- proofs


def _proof(statement: syntax.ShowProof, relation: Relation, log: Log) -> Result:
    ledger = _ledger(relation, statement.partition, log, statement.span)
    size = _size(statement.size, ledger, statement.span)
    if statement.offset >= size:
        raise OutOfRange(f"there is no record {statement.offset} among the first {size:,}", statement.span)
    tree = LedgerTree(log, relation.id, statement.partition, ledger, size, record_hashes)
    found = tree.inclusion(statement.offset)
    (text,) = record_texts(tree.record(statement.offset), statement.partition)
    proof = {
        "offset": statement.offset,
        "record": text,
        "size": size,
        "root": found.root.hex(),
        "path": [node.hex() for node in found.path],
    }
    return _as_json(proof)


def _extension(statement: syntax.ShowExtension, relation: Relation, log: Log) -> Result:
    ledger = _ledger(relation, statement.partition, log, statement.span)
    size = _size(statement.size, ledger, statement.span)
    if not 0 < statement.before <= size:
        raise OutOfRange(
            f"{statement.before:,} records are not the beginning of {size:,}", statement.span,
            hint="FROM SIZE n TO SIZE m, where n is at least 1, and no more than m",
        )  # fmt: skip
    tree = LedgerTree(log, relation.id, statement.partition, ledger, size, record_hashes)
    found = tree.consistency(statement.before)
    proof = {
        "before": {"size": statement.before, "root": found.before.hex()},
        "size": size,
        "root": found.root.hex(),
        "path": [node.hex() for node in found.path],
    }
    return _as_json(proof)


def _size(wanted: int | None, ledger: Ledger, span: Span) -> int:
    """How many records a proof is about. Raises OutOfRange if there are not so many."""
    size = ledger.tree.size
    if wanted is not None and wanted > size:
        raise OutOfRange(f"there are {size:,} records, not {wanted:,}", span)
    return size if wanted is None else wanted


def _as_json(proof: dict[str, Any]) -> Result:
    return Result.of_rows((Column("proof", "JSON"),), [(json.dumps(proof, ensure_ascii=False),)], [_TEXT])


def _result(types: dict[str, pa.DataType], rows: list[tuple[Any, ...]]) -> Result:
    columns = tuple(Column(name, "BIGINT" if kind is _NUMBER else "VARCHAR") for name, kind in types.items())
    return Result.of_rows(columns, rows, list(types.values()))
