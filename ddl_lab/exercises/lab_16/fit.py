"""The universal scalability law, fitted to speed-ups."""

from __future__ import annotations

import numpy as np

from ...forecast.laws import usl
from ..helpers import Answer, Wrong, call
from ..machine import Exercise
from ..mistakes import check_number
from ..values import items, number

CASES = (
    ([2, 4, 8, 16], 0.03, 0.0006),
    ([1, 2, 3, 5, 8, 13], 0.2, 0.01),
    ([4, 8, 32, 64], 2.4e-3, 1.5e-5),
    ([2, 6], 0.05, 0.002),
)


def _fit_law(nodes, speedups):  # type: ignore[no-untyped-def]
    n = np.array(nodes, float)
    lost = n / np.array(speedups) - 1  # = sigma (n - 1) + kappa n (n - 1): linear in both
    columns = np.stack([n - 1, n * (n - 1)], axis=1)
    return np.linalg.lstsq(columns, lost, rcond=None)[0]


def _check_fit(answer: Answer) -> str:
    for nodes, sigma, kappa in CASES:
        speedups = [float(usl(n, sigma, kappa)) for n in nodes]
        got = items(call(answer, nodes, speedups), "your pair")
        if len(got) != 2:
            raise Wrong("return two numbers: sigma, then kappa")
        told = f"speed-ups on {nodes} nodes"
        pair = [number(value, f"{told}: a coefficient") for value in got]
        if np.allclose(pair[::-1], (sigma, kappa), rtol=1e-4):
            raise Wrong(f"{told}: you have them the other way round, sigma comes first")
        wrong = {words: _solved(nodes, speedups, *how) for words, how in MISTAKES.items()}
        for place, (name, right) in enumerate((("sigma", sigma), ("kappa", kappa))):
            likely = [(words, float(found[place])) for words, found in wrong.items()]
            check_number(pair[place], right, f"{told}: {name}", *likely, rtol=1e-3)
    return "four rows of speed-ups, of two counts or more"


def _solved(nodes: list[int], speedups: list[float], left: str, columns: str) -> np.ndarray:
    """Least squares with a left side and columns of another kind."""
    n, s = np.array(nodes, float), np.array(speedups)
    sides = {"lost": n / s - 1, "n/S": n / s, "S": s, "1/S": 1 / s, "S/n": s / n, "1-S/n": 1 - s / n}
    one = np.ones_like(n)
    kinds = {
        "law": [n - 1, n * (n - 1)],
        "Amdahl": [n - 1],
        "squares": [n - 1, (n - 1) ** 2],
        "n and n²": [n, n**2],
        "pairs": [n - 1, n * (n - 1) / 2],
        "line": [n, one],
    }
    found = np.linalg.lstsq(np.stack(kinds[columns], axis=1), sides[left], rcond=None)[0]
    return found if len(found) == 2 else np.array([found[0], 0.0])


MISTAKES = {
    "the 1 is missing: n / S − 1 is what both parts add up to": ("n/S", "law"),
    "you fitted S itself: in n / S − 1 the law is linear": ("S", "law"),
    "you fitted 1 / S: turn the law round as n / S": ("1/S", "law"),
    "you fitted the efficiency: turn the law round as n / S": ("S/n", "law"),
    "1 − S/n is what is lost of the efficiency: n / S − 1 is linear": ("1-S/n", "law"),
    "without kappa it is Amdahl's law: a second column, n (n − 1), is missing": ("lost", "Amdahl"),
    "the second column is n (n − 1), not (n − 1)²": ("lost", "squares"),
    "the columns are n − 1 and n (n − 1), not n and n²": ("lost", "n and n²"),
    "pairs of nodes are n (n − 1)/2, but kappa counts n (n − 1)": ("lost", "pairs"),
}


fit = Exercise(
    key="16.fit",
    title="The law, fitted",
    difficulty=2,
    minutes=10,
    reference=_fit_law,
    check=_check_fit,
    hints=(
        "Turn the law round until both coefficients stand in a sum: n / S = 1 + …",
        "n / S − 1 = sigma (n − 1) + kappa n (n − 1): two columns, a least-squares problem.",
        "np.linalg.lstsq(columns, n / S - 1, rcond=None)[0]; or solve two rows by hand.",
    ),
)
