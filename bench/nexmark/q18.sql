-- Last bid of a user on an auction
SELECT r.auction, r.bidder, r.price, r.channel, r.date_time
FROM (
  SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price DESC) AS place FROM bid
) r
WHERE r.place <= 1;
