"""Decides about all orders of a bank once more, in plain Python, and compares: python audit.py bank.hw"""

import sys
from collections import defaultdict
from decimal import Decimal

import headwater


def decide(orders: list[tuple[str, str, Decimal]]) -> tuple[list[str | None], dict[str, Decimal]]:
    """Why each order is refused, None if it is not, and the balances in the end."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    verdicts: list[str | None] = []
    for src, dst, amount in orders:
        refused = None
        if amount <= 0:
            refused = "no amount"
        elif src == dst:
            refused = "to itself"
        elif src != "cash" and balances[src] < amount:
            refused = f"has {balances[src] or 0}"
        else:
            balances[src] -= amount
            balances[dst] += amount
        verdicts.append(refused)
    return verdicts, {account: balance for account, balance in balances.items() if balance}


with headwater.connect(sys.argv[1], read_only=True) as database:
    orders = database.sql("SELECT src, dst, amount FROM orders ORDER BY ROWOFFSET").fetchall()
    journal = [refused for (refused,) in database.sql("SELECT refused FROM journal ORDER BY n").fetchall()]
    kept = dict(database.sql("SELECT account, balance FROM balances WHERE balance <> 0").fetchall())
verdicts, balances = decide(orders)
print(f"{sum(a == b for a, b in zip(verdicts, journal, strict=True))} of {len(orders)} decisions are the same")
print("all balances are the same" if balances == kept else f"balances differ: {balances} and {kept}")
