-- Run by tests: an orders stream, and what is kept of it.
DEFINE least = '100';
CREATE STREAM orders (id INTEGER KEY, customer VARCHAR, amount INTEGER);
CREATE STREAM large AS SELECT id, customer, amount FROM orders WHERE amount >= ${least};
CREATE TABLE spent AS SELECT customer, sum(amount) AS total FROM orders GROUP BY customer;
