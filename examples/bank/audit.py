"""Verifies a proof, decides about all orders of a bank once more, in plain Python, and compares: audit.py bank.hw"""

import json
import sys
from collections import defaultdict
from decimal import Decimal

import headwater
from headwater.examples.verify import holds


def decide(orders: list[tuple[str, str, Decimal]]) -> tuple[list[str | None], dict[str, Decimal]]:
    """Why each order is refused, None if it is not, and the balances in the end."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    verdicts: list[str | None] = []
    for src, dst, amount in orders:
        refused = None
        if src != "cash" and balances[src] < amount:
            refused = f"has {balances[src] or 0}"
        else:
            balances[src] -= amount
            balances[dst] += amount
        verdicts.append(refused)
    return verdicts, {account: balance for account, balance in balances.items() if balance}


with headwater.connect(sys.argv[1], read_only=True) as database:
    orders = database.sql("SELECT src, dst, amount FROM orders ORDER BY ROWOFFSET").fetchall()
    journal = [refused for (refused,) in database.sql("SELECT refused FROM bank.journal ORDER BY n").fetchall()]
    kept = dict(database.sql("SELECT account, balance FROM bank.balances WHERE balance <> 0").fetchall())
    proof = json.loads(database.sql("SHOW PROOF OF bank.journal OFFSET 1").fetchall()[0][0])
forged = {**proof, "record": proof["record"].replace("60.00", "6.00")}
print(f"the proof of the rent {'holds' if holds(proof) else 'fails'}, with another amount it "
      f"{'holds' if holds(forged) else 'fails'}")  # fmt: skip
verdicts, balances = decide(orders)
print(f"{sum(a == b for a, b in zip(verdicts, journal, strict=True))} of {len(orders)} decisions are the same")
print("all balances are the same" if balances == kept else f"balances differ: {balances} and {kept}")
