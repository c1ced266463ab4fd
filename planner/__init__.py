"""Names, types and plans: from a syntax tree to a circuit, without touching the log."""
