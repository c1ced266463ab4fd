"""What docs/why.md shows is what is answered."""

from __future__ import annotations

import io
import re
from pathlib import Path

from headwater import Database
from headwater.engine.render import print_result

PAGE = Path(__file__).resolve().parents[2] / "docs" / "why.md"


def answer(db: Database, sql: str) -> str:
    written = io.StringIO()
    print_result(db.sql(sql), stream=written)
    return written.getvalue()


def test_the_page_shows_what_is_answered(db: Database) -> None:
    page = PAGE.read_text()
    (start,) = re.findall(r"```sql\n(CREATE .*?)```", page, re.DOTALL)
    shown = re.findall(r"```sql\n(EXPLAIN .*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    db.execute(start)
    assert len(shown) == 4
    assert [answer(db, sql) for sql, _ in shown] == [text for _, text in shown]
