"""Incremental operators: deltas in, deltas out."""
