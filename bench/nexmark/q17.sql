-- Auction statistics of a day
SELECT
  auction,
  strftime(date_time, '%Y-%m-%d') AS day,
  count(*) AS bids,
  count(*) FILTER (WHERE price < 10000) AS bids_low,
  count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS bids_middle,
  count(*) FILTER (WHERE price >= 1000000) AS bids_high,
  min(price) AS min_price,
  max(price) AS max_price,
  avg(price) AS avg_price,
  sum(price) AS sum_price
FROM bid
GROUP BY auction, strftime(date_time, '%Y-%m-%d');
