-- New users who open an auction within the same window
SELECT p.id, p.name, p.start
FROM (
  SELECT id, name, WINDOWSTART AS start
  FROM person WINDOW TUMBLING (SIZE 10 SECONDS)
  GROUP BY id, name
) p
JOIN (
  SELECT seller, WINDOWSTART AS start
  FROM auction WINDOW TUMBLING (SIZE 10 SECONDS)
  GROUP BY seller
) a ON p.id = a.seller AND p.start = a.start;
