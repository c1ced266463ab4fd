-- Hot items: the auctions with the most bids in each window
SELECT n.auction, n.num, n.start
FROM (
  SELECT auction, count(*) AS num, WINDOWSTART AS start
  FROM bid WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 2 SECONDS)
  GROUP BY auction
) n
JOIN (
  SELECT max(m.num) AS top, m.start
  FROM (
    SELECT auction, count(*) AS num, WINDOWSTART AS start
    FROM bid WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 2 SECONDS)
    GROUP BY auction
  ) m
  GROUP BY m.start
) t ON n.start = t.start AND n.num = t.top;
