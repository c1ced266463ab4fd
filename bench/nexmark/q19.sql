-- The ten highest bids of an auction
SELECT r.auction, r.bidder, r.price, r.date_time, r.place
FROM (
  SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder) AS place FROM bid
) r
WHERE r.place <= 10;
