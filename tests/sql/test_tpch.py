"""TPC-H: all 22 queries give DuckDB's answers, as snapshot queries and as continuous ones.

The data is that of `tpchgen-cli` at scale factor 0.01, the same in every run. The oracle is DuckDB over the same Arrow
tables with the same text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import duckdb
import numpy as np
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


# ---------------------------------------------------------------- while all tables change

STEPS = int(os.environ.get("HEADWATER_TPCH_STEPS", "6"))

# By table, its key in order, and columns that change with what they change to, over the row as it was.
CHANGING = {
    "region": ("r_regionkey", {"r_name": "if(r_name = 'ASIA', 'EUROPE', 'ASIA')"}),
    "nation": ("n_nationkey", {"n_regionkey": "(n_regionkey + 1) % 5", "n_name": "lower(n_name)"}),
    "supplier": ("s_suppkey", {"s_nationkey": "(s_nationkey + 1) % 25", "s_acctbal": "-s_acctbal"}),
    "customer": ("c_custkey", {"c_nationkey": "c_nationkey // 2", "c_mktsegment": "'BUILDING'", "c_phone": "'13-1'"}),
    "part": ("p_partkey", {"p_size": "p_size % 50 + 1", "p_brand": "'Brand#23'", "p_type": "'PROMO BRUSHED STEEL'"}),
    "partsupp": ("ps_partkey", {"ps_supplycost": "ps_supplycost + 1", "ps_availqty": "NULL"}),
    "orders": ("o_orderkey", {"o_orderdate": "DATE '1995-03-01'", "o_orderpriority": "'1-URGENT'", "o_custkey": "1"}),
    "lineitem": ("l_orderkey", {"l_quantity": "300", "l_shipdate": "DATE '1995-09-15'", "l_discount": "0.06"}),
}  # fmt: skip


class Warehouse:
    """A part of the data in Headwater, with all queries running, and in DuckDB; rows come, change and go in both."""

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        self.random = Random(22)
        self.db = connect(None, background=False)
        self.con = duckdb.connect(config={"threads": 1})
        self.db.execute((FOLDER / "schema.sql").read_text())
        self.absent: dict[str, pa.Table] = {}  # rows that are yet to come, or to come again
        for name, rows in tables.items():
            self.con.execute(f"CREATE TABLE {name} AS FROM rows")
            self.con.execute(f"DELETE FROM {name}")
            rows = rows.cast(pa.schema([field.with_nullable(True) for field in rows.schema]))
            part = rows.take(self.some(len(rows), 0.25)) if name in ("lineitem", "orders", "partsupp") else rows
            self.absent[name] = part
            self.insert(name, 0.7)
        self.queries = {path.stem: unordered(path.read_text()) for path in QUERIES}
        for name, sql in self.queries.items():
            self.db.execute(f"CREATE TABLE {name} AS {sql}")

    def some(self, count: int, share: float) -> list[int]:
        return sorted(self.random.sample(range(count), int(count * share)))

    def insert(self, name: str, share: float) -> None:
        absent = self.absent[name]
        chosen = np.zeros(len(absent), dtype=bool)
        chosen[self.some(len(absent), share)] = True
        rows, self.absent[name] = absent.filter(pa.array(chosen)), absent.filter(pa.array(~chosen))
        self.db.append(name, rows)
        self.con.execute(f"INSERT INTO {name} FROM rows")

    def update(self, name: str) -> None:
        key, columns = CHANGING[name]
        column, value = self.random.choice(list(columns.items()))
        self.both(f"UPDATE {name} SET {column} = {value} WHERE {self.condition(key)}")

    def delete(self, name: str) -> None:
        condition = self.condition(CHANGING[name][0])
        gone = self.con.sql(f"FROM {name} WHERE {condition}").to_arrow_table()
        self.absent[name] = pa.concat_tables([self.absent[name], gone.cast(self.absent[name].schema)])
        self.both(f"DELETE FROM {name} WHERE {condition}")

    def condition(self, key: str) -> str:
        return f"{key} % {(size := self.random.choice([7, 23, 61]))} = {self.random.randrange(size)}"

    def both(self, sql: str) -> None:
        self.db.execute(sql)
        self.con.execute(sql)

    def change(self) -> None:
        name = self.random.choice([*CHANGING, "orders", "lineitem"])
        match self.random.choice(["insert", "update", "delete"]):
            case "insert":
                self.insert(name, 0.3)
            case "update":
                self.update(name)
            case _:
                self.delete(name)


def test_all_queries_give_duckdbs_answers_while_rows_of_all_tables_come_change_and_go(
    tables: dict[str, pa.Table],
) -> None:
    house = Warehouse(tables)
    rows = 0
    for step in range(STEPS):
        for name, sql in house.queries.items():
            expected = canonical(house.con.execute(sql).fetchall())
            assert canonical(house.db.sql(f"SELECT * FROM {name}").fetchall()) == expected, (step, name)
            rows += len(expected)
        for _ in range(8):
            house.change()
    assert rows > STEPS * len(QUERIES)
