"""A link, from the times of a ring: all sizes count alike."""

import numpy as np
import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_04 as exercise


def fit(rows, right):
    rows, right = torch.tensor(rows, dtype=torch.float64), torch.tensor(right, dtype=torch.float64)
    alpha, beta = torch.linalg.lstsq(rows, right[:, None]).solution.flatten().tolist()
    return alpha, 1 / beta


def ring_fit(messages, chunks, relative=True):
    """A learner's fit that counts so many messages, and so many tensors, by the number of nodes."""

    def link(nodes, sizes, seconds):
        weights = [1 / t if relative else 1.0 for t in seconds]
        rows = [[messages(nodes) * w, chunks(nodes) * s * w] for s, w in zip(sizes, weights, strict=True)]
        return fit(rows, [t * w for t, w in zip(seconds, weights, strict=True)])

    return link


def steps(n):
    return 2 * (n - 1)


def chunks(n):
    return 2 * (n - 1) / n


def a_second_a_byte(nodes, sizes, seconds):
    alpha, bandwidth = ring_fit(steps, chunks)(nodes, sizes, seconds)
    return alpha, 1 / bandwidth


def smallest_and_largest(nodes, sizes, seconds):
    ends = [0, -1]
    return ring_fit(steps, chunks)(nodes, [sizes[e] for e in ends], [seconds[e] for e in ends])


def by_relative_least_squares(nodes, sizes, seconds):
    return ring_fit(steps, chunks)(nodes, sizes, seconds)


def by_numpys_weighted_line(nodes, sizes, seconds):
    s, t = np.array(sizes, float), np.array(seconds)
    slope, start = np.polyfit(s, t, 1, w=1 / t)
    return start / steps(nodes), steps(nodes) / nodes / slope


def of_logarithms(nodes, sizes, seconds):
    s, t = torch.tensor(sizes).double(), torch.tensor(seconds).double()
    rows = torch.stack([torch.full_like(s, steps(nodes)), steps(nodes) / nodes * s], 1)
    guess = torch.linalg.lstsq(rows / t[:, None], torch.ones(len(s), 1).double()).solution
    for _ in range(20):  # Gauss-Newton
        model = rows @ guess
        guess = guess + torch.linalg.lstsq(rows / model, (t[:, None] / model).log()).solution
    return torch.stack([guess[0, 0], 1 / guess[1, 0]])


def by_normal_equations(nodes, sizes, seconds):
    rows = [(steps(nodes) / t, steps(nodes) * s / nodes / t) for s, t in zip(sizes, seconds, strict=True)]
    aa, ab, bb = (sum(r[i] * r[j] for r in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    a, b = sum(r[0] for r in rows), sum(r[1] for r in rows)
    return (a * bb - b * ab) / (aa * bb - ab**2), (aa * bb - ab**2) / (aa * b - ab * a)


def the_ends_as_they_are(nodes, sizes, seconds):
    return seconds[0] / steps(nodes), sizes[-1] * chunks(nodes) / seconds[-1]


def weighed_by_size(nodes, sizes, seconds):
    s, t = np.array(sizes, float), np.array(seconds)
    slope, start = np.polyfit(s, t, 1, w=t**-0.5)
    return start / steps(nodes), chunks(nodes) / slope


def of_another_link(nodes, sizes, seconds):
    return 40e-6, 5e8


def in_single_precision(nodes, sizes, seconds):
    s, t = torch.tensor(sizes).float(), torch.tensor(seconds)
    rows = torch.stack([steps(nodes) / t, chunks(nodes) * s / t], 1)
    alpha, beta = torch.linalg.lstsq(rows, torch.ones(len(t), 1)).solution.flatten()
    return [alpha, 1 / beta]


def from_the_chunks_bytes(nodes, sizes, seconds):
    for place in range(len(sizes)):
        sizes[place] /= nodes
    return ring_fit(steps, steps)(nodes, sizes, seconds)


test_any_style_passes = passes(
    exercise.link,
    in_single_precision,
    by_relative_least_squares,
    by_numpys_weighted_line,
    of_logarithms,
    by_normal_equations,
)

test_a_mistake_is_named = refused(
    exercise.link,
    (from_the_chunks_bytes, "changes its argument sizes"),
    (of_another_link, "from exact times of a ring of 8"),
    (weighed_by_size, "not all sizes count alike in it"),
    (the_ends_as_they_are, "that one alone decides it"),
    (ring_fit(lambda n: 1, lambda n: 1), "6 times too large, and a ring of 4 pays 6 latencies"),
    (ring_fit(lambda n: n - 1, lambda n: (n - 1) / n), "twice too large"),
    (ring_fit(steps, lambda n: 1), "your bandwidth is the tensor's bytes by its time"),
    (ring_fit(steps, chunks, relative=False), "If the long times decide it alone, divide each row"),
    (a_second_a_byte, "the bandwidth is 1/β"),
    (lambda nodes, sizes, seconds: 1.0, "return two numbers"),
    (smallest_and_largest, "the smallest and the largest size alone decide"),
)
