SELECT start, start + INTERVAL 10 SECONDS AS stop, bidder, count(*) AS bids
FROM (SELECT time_bucket(INTERVAL 10 SECONDS, date_time) AS start, bidder FROM bid)
GROUP BY start, bidder;
