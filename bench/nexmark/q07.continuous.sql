-- Highest bid of each window. A stream meets a table as it was when the row came, so the join would keep each bid that
-- was the highest so far; this keeps those that are the highest of all.
SELECT r.auction, r.price, r.bidder, r.date_time, r.extra
FROM (
  SELECT *, rank() OVER (PARTITION BY time_bucket(INTERVAL 10 SECONDS, date_time) ORDER BY price DESC) AS place FROM bid
) r
WHERE r.place = 1;
