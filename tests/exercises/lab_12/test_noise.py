"""Each node's part of the noise."""

import math

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_12 as exercise


def by_normal(total, clip, sigma, nodes, generator):
    return total + torch.normal(0.0, sigma * clip / math.sqrt(nodes), total.shape, generator=generator)


def by_its_variance(total, clip, sigma, nodes, generator):
    variance = (sigma * clip) ** 2 / nodes
    return torch.randn(len(total), generator=generator) * variance**0.5 + total


def a_number_at_a_time(total, clip, sigma, nodes, generator):
    noisy = total.clone()
    return noisy.add_(torch.empty_like(noisy).normal_(generator=generator), alpha=clip * sigma * nodes**-0.5)


def in_double(total, clip, sigma, nodes, generator):
    own = torch.randn(total.shape, generator=generator, dtype=torch.float64)
    return total.double() + sigma * clip / math.sqrt(nodes) * own


test_any_style_passes = passes(exercise.noise, by_normal, by_its_variance, a_number_at_a_time, in_double)


def of_deviation(deviation):
    return lambda t, c, s, n, g: t + deviation(c, s, n) * torch.randn(t.shape, generator=g)


def by_seed(total, clip, sigma, nodes, generator):
    own = torch.Generator().manual_seed(0)
    return total + sigma * clip / nodes**0.5 * torch.randn(total.shape, generator=own)


def by_its_seed(total, clip, sigma, nodes, generator):
    torch.manual_seed(generator.initial_seed())
    return total + sigma * clip / nodes**0.5 * torch.randn(total.shape)


def evenly(total, clip, sigma, nodes, generator):
    even = torch.rand(total.shape, generator=generator) - 0.5
    return total + sigma * clip / nodes**0.5 * 12**0.5 * even


test_a_mistake_is_named = refused(
    exercise.noise,
    (of_deviation(lambda c, s, n: s * c), "each node adds all of it"),
    (of_deviation(lambda c, s, n: s * c / n), "variances add up, not deviations"),
    (of_deviation(lambda c, s, n: s * c * n**0.5), "it grows with the nodes"),
    (of_deviation(lambda c, s, n: s / n**0.5), "clip is missing"),
    (of_deviation(lambda c, s, n: c / n**0.5), "sigma is missing"),
    (of_deviation(lambda c, s, n: (s * c) ** 2 / n**0.5), "took its square"),
    (lambda t, c, s, n, g: t.clone(), "there is no noise in it"),
    (
        lambda t, c, s, n, g: t + s * c / n**0.5 * torch.randn(t.shape),
        "draw it from the one that is handed in",
    ),
    (by_seed, "all nodes draw the same noise"),
    (evenly, "the noise isn't Gaussian"),
    (lambda t, c, s, n, g: t + s * c / n**0.5 * torch.rand(t.shape, generator=g), "must be 0"),
    (lambda t, c, s, n, g: s * c / n**0.5 * torch.randn(t.shape, generator=g), "total isn't in"),
    (lambda t, c, s, n, g: t / n + s * c / n**0.5 * torch.randn(t.shape, generator=g), "total is 0."),
    (lambda t, c, s, n, g: t + s * c / n**0.5 * torch.randn(1, generator=g), "draw one for each"),
    (by_its_seed, "not by its seed"),
)
