CREATE STREAM bids (auction BIGINT, bidder BIGINT, price DOUBLE, channel VARCHAR, url VARCHAR, bid_time TIMESTAMP);
CREATE TABLE auctions (id BIGINT PRIMARY KEY, item_name VARCHAR, seller BIGINT, category INTEGER, initial_bid DOUBLE,
    reserve DOUBLE, expires TIMESTAMP);
CREATE TABLE people (id BIGINT PRIMARY KEY, name VARCHAR, email VARCHAR, city VARCHAR, state VARCHAR,
    address STRUCT(street VARCHAR, zip VARCHAR));
CREATE STREAM orders (order_id BIGINT, customer_id BIGINT, product_id BIGINT, quantity INTEGER,
    unit_price DECIMAL(10, 2), ordered_at TIMESTAMP, status VARCHAR, "ship to" VARCHAR);
CREATE TABLE customers (customer_id BIGINT PRIMARY KEY, full_name VARCHAR, country VARCHAR, segment VARCHAR,
    created_at TIMESTAMP);
CREATE TABLE products (product_id BIGINT PRIMARY KEY, title VARCHAR, category VARCHAR, list_price DECIMAL(10, 2));
CREATE STREAM page_views (view_id BIGINT, user_id BIGINT, page VARCHAR, referrer VARCHAR, viewed_at TIMESTAMP,
    duration_ms INTEGER);
CREATE TABLE sensors (sensor_id VARCHAR PRIMARY KEY, room VARCHAR, max_temperature DOUBLE);
CREATE STREAM readings (sensor_id VARCHAR, temperature DOUBLE, humidity DOUBLE, measured_at TIMESTAMP);
CREATE TABLE revenue_by_country AS SELECT c.country, sum(o.quantity * o.unit_price) AS revenue, count(*) AS orders_placed
    FROM orders o JOIN customers c ON o.customer_id = c.customer_id GROUP BY c.country;
CREATE TABLE highest_bids AS SELECT auction, max(price) AS top_price, count(*) AS bid_count FROM bids GROUP BY auction;
CREATE STREAM late_orders AS SELECT order_id, customer_id, ordered_at FROM orders WHERE status = 'late';
CREATE VIEW big_orders AS SELECT order_id, customer_id, quantity * unit_price AS amount FROM orders WHERE quantity > 100;
CREATE TYPE money AS DECIMAL(18, 2);
CREATE FUNCTION with_vat (net DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$
def with_vat(net):
    return net * 1.2
$$;
