WITH hops AS (
  SELECT auction, unnest(generate_series(last - INTERVAL 8 SECONDS, last, INTERVAL 2 SECONDS)) AS start
  FROM (SELECT auction, time_bucket(INTERVAL 2 SECONDS, date_time) AS last FROM bid)
), counts AS (
  SELECT auction, start, count(*) AS num FROM hops GROUP BY auction, start
)
SELECT auction, num, start FROM counts QUALIFY num = max(num) OVER (PARTITION BY start);
