"""Headwater: streaming SQL that you can embed, and rewind."""
