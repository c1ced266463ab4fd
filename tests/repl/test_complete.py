"""What the completion menu offers; `|` is the cursor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from headwater.engine.database import connect
from headwater.repl.commands import COMMANDS
from headwater.repl.complete import SqlCompleter
from headwater.repl.names import Named, Names, names_of
from headwater.repl.ranking import count_uses
from headwater.values import Column

BIDS = Named("bids", "stream", (Column("auction", "BIGINT"), Column("price", "DOUBLE")))
HOT = Named("Hot", "table", (Column("auction", "BIGINT"), Column("top price", "DOUBLE")), is_query=True)


def offered(typed: str, *, on_request: bool = False, used: str = "") -> list[str]:
    """The texts offered at the `|` in `typed`: while typing, or on request with the Tab key."""
    completer = SqlCompleter(COMMANDS)
    completer.uses = Counter(count_uses([used]))
    completer.names = Names({"bids": BIDS, "hot": HOT})
    event = CompleteEvent(completion_requested=on_request, text_inserted=not on_request)
    document = Document(typed.replace("|", ""), typed.index("|"))
    return [completion.text for completion in completer.get_completions(document, event)]


@pytest.fixture(scope="module")
def bank() -> SqlCompleter:
    completer = SqlCompleter(COMMANDS)
    with connect(background=False) as db:
        db.execute("""
            CREATE SCHEMA bank;
            CREATE STREAM bank.payments (id BIGINT, shop STRUCT(town VARCHAR));
            CREATE PIPELINE large (
                IN a STREAM (id BIGINT), OUT b STREAM (id BIGINT), PARAM least BIGINT DEFAULT 5
            ) AS BEGIN
                CREATE VIEW inner_view AS SELECT id FROM a;
                CREATE STREAM inner_one AS SELECT id FROM a;
                CREATE STREAM b AS SELECT id FROM inner_one;
            END;
            CREATE INSTANCE bank.f OF large (a => bank.payments);
        """)
        completer.names = names_of(db)
    return completer


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("SELECT * FROM ", ["bank.payments", "bank.f.b"]),
        ("SELECT * FROM bank.", ["payments", "f.b"]),
        ("SELECT * FROM bank.f.", ["b"]),
        ("INSERT INTO bank.p", ["payments"]),
        ("DROP SCHEMA ", ["bank"]),
        ("DROP PIPELINE ", ["large"]),
        ("DROP INSTANCE ", ["bank.f"]),
        ("PAUSE INSTANCE ", ["bank.f"]),
        ("DESCRIBE PIPELINE ", ["large"]),
        ("CREATE INSTANCE x OF ", ["large"]),
        ("CREATE PIP", ["PIPELINE"]),
    ],
)
def test_qualified_names_are_known_but_not_the_private_ones(
    bank: SqlCompleter, before: str, expected: list[str]
) -> None:
    event = CompleteEvent(completion_requested=True)
    texts = [found.text for found in bank.get_completions(Document(before), event)]
    assert texts[: len(expected)] == expected and not any("inner" in text for text in texts)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("SELECT bank.payments.| FROM bank.payments", ["id", "shop"]),
        ("SELECT payments.| FROM bank.payments", ["id", "shop"]),
        ("SELECT p.| FROM bank.payments p JOIN bank.f.b USING (id)", ["id", "shop"]),
        ("SELECT bank.payments.shop.| FROM bank.payments", ["town"]),
        ("SELECT s| FROM bank.payments", ["shop"]),
        ("SELECT * FROM bank.payments WHERE payments.|", ["id", "shop"]),
        ("UPDATE bank.payments SET |", ["id", "shop"]),
        ("INSERT INTO bank.payments (i|", ["id"]),
        ("SELECT * FROM INSPECT |", ["bank.f.inner_one", "bank.f.inner_view"]),
        ("SELECT * FROM INSPECT bank.f.inner|", ["inner_one", "inner_view"]),
        ("SELECT i| FROM INSPECT bank.f.inner_view", ["id"]),
        ("SELECT * FROM ins|", ["INSPECT"]),
        ("DESCRIBE INSPECT bank.f.inner_o|", ["inner_one"]),
        ("CREATE INSTANCE bank.g OF large (|", ["a => ", "least => "]),
        ("CREATE INSTANCE g OF large (a => bank.payments, |", ["least => "]),
        ("CREATE INSTANCE g OF large (least => 7, a => |", ["bank.payments", "bank.f.b"]),
        ("CREATE INSTANCE g OF large (a => bank.|", ["payments", "f.b"]),
    ],
)
def test_what_is_in_schemas_and_instances_is_completed(bank: SqlCompleter, typed: str, expected: list[str]) -> None:
    before, after = typed.split("|")
    event = CompleteEvent(completion_requested=True)
    texts = [found.text for found in bank.get_completions(Document(before + after, len(before)), event)]
    assert texts[: len(expected)] == expected


@pytest.mark.parametrize("before", ["FROM ", "select * from ", "a JOIN ", "INSERT INTO ", "DESCRIBE "])
def test_after_from_and_its_kind_come_the_relations(before: str) -> None:
    assert offered(f"{before}|")[:2] == ["bids", "Hot"]


def test_relations_are_matched_in_any_case() -> None:
    assert offered("SELECT * FROM h|")[0] == "Hot"


def test_elsewhere_come_the_columns_of_the_relations_that_the_statement_names() -> None:
    assert offered("SELECT | FROM bids", on_request=True)[:2] == ["auction", "price"]
    assert offered("SELECT pr| FROM bids")[0] == "price"


def test_columns_of_other_relations_are_not_offered() -> None:
    assert "price" not in offered("SELECT p| FROM hot")


@pytest.mark.parametrize("name", ["bids", "b", "BIDS"])
def test_after_a_dot_come_only_the_columns_of_that_relation_or_alias(name: str) -> None:
    assert offered(f"SELECT {name}.| FROM bids AS b JOIN hot h") == ["auction", "price"]


def test_a_name_that_needs_quotes_is_offered_with_them() -> None:
    assert offered("SELECT h.| FROM hot h") == ["auction", '"top price"']


def test_keywords_follow_the_case_that_is_typed() -> None:
    assert offered("SELECT 1 EM|")[0] == "EMIT CHANGES"
    assert offered("select 1 em|")[0] == "emit changes"


def test_a_statement_begins_with_a_word_that_begins_statements() -> None:
    assert offered("SE|")[:2] == ["SELECT", "SET"]
    assert offered("SELECT 1; cr|")[0] == "create"


@pytest.mark.parametrize("typed", ["|", "SELECT |", "SELECT 'fro|", "SELECT 12|", "-- from |"])
def test_nothing_is_offered_where_it_would_only_be_in_the_way(typed: str) -> None:
    assert offered(typed) == []


def test_after_a_backslash_come_the_commands_and_then_the_relations() -> None:
    assert offered("\\|") == list(COMMANDS)
    assert offered("\\d h|") == ["Hot"]


def test_a_command_that_takes_a_query_completes_it() -> None:
    assert offered("\\track h|") == ["Hot"]
    assert offered("\\track SELECT * FROM b|")[0] == "bids"
    assert offered("\\bisect NOT EXISTS (SELECT * FROM bids WHERE p|")[0] == "price"
    assert offered("\\goto h|") == []


def test_what_was_used_more_comes_first() -> None:
    assert offered("SELECT * FROM |", used="SELECT * FROM hot; SELECT * FROM hot; SELECT * FROM bids")[0] == "Hot"
    assert offered("SELECT s|", on_request=True, used="SELECT sqrt(2)")[0] == "sqrt("


def test_letters_need_not_be_neighbours_but_better_fits_come_first() -> None:
    assert offered("SELECT h.tp| FROM hot h") == ['"top price"']
    assert offered("SELECT h.ric| FROM hot h") == ['"top price"']
    assert offered("SELECT h.xyz| FROM hot h") == []


def test_types_follow_a_cast_at_once() -> None:
    assert offered("SELECT price::|")[0] == "BIGINT"


def test_files_are_completed_where_a_command_or_statement_takes_one(tmp_path: Path) -> None:
    (tmp_path / "load.sql").touch()
    assert offered(f"\\i {tmp_path}/lo|") == ["ad.sql"]
    assert offered(f"COPY bids TO '{tmp_path}/lo|") == ["ad.sql"]


def test_options_and_their_values_follow_backslash_set() -> None:
    assert offered("\\set ke|") == ["keys"]
    assert offered("\\set keys |", on_request=True) == ["emacs", "vi"]


def test_the_menu_says_what_things_are() -> None:
    completer = SqlCompleter(COMMANDS)
    completer.names = Names({"bids": BIDS})
    found = {
        completion.text: completion.display_meta_text
        for typed in ("SELECT pr", "SELECT sqr", "SELECT * FROM b")
        for completion in completer.get_completions(Document(typed), CompleteEvent(completion_requested=True))
    }
    assert found["price"] == "DOUBLE · bids"
    assert found["sqrt("].startswith("sqrt(x DOUBLE)")
    assert found["bids"] == "stream"
