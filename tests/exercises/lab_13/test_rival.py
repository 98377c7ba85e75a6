"""Each at its own best."""

import math
from statistics import mean, median

import numpy as np
import pandas as pd
from exercising import passes, refused

from ddl_lab.exercises import lab_13 as exercise


def with_statistics(losses):
    return {
        name: min(
            ((lr, median(math.inf if math.isnan(x) else x for x in seeds)) for lr, seeds in rates.items()),
            key=lambda pair: pair[1],
        )
        for name, rates in losses.items()
    }


def with_numpy(losses):
    found = {}
    for name, rates in losses.items():
        lrs = list(rates)
        medians = np.median(np.nan_to_num(np.array([rates[lr] for lr in lrs]), nan=1e9, posinf=1e9), axis=1)
        found[name] = [lrs[int(medians.argmin())], medians.min()]
    return found


def with_pandas(losses):
    rows = [(n, lr, x) for n, rates in losses.items() for lr, seeds in rates.items() for x in seeds]
    table = pd.DataFrame(rows, columns=["name", "lr", "loss"]).fillna(math.inf)
    medians = table.groupby(["name", "lr"]).loss.median()
    return {name: (medians[name].idxmin(), medians[name].min()) for name in losses}


test_any_style_passes = passes(exercise.rival, with_statistics, with_numpy, with_pandas)


def by(score, told=None):
    def answer(losses):
        found = {}
        for name, rates in losses.items():
            scores = {lr: score(seeds) for lr, seeds in rates.items()}
            lr = min(scores, key=scores.get)
            found[name] = (lr, (told or score)(rates[lr]))
        return found

    return answer


def one_rate_for_all(losses):
    return {name: (0.2, median(rates.get(0.2, [0.12, 0.2, 0.1]))) for name, rates in losses.items()}


def the_same_for_two(losses):
    lr = {2: 0.01, 3: 0.2}[len(losses)]
    return {name: (lr, with_statistics(losses)[name][1] if lr == 0.01 else median(rates[lr]))
            for name, rates in losses.items()}  # fmt: skip


def second_of(seeds):
    return sorted(math.inf if x != x else x for x in seeds)[min(1, len(seeds) - 1)]


def without_ends(seeds):
    kept = sorted(math.inf if x != x else x for x in seeds)
    return mean(kept[1:-1] or kept)


def until_it_gets_worse(losses):
    found = {}
    for name, rates in losses.items():
        for lr, seeds in rates.items():
            loss = median(math.inf if x != x else x for x in seeds)
            if name in found and loss >= found[name][1]:
                break
            found[name] = (lr, loss)
    return found


def returns_nothing(losses):
    with_statistics(losses)


test_a_mistake_is_named = refused(
    exercise.rival,
    (by(lambda seeds: min(x for x in seeds if x == x)), "you take the luckiest seed"),
    (by(lambda seeds: min(x for x in seeds if x == x), median), "you take the luckiest seed"),
    (by(lambda seeds: mean(math.inf if x != x else x for x in seeds)), "which one bad seed decides"),
    (
        by(lambda seeds: median([x for x in seeds if math.isfinite(x)] or [math.inf])),
        "you leave out the seeds",
    ),
    (by(max), "you look at the worst seed"),
    (by(lambda seeds: seeds[0]), "you look at the first seed alone"),
    (by(second_of), "the middle one of three alone"),
    (by(lambda seeds: float(np.median(seeds))), "five: you have"),
    (by(without_ends), "five: you have"),
    (until_it_gets_worse, "five: you have 0.5 at rate 0.3"),
    (the_same_for_two, "is your rate for all"),
    (one_rate_for_all, "was asked"),
    (lambda losses: {name: next(iter(rates)) for name, rates in losses.items()}, "give a pair"),
    (lambda losses: {"old": (0.01, 0.12)}, "it takes old, new"),
    (returns_nothing, "is there a `return`"),
)
