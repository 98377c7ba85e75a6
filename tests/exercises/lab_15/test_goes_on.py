"""Who goes on."""

import heapq
import math

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_15 as exercise
from ddl_lab.exercises.lab_15.goes_on import CASES, MISTAKES, _chosen, _goes_on
from ddl_lab.strategies.search import AsynchronousHalving


def by_a_heap(heard, gone, eta):
    best = heapq.nlargest(len(heard) // eta, heard.items(), key=lambda item: item[1])
    return next((trial for trial, _ in best if trial not in gone), None)


def by_counting_the_better(heard, gone, eta):
    may = [
        trial
        for trial, score in heard.items()
        if trial not in gone and sum(other > score for other in heard.values()) < len(heard) // eta
    ]
    return max(may, key=heard.get, default=None)


def with_numpy(heard, gone, eta):
    if not heard:
        return None
    trials, scores = np.array(list(heard)), np.array(list(heard.values()))
    best = trials[np.argsort(-scores)][: math.floor(len(heard) / eta)]
    ready = best[~np.isin(best, list(gone))]
    return ready[0] if len(ready) else None


test_any_style_passes = passes(exercise.goes_on, by_a_heap, by_counting_the_better, with_numpy)


def above_nothing(heard, gone, eta):
    """Looks for the best from 0 up."""
    best, score = None, 0.0
    for trial in set(heard) - gone:
        better = sum(other > heard[trial] for other in heard.values())
        if better < len(heard) // eta and heard[trial] > score:
            best, score = trial, heard[trial]
    return best


def notes_who_goes(heard, gone, eta):
    trial = by_a_heap(heard, gone, eta)
    if trial is not None:
        gone.add(trial)
    return trial


def eats_heard(heard, gone, eta):
    trial = by_a_heap(heard, gone, eta)
    heard.pop(trial, None)
    return trial


def by_rule(rule):
    return lambda heard, gone, eta: _chosen(heard, gone, eta, **rule)


test_a_mistake_is_named = refused(
    exercise.goes_on,
    *((by_rule(rule), words) for words, rule in MISTAKES.items()),
    (lambda heard, gone, eta: max(heard.values(), default=None), "a whole number"),
    (lambda heard, gone, eta: heard.get(-1), "you say None, and 1 was asked"),
    (lambda heard, gone, eta: by_a_heap(heard, gone, eta) or None, "you say None, and 0 was asked"),
    (lambda heard, gone, eta: by_a_heap(heard, gone, 3), "you say None, and 7 was asked"),
    (above_nothing, "you say None, and 1 was asked"),
    (notes_who_goes, "changes its argument gone"),
    (eats_heard, "changes its argument heard"),
    (lambda heard, gone, eta: 99, "which is no trial in"),
)


def test_the_rules_all_matter_in_the_cases():
    rows = [tuple(_goes_on(*case) for case in CASES)]
    rows += [tuple(_chosen(*case, **rule) for case in CASES) for rule in MISTAKES.values()]
    assert len(set(rows)) == len(rows)


def test_it_is_what_the_plan_of_the_package_does():
    for heard, gone, eta in CASES:
        plan = AsynchronousHalving(0, 1, eta, eta)
        plan.heard[0], plan.promoted[0] = dict(heard), set(gone)
        job = plan.ask()
        assert (job.trial if job else None) == _goes_on(heard, gone, eta)
