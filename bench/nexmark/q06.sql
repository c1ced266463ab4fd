-- Average selling price of a seller's last ten auctions
SELECT
  w.seller,
  avg(w.final) OVER (
    PARTITION BY w.seller ORDER BY w.date_time, w.id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW
  ) AS average
FROM (
  SELECT r.id, r.seller, r.price AS final, r.date_time
  FROM (
    SELECT
      a.id, a.seller, b.price, b.date_time,
      row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder) AS place
    FROM auction a JOIN bid b ON a.id = b.auction
    WHERE b.date_time BETWEEN a.date_time AND a.expires
  ) r
  WHERE r.place = 1
) w;
