"""Worked examples, each a folder with a README.md, whose SQL `headwater example NAME` runs, and the files it needs.

Nothing here is imported: the programs in the folders are run, as a reader would run them.
"""
