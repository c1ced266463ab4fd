-- User sessions: bids of a user with less than ten seconds between them
SELECT bidder, count(*) AS bids, WINDOWSTART AS start, WINDOWEND AS stop
FROM bid WINDOW SESSION (10 SECONDS)
GROUP BY bidder;
