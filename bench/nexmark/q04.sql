-- Average price of a category
SELECT q.category, avg(q.final) AS average
FROM (
  SELECT a.id, a.category, max(b.price) AS final
  FROM auction a, bid b
  WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
  GROUP BY a.id, a.category
) q
GROUP BY q.category;
