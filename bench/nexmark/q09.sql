-- Winning bids
SELECT w.id, w.item, w.seller, w.category, w.auction, w.bidder, w.price, w.bid_time
FROM (
  SELECT
    a.id, a.item, a.seller, a.category, b.auction, b.bidder, b.price, b.date_time AS bid_time,
    row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder) AS place
  FROM auction a JOIN bid b ON a.id = b.auction
  WHERE b.date_time BETWEEN a.date_time AND a.expires
) w
WHERE w.place = 1;
