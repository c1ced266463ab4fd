"""The relations and views that the user of a shell sees: those of now, or of the version at which the user stands."""

from __future__ import annotations

from headwater.engine.database import Database
from headwater.errors import HeadwaterError, SqlError
from headwater.parser import parse_statement, syntax
from headwater.planner import Catalog, Relation, View
from headwater.repl.output import Output


def catalog_here(database: Database, output: Output) -> Catalog:
    """What names mean where the user stands."""
    position = output.travel.position(database)
    known = database.pipeline.catalog
    return known if position is None else database.reader.points().catalogs.at(position)


def item_named(text: str, catalog: Catalog) -> Relation | View:
    """The relation or view of a name as it is typed. Raises HeadwaterError for one that is not there."""
    try:
        statement = parse_statement(f"DESCRIBE {text}")
        assert isinstance(statement, syntax.Describe)
        return catalog.item(statement.name)
    except SqlError as error:
        raise HeadwaterError(error.message, hint=error.hint) from error
