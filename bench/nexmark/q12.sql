-- Bids of a user in each window of ten seconds
SELECT WINDOWSTART AS start, WINDOWEND AS stop, bidder, count(*) AS bids
FROM bid WINDOW TUMBLING (SIZE 10 SECONDS)
GROUP BY bidder;
