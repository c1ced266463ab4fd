-- Tests that pass because something in them fails.

--@test: a record that is not the next one fails an assert
--@expected.error: java.lang.AssertionError
--@expected.message: col1 is 1, not 2
CREATE STREAM foo (id INT KEY, col1 INT);
CREATE STREAM bar AS SELECT * FROM foo;
INSERT INTO foo (id, col1) VALUES (1, 1);
ASSERT VALUES bar (id, col1) VALUES (1, 2);

--@test: a source that does not exist cannot be read
--@expected.error: io.confluent.ksql.util.KsqlException
--@expected.message: there is no stream or table "foo"
CREATE STREAM bar AS SELECT * FROM foo;

--@test: another type fails an assert about a stream
--@expected.error: AssertionFailed
--@expected.message: columns of "foo"
CREATE STREAM foo (id INT KEY, col1 INT);
ASSERT STREAM foo (id INT KEY, col1 VARCHAR);
