"""Benchmarks that run on the user's machine and put every figure next to what the parts below could do: `main.py`."""
