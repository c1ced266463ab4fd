"""The network of README.md as a plain loop in NumPy, and whether both say the same: python compare.py neural.hw"""

import csv
import hashlib
import sys

import numpy as np

import headwater

SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
AT_ONCE, UNITS = 6, 4


def penguins() -> tuple[np.ndarray, np.ndarray]:
    """Measurements, with a 1 behind them, and the numbers of species, in the order of the README."""
    with open("penguins.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["body_mass_g"] != "NA"]
    places = sorted(range(len(rows)), key=lambda place: hashlib.md5(str(place + 1).encode()).hexdigest())
    names = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    measured = np.array([[float(rows[place][name]) for name in names] for place in places])
    scaled = (measured - [45, 17, 200, 4200]) / [5, 2, 15, 800]
    return np.c_[scaled, np.ones(len(rows))], np.array([SPECIES.index(rows[place]["species"]) for place in places])


def learn(x: np.ndarray, y: np.ndarray) -> tuple[list[int], np.ndarray, np.ndarray]:
    """What is guessed for each penguin before it is learned from, and the weights in the end."""
    w1 = 0.8 * np.sin(np.arange(UNITS * 5).reshape(UNITS, 5) * 1.7 + 1)
    w2 = 0.5 * np.sin(np.arange(3 * (UNITS + 1)).reshape(3, UNITS + 1) * 2.3 + 1)
    guesses: list[int] = []
    for begin in range(0, len(x), AT_ONCE):
        batch, right = x[begin : begin + AT_ONCE], np.eye(3)[y[begin : begin + AT_ONCE]]
        h = np.c_[np.tanh(batch @ w1.T), np.ones(len(batch))]
        e = np.exp(h @ w2.T)
        p = e / e.sum(axis=1, keepdims=True)
        guesses += p.argmax(axis=1).tolist()
        d = (p - right) / len(batch)
        dh = (d @ w2) * (1 - h * h)
        w1, w2 = w1 - dh[:, :UNITS].T @ batch, w2 - d.T @ h
    return guesses, w1, w2


x, y = penguins()
guesses, w1, w2 = learn(x, y)
with headwater.connect(sys.argv[1], read_only=True) as database:
    rows = database.sql("SELECT p FROM guessed ORDER BY n").fetchall()
    ((known1, known2),) = database.sql("SELECT w1, w2 FROM weights ORDER BY n DESC LIMIT 1").fetchall()
streamed = [int(np.argmax(p)) for (batch,) in rows for p in batch]
furthest = max(np.abs(w1 - np.array(known1)).max(), np.abs(w2 - np.array(known2)).max())
print(f"{sum(a == b for a, b in zip(guesses, streamed, strict=True))} of {len(guesses)} guesses are the same")
print(f"{sum(guess == species for guess, species in zip(guesses, y, strict=True))} of them are right")
print("the last weights are the same" if furthest < 1e-9 else f"weights differ by {furthest}")
