-- The data that the examples of the reference run on.
CREATE STREAM bids (auction BIGINT KEY, bidder BIGINT, price DOUBLE, at TIMESTAMP) WITH (timestamp = 'at');
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR, city VARCHAR);
CREATE TABLE hot AS SELECT auction, count(*) AS n, max(price) AS top FROM bids GROUP BY auction;
INSERT INTO people VALUES (1, 'Ada', 'London'), (2, 'Bo', 'Oslo'), (3, 'Cy', 'Rome');
INSERT INTO bids VALUES (7, 1, 12.5, '2026-01-01 10:00:00'), (7, 2, 15.0, '2026-01-01 10:00:04');
INSERT INTO bids VALUES (8, 3, 3.0, '2026-01-01 10:00:12'), (7, 1, 20.0, '2026-01-01 10:00:15');
