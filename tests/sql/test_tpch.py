"""TPC-H: all 22 queries give DuckDB's answers, as snapshot queries and as continuous ones.

The data is that of `tpchgen-cli` at scale factor 0.01, the same in every run. The oracle is DuckDB over the same Arrow
tables with the same text.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headwater.engine.database import Database, connect
from headwater.parser import parse_statement, syntax
from tests.executor.differential import canonical

FOLDER = Path(__file__).with_name("tpch")
QUERIES = sorted(FOLDER.glob("q*.sql"))
SCALE = "0.01"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    generator = Path(sys.executable).with_name("tpchgen-cli")
    program = str(generator) if generator.exists() else shutil.which("tpchgen-cli")
    assert program is not None, "install the dependencies for development: tpchgen-cli is one of them"
    folder = tmp_path_factory.mktemp("tpch")
    subprocess.run([program, "parquet", "-s", SCALE, "--output-dir", folder], check=True, capture_output=True)
    return {path.stem: plain(pq.read_table(path)) for path in sorted(folder.glob("*.parquet"))}


def plain(table: pa.Table) -> pa.Table:
    """With strings as strings: the generator writes views of them."""
    fields = [f.with_type(pa.string()) if pa.types.is_string_view(f.type) else f for f in table.schema]
    return table.cast(pa.schema(fields))


@pytest.fixture(scope="module")
def db(tables: dict[str, pa.Table]) -> Iterator[Database]:
    with connect(None, background=False) as db:
        db.execute((FOLDER / "schema.sql").read_text())
        for name, table in tables.items():
            db.append(name, table)
        yield db


@pytest.fixture(scope="module")
def oracle(tables: dict[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        for name, table in tables.items():
            con.register(name, table)
        yield con


def test_there_are_22_queries_and_8_tables(tables: dict[str, pa.Table]) -> None:
    assert [path.stem for path in QUERIES] == [f"q{n:02}" for n in range(1, 23)]
    assert {name: table.num_rows for name, table in tables.items()} == {
        "customer": 1_500, "lineitem": 60_175, "nation": 25, "orders": 15_000,
        "part": 2_000, "partsupp": 8_000, "region": 5, "supplier": 100,
    }  # fmt: skip


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_snapshot_query_gives_duckdbs_answer(path: Path, db: Database, oracle: duckdb.DuckDBPyConnection) -> None:
    sql = path.read_text()
    assert canonical(db.sql(sql).fetchall()) == canonical(oracle.execute(sql).fetchall())


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_continuous_query_gives_duckdbs_answer(path: Path, db: Database, oracle: duckdb.DuckDBPyConnection) -> None:
    sql = unordered(path.read_text())
    db.execute(f"CREATE TABLE {path.stem} AS {sql}")
    found = canonical(db.sql(f"SELECT * FROM {path.stem}").fetchall())
    db.execute(f"DROP TABLE {path.stem}")
    assert found == canonical(oracle.execute(sql).fetchall())


def unordered(sql: str) -> str:
    """The query without ORDER BY and LIMIT, which are for who asks."""
    query = parse_statement(sql)
    assert isinstance(query, syntax.Query)
    return sql[: query.order_by[0].span.start].rpartition("ORDER BY")[0] if query.order_by else sql.rstrip().rstrip(";")
