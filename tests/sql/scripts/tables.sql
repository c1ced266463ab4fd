--@test: each row moves the sum of its customer
RUN SCRIPT 'parts/shop.sql';

INSERT INTO orders VALUES (1, 'ann', 20);
INSERT INTO orders VALUES (2, 'bob', 100);
INSERT INTO orders VALUES (3, 'ann', 300);

ASSERT TABLE spent (customer VARCHAR PRIMARY KEY, total HUGEINT);
ASSERT VALUES spent (customer, total) VALUES ('ann', 20);
ASSERT VALUES spent (customer, total) VALUES ('bob', 100);
ASSERT VALUES spent (customer, total) VALUES ('ann', 320);

--@test: a group that HAVING no longer lets through is removed
CREATE STREAM stock (item VARCHAR KEY, change INTEGER);
CREATE TABLE low AS SELECT item, sum(change) AS left_over FROM stock GROUP BY item HAVING sum(change) < 5;

INSERT INTO stock VALUES ('nails', 3);
ASSERT VALUES low (item, left_over) VALUES ('nails', 3);
INSERT INTO stock VALUES ('nails', 100);
ASSERT NULL VALUES low (item) KEY ('nails');

--@test: windows count the rows of their time
CREATE STREAM clicks (page VARCHAR KEY, at TIMESTAMP) WITH (timestamp = 'at');
CREATE TABLE busy AS SELECT page, count(*) AS n FROM clicks WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY page;

INSERT INTO clicks VALUES ('a', '2026-01-01 10:00:01'), ('a', '2026-01-01 10:00:59'), ('a', '2026-01-01 10:01:00');

ASSERT VALUES busy (WINDOWSTART, page, n) VALUES ('2026-01-01 10:00:00', 'a', 2);
ASSERT VALUES busy (WINDOWSTART, page, n) VALUES ('2026-01-01 10:01:00', 'a', 1);
