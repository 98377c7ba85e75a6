"""The best net in 30 kB."""

import pytest
import torch
import torch.nn.functional as F
from exercising import passes, refused, said
from torch import nn

import ddl_lab as lab
from ddl_lab.exercises import lab_18 as exercise


def fit(model, x, y, steps=600, lr=3e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(steps):
        rows = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return model


def dense(inputs, hidden):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))


def floats(model):
    return [parameter.detach() for parameter in model.parameters()]


def two_layers(tensors, x):
    w, b, v, c = (tensor.float() for tensor in tensors)
    return F.relu(x @ w.T + b) @ v.T + c


def halved(x):
    return F.avg_pool2d(x.reshape(-1, 28, 28), 2).flatten(1)


def by_half_floats(x, y):
    model = fit(dense(196, 75), halved(x), y, 1000)
    return [tensor.half() for tensor in floats(model)], lambda tensors, x: two_layers(tensors, halved(x))


def by_convolution(x, y):
    def score(tensors, x):
        k, a, w, b = tensors
        seen = F.max_pool2d(F.relu(F.conv2d(x.view(-1, 1, 28, 28), k, a, stride=2)), 2)
        return seen.flatten(1) @ w.T + b

    model = nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * 36, 1),
    )  # fmt: skip
    return tuple(floats(fit(model, x, y, 600))), score


def in_one_tensor(x, y):
    """A byte a number, 127 levels a row, all in one flat tensor; the scales behind it as bytes."""
    w, b, v, c = floats(fit(dense(196, 140), halved(x), y))
    rows = torch.cat([w, b[:, None], v.T], 1)  # (140, 198)
    scales = rows.abs().amax(0) / 127
    packed = (rows / scales).round().to(torch.int8).flatten()
    tail = torch.cat([scales, c]).view(torch.int8)

    def score(tensors, x):
        flat = tensors[0]
        cut = 140 * 198
        numbers = flat[cut:].clone().view(torch.float32)
        rows = flat[:cut].view(140, 198) * numbers[:-1]
        return F.relu(halved(x) @ rows[:, :196].T + rows[:, 196]) @ rows[:, 197] + numbers[-1]

    return torch.cat([packed, tail]), score


test_any_style_passes = passes(exercise.small, by_half_floats, by_convolution, in_one_tensor)


def whole(x, y):
    return floats(fit(dense(784, 32), x, y, 60)), two_layers


def in_double(x, y):
    return [tensor.double() for tensor in floats(fit(dense(784, 8), x, y, 20))], two_layers


def too_many_bytes_in_int8(x, y):
    w, b, v, c = floats(fit(dense(784, 40), x, y, 20))
    return [(100 * tensor).to(torch.int8) for tensor in (w, b, v, c)], two_layers


def carrying(x, y):
    model = fit(dense(784, 40), x, y, 20)
    return [torch.zeros(1)], lambda tensors, x: model(x)


def probabilities(x, y):
    model = fit(dense(784, 9), x, y, 200)
    return floats(model), lambda tensors, x: torch.sigmoid(two_layers(tensors, x))


def even_above(x, y):
    return floats(fit(dense(784, 9), x, 1 - y, 400)), two_layers


def other_digits(x, y):
    digits = lab.load_digits().train
    return floats(fit(dense(784, 9), digits.x, digits.y, 600)), two_layers


def rounded_to_zero(x, y):
    return [t.round().to(torch.int8) for t in floats(fit(dense(784, 30), x, y, 100))], two_layers


def in_float32(x, y):
    return floats(fit(dense(784, 9), x, y, 150)), two_layers


def tiny(x, y):
    return floats(fit(dense(196, 4), halved(x), y, 300)), lambda t, x: two_layers(t, halved(x))


def untrained(x, y):
    return floats(dense(784, 9)), two_layers


def of_the_batch(x, y):
    def score(tensors, x):
        w, b, v, c = tensors
        return F.batch_norm(F.relu(halved(x) @ w.T + b), None, None, training=True) @ v.T + c

    model = nn.Sequential(nn.Linear(196, 30), nn.ReLU(), nn.BatchNorm1d(30, affine=False), nn.Linear(30, 1))
    return floats(fit(model, halved(x), y, 300)), score


def by_chance(x, y):
    def score(tensors, x):
        return two_layers(tensors, F.dropout(halved(x)))

    return floats(fit(dense(196, 30), halved(x), y, 200)), score


def yes_or_no(x, y):
    return floats(dense(784, 9)), lambda tensors, x: two_layers(tensors, x) > 0


def ten_scores(x, y):
    return floats(dense(784, 9)), lambda tensors, x: torch.zeros(len(x), 10)


test_a_mistake_is_named = refused(
    exercise.small,
    (whole, "100,612 bytes, and 30,000 at most were asked. A number takes 4 bytes in float32: 7,500 fit"),
    (in_double, "A number takes 8 bytes in float64: float32 takes 4"),
    (too_many_bytes_in_int8, "31,441 numbers of a byte each"),
    (carrying, "score carries"),
    (probabilities, "as probabilities do"),
    (even_above, "the other way round it would be"),
    (other_digits, "train on x and y, which are handed in"),
    (rounded_to_zero, "nearly all numbers of your int8 are 0"),
    (in_float32, "in int8, with a scale a tensor, 4 times as many"),
    (tiny, "bytes left"),
    (untrained, "That is guessing"),
    (of_the_batch, "something of the batch"),
    (by_chance, "or of chance"),
    (yes_or_no, "True and False"),
    (ten_scores, "one logit of each was asked"),
    (lambda x, y: floats(dense(784, 9)), "return two things"),
    (lambda x, y: ([1.0], two_layers), "number 0 of your list is a float"),
    (lambda x, y: len(x) and None, "is there a `return`"),
)


@pytest.mark.parametrize("answer", [whole, in_double])
def test_what_is_too_large_is_not_asked_for_its_accuracy(answer):
    assert "right on" not in said(exercise.small, answer)[1]
