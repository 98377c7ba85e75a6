"""The server's average: each digit counts alike, in whatever order the workers come."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_06 as exercise


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


def as_they_come(node, size):
    total, box = torch.zeros(size + 1), torch.empty(size + 1)
    for _ in range(node.world_size - 1):
        node.recv(box)
        total += torch.cat([box[:size] * box[size], box[size:]])
    return total[:size] / total[size]


def all_received_first(node, size):
    boxes = torch.empty(node.world_size - 1, size + 1)
    for handle in [node.irecv(box, worker + 1) for worker, box in enumerate(boxes)]:
        handle.wait()
    counts = boxes[:, -1]
    return torch.einsum("w,wp->p", counts / counts.sum(), boxes[:, :-1])


def a_running_mean(node, size):
    mean, seen, box = torch.zeros(size), 0, torch.empty(size + 1)
    for _ in range(1, node.world_size):
        node.recv(box)
        seen += int(box[-1])
        mean += (box[:-1] - mean) * box[-1] / seen
    return mean


test_any_style_passes = passes(exercise.average, as_they_come, all_received_first, a_running_mean)

test_a_mistake_is_named = refused(
    exercise.average,
    (averaging(False, workers), "that is the plain mean over 4 workers: a digit of the smallest"),
    (averaging(True, workers), "divide by all 50 digits"),
    (averaging(True, lambda node, samples: 1), "you weight by the counts and don't divide"),
    (averaging(False, lambda node, samples: 1), "that is the sum of the gradients"),
    (keeps_the_count, "a count and no part of the gradient"),
    (misses_the_last, "rank 4 waits in send"),
)
