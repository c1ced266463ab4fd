-- Highest bid of each window
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM bid b
JOIN (
  SELECT max(price) AS top, WINDOWSTART AS start, WINDOWEND AS stop
  FROM bid WINDOW TUMBLING (SIZE 10 SECONDS)
  GROUP BY WINDOWSTART
) w ON b.price = w.top
WHERE b.date_time >= w.start AND b.date_time < w.stop;
