"""EXPLAIN MISSING: at which operator the rows were lost that a condition asks for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.engine.why import Question, question, refusing, row_texts, step_text
from headwater.executor.evaluate import Evaluate
from headwater.executor.feed import Cut, read_chunks, rows_of, with_weights
from headwater.executor.lineage import Tracer, content_at
from headwater.executor.missing import Search
from headwater.executor.missing_steps import Step
from headwater.executor.state import select_rows
from headwater.parser import syntax
from headwater.planner import Catalog
from headwater.planner.logical import Changelog, Filter, Plan, Source, StreamOutput, walk_plan
from headwater.planner.rewrite import conditions_of
from headwater.storage import Log
from headwater.values import Column

_COLUMNS = (
    Column("step", "VARCHAR"), Column("candidates", "BIGINT"), Column("left", "BIGINT"), Column("reason", "VARCHAR"),
    Column("example", "VARCHAR"),
)  # fmt: skip
_TYPES = [pa.string(), pa.int64(), pa.int64(), pa.string(), pa.string()]


def explain_missing(statement: syntax.ExplainRow, pipeline: Pipeline, reader: Reader) -> Result:
    """The answer to EXPLAIN MISSING: a line per step at which rows were lost, and one for when such a row was there."""
    asked = question(statement, pipeline, reader)
    with refusing(statement):
        there = content_at(pipeline.log, asked.filtered, asked.cut)
        if there.num_rows:
            (example,) = row_texts(there.slice(0, 1), asked.relation.columns)
            reason = "not missing: EXPLAIN ROW says where it comes from"
            return Result.of_rows(
                _COLUMNS, [(asked.relation.name, there.num_rows, there.num_rows, reason, example)], _TYPES
            )
        search = Search(pipeline.log, asked.cut, _inserting(asked.catalog))
        steps = search.why(asked.plan, conditions_of(asked.condition))
        shown = _Shown(pipeline, asked)
        lines = list(dict.fromkeys(shown.line(step) for step in steps))
        return Result.of_rows(_COLUMNS, [*shown.earlier(), *lines], _TYPES)


def _inserting(catalog: Catalog) -> dict[int, list[StreamOutput]]:
    """By the id of a stream, the plans of the queries that insert into it."""
    found: dict[int, list[StreamOutput]] = {}
    for query in catalog.ordered():
        if query.insertion is not None and isinstance(query.query_plan, StreamOutput):
            found.setdefault(query.insertion.stream, []).append(query.query_plan)
    return found


class _Shown:
    """Makes lines of steps, with records for examples."""

    def __init__(self, pipeline: Pipeline, asked: Question) -> None:
        self._log: Log = pipeline.log
        self._asked = asked

    def line(self, step: Step) -> tuple[object, ...]:
        """What is shown of a step."""
        by = f"{step.inserted_by}: " if step.inserted_by else ""
        return (by + step_text(step.node), step.candidates, 0, step.reason, self._example(step))

    def _example(self, step: Step) -> str | None:
        """The candidates that stand for all, each with the record that it comes from first."""
        if step.rows is None or not step.rows.num_rows:
            return None
        columns = [c for c in (step.of or step.node).columns if c.name in step.shown]
        texts = row_texts(step.rows, columns) if columns else [""] * step.rows.num_rows
        places = [""] * len(texts) if step.of is None else self._places(step.of, step.rows, step.cut or self._asked.cut)
        return "; ".join(dict.fromkeys(": ".join(filter(None, pair)) for pair in zip(places, texts, strict=True)))

    def _places(self, node: Plan, rows: pa.RecordBatch, cut: Cut) -> list[str]:
        """Where the records are that each row of a node is made of: for each way to it the first, and how many more."""
        tracer = Tracer(self._log)
        origins = tracer.trace(node, rows, cut)
        first = [("partition", "first"), ("offset", "first"), ("offset", "count")]
        ways: list[list[str]] = [[] for _ in range(rows.num_rows)]
        for way in origins.group_by(["of", "via"], use_threads=False).aggregate(first).to_pylist():
            place = f"{tracer.vias[way['via']].source.name} ({way['partition_first']}, {way['offset_first']})"
            more = f" and {way['offset_count'] - 1:,} more" if way["offset_count"] > 1 else ""
            ways[way["of"]].append(place + more)
        return [", ".join(dict.fromkeys(named)) for named in ways]

    def earlier(self) -> list[tuple[object, ...]]:
        """A line for the version until which a derived table had such a row, if its changelog has one."""
        relation, cut = self._asked.relation, self._asked.cut
        if relation.plan is None or relation.is_stream:
            return []
        steps = [(version, step["to"]) for version, step in self._log.notes("step") if step["to"] <= cut.version]
        removal = self._last_removal(steps[-1][0]) if steps else None
        if removal is None:
            return []
        version, row = removal
        ends = [to for of_step, to in steps if of_step <= version]
        there = ends[-2] if len(ends) > 1 else 0
        gone = self._first_without(there, ends[-1])
        (example,) = row_texts(row, relation.columns)
        names = {leaf.id: leaf.name for leaf in walk_plan(self._asked.plan) if isinstance(leaf, Source)}
        changed = [name for id, name in names.items() if any(self._log.extents(id, gone - 1, gone))]
        by = f", by the commit to {', '.join(changed)}" if changed else ", when time passed"
        reason = f"{relation.name} had such a row until version {gone - 1}: at version {gone} it went{by}"
        return [(relation.name, None, None, reason, example)]

    def _last_removal(self, upto: int) -> tuple[int, pa.RecordBatch] | None:
        """The last row that meets the condition among those that the table's changelog says are gone."""
        relation = self._asked.relation
        leaf = Changelog(relation.id, relation.name, relation.columns, None)
        wanted = Filter(leaf, self._asked.condition)
        for chunk in reversed(read_chunks(self._log, leaf, 0, Cut(upto))):
            rows = with_weights(rows_of([chunk], leaf))
            gone = Evaluate((wanted,)).step(select_rows(rows, np.flatnonzero(rows.weight_array < 0)))
            if len(gone):
                return chunk.version, gone.rows.slice(0, 1)
        return None

    def _first_without(self, there: int, gone: int) -> int:
        """The version at which the last such row went, where there was one at a version and is none at another."""
        while gone - there > 1:
            between = (there + gone) // 2
            if content_at(self._log, self._asked.filtered, Cut(between)).num_rows:
                there = between
            else:
                gone = between
        return gone
