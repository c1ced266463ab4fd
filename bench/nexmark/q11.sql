-- User sessions: bids of a user with less than ten seconds between them
SELECT s.bidder, count(*) AS bids, min(s.date_time) AS start, max(s.date_time) AS stop
FROM (
  SELECT g.bidder, g.date_time, sum(g.begins) OVER (PARTITION BY g.bidder ORDER BY g.date_time) AS session
  FROM (
    SELECT
      bidder, date_time,
      CASE WHEN date_time - lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time) <= INTERVAL 10 SECONDS
           THEN 0 ELSE 1 END AS begins
    FROM bid
  ) g
) s
GROUP BY s.bidder, s.session;
