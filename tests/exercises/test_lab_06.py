"""Lab 06's exercises: likely mistakes are named, other right ways pass."""

import math

import pytest
import torch
from exercising import said

import ddl_lab as lab
from ddl_lab.exercises import lab_06
from ddl_lab.exercises.machine import NOT_YET, RIGHT

# pull once, push once


def gradients(model, batches):
    return [lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in batches]


def pushes_the_sum(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(sum(gradients(model, batches)), 0)


def pushes_before_it_pulls(node, model, batches):
    pushing = node.isend(sum(gradients(model, batches)) / len(batches), 0)
    node.recv(lab.parameters(model), 0)
    pushing.wait()


def back_propagates_after_it_receives(node, model, batches):
    losses = [lab.bce_with_logits(model(x), y) for x, y in batches]
    node.recv(lab.parameters(model), 0)
    node.send(sum(lab.gradient(loss, model) for loss in losses) / len(batches), 0)


def pushes_parameters(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(lab.parameters(model), 0)


def pushes_the_last(node, model, batches):
    node.recv(lab.parameters(model), 0)
    node.send(gradients(model, batches)[-1], 0)


def pulls_for_each_batch(node, model, batches):
    for batch in batches:
        node.recv(lab.parameters(model), 0)
        node.send(gradients(model, [batch])[0], 0)


def pushes_for_each_batch(node, model, batches):
    node.recv(lab.parameters(model), 0)
    for gradient in gradients(model, batches):
        node.send(gradient, 0)


# the server's average


def averaging(weigh, divide):
    def average(node, size):
        total, box = torch.zeros(size), torch.empty(size + 1)
        samples = 0.0
        for worker in range(1, node.world_size):
            node.recv(box, worker)
            total += (box[size] if weigh else 1.0) * box[:size]
            samples += box[size].item()
        return total / divide(node, samples)

    return average


def as_they_come(node, size):
    total, box = torch.zeros(size + 1), torch.empty(size + 1)
    for _ in range(node.world_size - 1):
        node.recv(box)
        total += torch.cat([box[:size] * box[size], box[size:]])
    return total[:size] / total[size]


def keeps_the_count(node, size):
    total, box = torch.zeros(size + 1), torch.empty(size + 1)
    for worker in range(1, node.world_size):
        node.recv(box, worker)
        total += box
    return total


def misses_the_last(node, size):
    box = torch.empty(size + 1)
    for worker in range(1, node.world_size - 1):
        node.recv(box, worker)
    return box[:size]


def workers(node, samples):
    return node.world_size - 1


# slices


def without_the_rest(server, servers, size):
    base = size // servers
    return server * base, (server + 1) * base


def rounded_up(server, servers, size):
    base = math.ceil(size / servers)
    return server * base, min(size, (server + 1) * base)


def beyond_the_end(server, servers, size):
    base = math.ceil(size / servers)
    return server * base, (server + 1) * base


def rest_to_the_last(server, servers, size):
    base = size // servers
    return server * base, size if server == servers - 1 else (server + 1) * base


def larger_ones_last(server, servers, size):
    return server * size // servers, (server + 1) * size // servers


def one_early(server, servers, size):
    start, stop = lab_06.slices.reference(server, servers, size)
    return start, stop - 1


def on_two(server, servers, size):
    start, stop = lab_06.slices.reference(server, servers, size)
    return start, min(size, stop + 1)


# costs


def feeding(limit, rounding=math.floor, least=0):
    def most(share, nbytes, compute_s, cluster):
        allowed_s = share / (1 - share) * compute_s
        beta_s = nbytes / cluster.bandwidth_bytes_per_s
        return max(least, rounding(limit(allowed_s, cluster.latency_s, beta_s, share * compute_s)))

    return most


def right_limit(m, a, b, s):
    return (m - 2 * a) / b - 1


def enough(ring, served):
    def fewest(workers, nbytes, cluster):
        a, b = cluster.latency_s, nbytes / cluster.bandwidth_bytes_per_s
        found = (k for k in range(1, workers + 1) if served(workers, k, a, b) <= ring(workers, a, b))
        return next(found, None)

    return fewest


def ring_s(w, a, b):
    return 2 * (w - 1) * (a + b / w)


def served_s(w, k, a, b):
    return 2 * a + (w / k + 1) * b


def without_none(workers, nbytes, cluster):
    return enough(ring_s, served_s)(workers, nbytes, cluster) or workers + 1


WRONG = [
    ("once", pushes_the_sum, "you push the sum over 3 batches"),
    ("once", pushes_before_it_pulls, "in step 0 you push the gradient at parameters from before the pull"),
    ("once", back_propagates_after_it_receives, "you pull between forward and backward"),
    ("once", pushes_parameters, "you push the parameters"),
    ("once", pushes_the_last, "you push the last batch's gradient alone"),
    ("once", pulls_for_each_batch, "one pull and waits for one push a step"),
    ("once", pushes_for_each_batch, "one pull and waits for one push a step"),
    ("average", averaging(False, workers), "that is the plain mean over 4 workers: a digit of the smallest"),
    ("average", averaging(True, workers), "divide by all 50 digits"),
    ("average", averaging(True, lambda node, samples: 1), "you weight by the counts and don't divide"),
    ("average", averaging(False, lambda node, samples: 1), "that is the sum of the gradients"),
    ("average", keeps_the_count, "a count and no part of the gradient"),
    ("average", misses_the_last, "rank 4 waits in send"),
    ("slices", without_the_rest, "10 parameters on 4 servers: 2 of them lie on no server"),
    ("slices", rounded_up, "your largest slice has 3, the smallest 1"),
    ("slices", beyond_the_end, "server 3 gets (9, 12), and there are parameters 0 to 9 only"),
    ("slices", rest_to_the_last, "your largest slice has 4, the smallest 2"),
    ("slices", larger_ones_last, "the larger ones come first"),
    ("slices", one_early, "leaves stop out itself"),
    ("slices", on_two, "3 of them lie on two servers"),
    ("slices", lambda server, servers, size: size // servers, "return two whole numbers"),
    ("feeds", feeding(lambda m, a, b, s: (s - 2 * a) / b - 1), "a share of the whole step"),
    ("feeds", feeding(lambda m, a, b, s: (m - 2 * a) / b), "w + 1 messages go one after another"),
    ("feeds", feeding(lambda m, a, b, s: (m - 2 * a) / b / 2), "the link carries both at once"),
    ("feeds", feeding(right_limit, rounding=math.ceil), "did you round up"),
    ("feeds", feeding(right_limit, rounding=float), "workers are whole"),
    ("feeds", feeding(right_limit, least=-9), "never fewer"),
    ("feeds", feeding(lambda m, a, b, s: m / (a + b) - 1), "latency is not paid for each worker"),
    ("feeds", lambda share, nbytes, compute_s, cluster: "two", "return one number of workers"),
    ("servers", enough(lambda w, a, b: 2 * (w - 1) * (a + b), served_s), "the ring has S/w bytes"),
    ("servers", enough(lambda w, a, b: (w - 1) * (a + b / w), served_s), "goes around twice"),
    ("servers", enough(lambda w, a, b: 2 * (w - 1) * b / w, served_s), "a latency for each"),
    ("servers", enough(ring_s, lambda w, k, a, b: 2 * a + (w + 1) / k * b), "not (w + 1)/k βS"),
    ("servers", enough(ring_s, lambda w, k, a, b: 2 * a + w / k * b), "the worker's own link S besides"),
    ("servers", without_none, "no more servers than workers"),
    ("servers", lambda workers, nbytes, cluster: "many", "a number of servers or None"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_likely_mistake_is_named(name, answer, words):
    verdict, text = said(getattr(lab_06, name), answer)
    assert verdict == NOT_YET and words in text, text


def test_other_right_ways_pass():
    assert said(lab_06.average, as_they_come)[0] == RIGHT
    assert said(lab_06.feeds, feeding(right_limit))[0] == RIGHT
    assert said(lab_06.servers, enough(ring_s, served_s))[0] == RIGHT
