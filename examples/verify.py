"""Verify a proof of SHOW PROOF: python verify.py proof.json [size root]; - is standard input; exit code 0: it holds."""

import json
import sys
from hashlib import sha256
from typing import Any


def climb(path: list[bytes], number: int, last: int, old: bytes, new: bytes) -> tuple[bytes | None, bytes | None]:
    """The roots of the old and the new tree, from a node and its siblings on the way up: RFC 9162, 2.1.3.2, 2.1.4.2."""
    for sibling in path:
        if last == 0:
            return None, None
        is_left = number % 2 == 0 and number != last
        old = old if is_left else sha256(b"\1" + sibling + old).digest()
        new = sha256(b"\1" + new + sibling if is_left else b"\1" + sibling + new).digest()
        levels = 1 if is_left else (number & -number).bit_length()  # up to where there is a sibling again
        number, last = number >> levels, last >> levels
    return (old, new) if last == 0 else (None, None)


def holds(proof: dict[str, Any]) -> bool:
    path, root, last = [bytes.fromhex(text) for text in proof["path"]], bytes.fromhex(proof["root"]), proof["size"] - 1
    if "record" in proof:
        leaf, number = sha256(b"\0" + proof["record"].encode()).digest(), proof["offset"]
        return 0 <= number <= last and climb(path, number, last, leaf, leaf)[1] == root
    size, old = proof["before"]["size"], bytes.fromhex(proof["before"]["root"])
    full = (size & -size).bit_length() - 1  # levels of the last full tree that the old one is made of
    path = [old, *path] if size == 1 << max(full, 0) else path  # the old tree itself, which is a node of the new one
    found = (
        climb(path[1:], (size - 1) >> full, last >> full, path[0], path[0]) if path and 0 < size < last + 1 else None
    )
    return found == (old, root) or (0 < size == last + 1 and proof["path"] == [] and old == root)


if __name__ == "__main__":
    proof, *known = json.load(sys.stdin if sys.argv[1] == "-" else open(sys.argv[1])), *sys.argv[2:]
    tree = proof.get("before", proof)
    sys.exit(0 if holds(proof) and known in ([], [str(tree["size"]), tree["root"]]) else 1)
