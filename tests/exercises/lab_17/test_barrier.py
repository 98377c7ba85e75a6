"""A step of Spark's barrier stage."""

import base64
import json

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_17 as exercise


def by_base64(context, gradient):
    texts = context.allGather(base64.b64encode(gradient.tobytes()).decode())
    rows = [np.frombuffer(base64.b64decode(text), gradient.dtype) for text in texts]
    return np.mean(rows, axis=0)


def by_json(context, gradient):
    rows = [json.loads(text) for text in context.allGather(json.dumps(gradient.tolist()))]
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def by_latin1(context, gradient):
    context.barrier()
    texts = context.allGather(gradient.astype("<f8").tobytes().decode("latin-1"))
    total = np.zeros(len(gradient))
    for text in texts:
        total += np.frombuffer(text.encode("latin-1"), "<f8")
    return (total / len(context.getTaskInfos())).astype(np.float32)


def by_digits(context, gradient):
    texts = context.allGather(" ".join(f"{number:.9g}" for number in gradient))  # all that a float32 has
    return np.mean([[float(number) for number in text.split()] for text in texts], axis=0)


test_any_style_passes = passes(exercise.barrier, by_base64, by_json, by_latin1, by_digits)


def gathered(context, gradient):
    return [
        np.frombuffer(bytes.fromhex(text), np.float32) for text in context.allGather(gradient.tobytes().hex())
    ]


def as_bytes(context, gradient):
    return np.mean([np.frombuffer(b, np.float32) for b in context.allGather(gradient.tobytes())], axis=0)


def rounded(context, gradient):
    texts = context.allGather(json.dumps([round(float(g), 2) for g in gradient]))
    return np.mean([json.loads(text) for text in texts], axis=0)


def to_six_decimals(context, gradient):
    texts = context.allGather(",".join(f"{number:.6f}" for number in gradient))
    return np.mean([[float(number) for number in text.split(",")] for text in texts], axis=0)


def in_place(context, gradient):
    gradient[:] = np.mean(gathered(context, gradient), axis=0)
    return gradient


def twice(context, gradient):
    context.allGather("ready")
    return np.mean(gathered(context, gradient), axis=0)


def forgotten(context, gradient):
    gathered(context, gradient)


def number_by_number(context, gradient):
    return np.mean([float(t) for t in context.allGather(str(float(gradient.sum())))])


test_a_mistake_is_named = refused(
    exercise.barrier,
    (lambda context, gradient: sum(gathered(context, gradient)), "is the sum of all tasks'"),
    (lambda context, gradient: gathered(context, gradient) and gradient, "is its own gradient"),
    (lambda context, gradient: gathered(context, gradient)[0], "is that of task 0"),
    (
        lambda context, gradient: (sum(rows := gathered(context, gradient)) + gradient) / len(rows),
        "has its own gradient twice",
    ),
    (as_bytes, "Spark gathers text (str) and nothing else"),
    (to_six_decimals, "your text has lost digits"),
    (rounded, "your text has lost digits"),
    (in_place, "changes its argument gradient"),
    (twice, "gathers 2 times: once is enough"),
    (number_by_number, "one number a parameter"),
    (forgotten, "is there a `return`"),
)
