"""Verify a proof of SHOW PROOF: python verify.py proof.json [size root]; - is standard input; exit code 0: it holds."""

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import Any


def roots(begin: int, end: int, upto: int, leaf: bytes, path: Iterator[bytes]) -> tuple[bytes, ...]:
    """The roots of the tree of records from `begin`: up to `upto`, whose last one is `leaf` if given; up to `end`."""
    if leaf and end - begin == 1:
        return leaf, leaf
    old, new, size = b"", b"", 1  # of the trees below: a power of eight that is less than all; the last has the rest
    while size * 8 < end - begin:
        size *= 8
    for first in range(begin, end, size):
        last = min(first + size, end)
        is_open = first < upto < last + bool(leaf)
        was, now = roots(first, last, upto, leaf, path) if is_open else (next(path),) * 2
        old, new = old + was if first < upto else old, new + now
    return tuple(below if len(below) == 32 else sha256(b"\1" + below).digest() for below in (old, new))


def holds(proof: dict[str, Any]) -> bool:
    nodes = [bytes.fromhex(node) for node in proof["path"]]
    leaf, path = sha256(b"\0" + proof["record"].encode()).digest() if "record" in proof else b"", iter(nodes)
    size, upto = proof["size"], proof["offset"] + 1 if leaf else proof["before"]["size"]
    try:
        old, new = roots(0, size, upto, leaf, path) if 0 < upto <= size else (b"", b"")
    except StopIteration:  # the path is too short
        return False
    fits = all(len(node) == 32 for node in nodes) and next(path, None) is None and new.hex() == proof["root"]
    return fits and (bool(leaf) or old.hex() == proof["before"]["root"])


if __name__ == "__main__":
    proof, *known = json.load(sys.stdin if sys.argv[1] == "-" else open(sys.argv[1])), *sys.argv[2:]
    tree = proof.get("before", proof)
    sys.exit(0 if holds(proof) and known in ([], [str(tree["size"]), tree["root"]]) else 1)
