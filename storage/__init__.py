"""The log: durable, ordered batches and the commits that make them true."""
