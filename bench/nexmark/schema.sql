CREATE STREAM person (
  id BIGINT KEY, name VARCHAR, email VARCHAR, creditcard VARCHAR, city VARCHAR, state VARCHAR, date_time TIMESTAMP,
  extra VARCHAR
) WITH (timestamp = 'date_time');
CREATE STREAM auction (
  id BIGINT KEY, item VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP,
  expires TIMESTAMP, seller BIGINT, category BIGINT, extra VARCHAR
) WITH (timestamp = 'date_time');
CREATE STREAM bid (
  auction BIGINT KEY, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, date_time TIMESTAMP, extra VARCHAR
) WITH (timestamp = 'date_time');
CREATE TABLE side_input (key BIGINT PRIMARY KEY, value VARCHAR);
