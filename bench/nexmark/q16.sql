-- Channel statistics of a day
SELECT
  channel,
  strftime(date_time, '%Y-%m-%d') AS day,
  max(strftime(date_time, '%H:%M')) AS minute,
  count(*) AS bids,
  count(*) FILTER (WHERE price < 10000) AS bids_low,
  count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS bidders_high,
  count(DISTINCT auction) AS auctions
FROM bid
GROUP BY channel, strftime(date_time, '%Y-%m-%d');
