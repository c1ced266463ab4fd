----------------------------------------------------------------------------------------------------
--@test: a query that filters passes on what it lets through, in order
----------------------------------------------------------------------------------------------------
RUN SCRIPT 'parts/shop.sql';

INSERT INTO orders VALUES (1, 'ann', 20), (2, 'bob', 100);
INSERT INTO orders VALUES (3, 'ann', 300);

ASSERT VALUES large (id, amount) VALUES (2, 100);
ASSERT VALUES large (id, amount) VALUES (3, 300);

----------------------------------------------------------------------------------------------------
--@test: a query over a query sees what that one gives
----------------------------------------------------------------------------------------------------
CREATE STREAM foo (id INT KEY, col1 INT) WITH (kafka_topic = 'foo', value_format = 'JSON');
CREATE STREAM bar AS SELECT * FROM foo;
CREATE STREAM baz AS SELECT id, col1 + 1 AS col1 FROM bar;

ASSERT STREAM baz (id INT KEY, col1 INT) WITH (kafka_topic = 'BAZ', value_format = 'JSON');

INSERT INTO foo (ROWTIME, id, col1) VALUES ('2026-01-01 10:00:00', 1, 1);
ASSERT VALUES baz (ROWTIME, id, col1) VALUES ('2026-01-01 10:00:00', 1, 2);

----------------------------------------------------------------------------------------------------
--@test: a row of a stream meets the table as it is when the row comes
----------------------------------------------------------------------------------------------------
CREATE STREAM s (id INT KEY, foo INT);
CREATE TABLE t (id INT PRIMARY KEY, bar INT);
CREATE STREAM j AS SELECT s.id, s.foo, t.bar FROM s JOIN t ON s.id = t.id;

INSERT INTO t (id, bar) VALUES (1, 1);
INSERT INTO s (id, foo) VALUES (1, 2);
INSERT INTO t (id, bar) VALUES (1, 5);
INSERT INTO s (id, foo) VALUES (1, 3);

ASSERT VALUES j (id, foo, bar) VALUES (1, 2, 1);
ASSERT VALUES j (id, foo, bar) VALUES (1, 3, 5);
