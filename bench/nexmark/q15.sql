-- Bidding statistics of a day
SELECT
  strftime(date_time, '%Y-%m-%d') AS day,
  count(*) AS bids,
  count(*) FILTER (WHERE price < 10000) AS bids_low,
  count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS bids_middle,
  count(*) FILTER (WHERE price >= 1000000) AS bids_high,
  count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (WHERE price < 10000) AS bidders_low,
  count(DISTINCT auction) AS auctions,
  count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS auctions_high
FROM bid
GROUP BY strftime(date_time, '%Y-%m-%d');
