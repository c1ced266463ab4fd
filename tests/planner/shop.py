"""A catalog to plan against."""

from __future__ import annotations

from headwater.parser import parse
from headwater.parser.syntax import CreateRelation
from headwater.planner import Catalog, define

DEFINITIONS = """
CREATE STREAM bids (auction INTEGER KEY, price DECIMAL(9,2), note VARCHAR, at TIMESTAMP, tags VARCHAR[],
                    place STRUCT(city VARCHAR, zip INTEGER)) WITH (partitions = 4, timestamp = 'at');
CREATE STREAM clicks (auction INTEGER, who INTEGER);
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR, age TINYINT);
CREATE TABLE notes (person INTEGER, text VARCHAR);
CREATE TABLE totals AS SELECT auction, count(*) AS n, max(price) AS top FROM bids GROUP BY auction;
CREATE STREAM high AS SELECT auction, price FROM bids WHERE price > 10;
"""


def catalog_of(script: str) -> Catalog:
    """The catalog that the CREATE statements of `script` make."""
    catalog = Catalog()
    for statement in parse(script):
        assert isinstance(statement, CreateRelation)
        catalog = catalog.add(define(statement, catalog))
    return catalog


def shop() -> Catalog:
    return catalog_of(DEFINITIONS)
