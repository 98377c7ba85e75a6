"""A stop that all take together."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_18 as exercise


def by_all_reduce(node, step, passed, most):
    for made in range(most):
        step()
        enough = torch.tensor([float(passed()) if node.rank == 0 else 0.0])
        node.all_reduce(enough, op="max")
        if enough > 0:
            return made + 1
    return most


def by_messages(node, step, passed, most):
    made, word = 0, torch.zeros(1, dtype=torch.int64)
    while made < most and not word:
        step()
        made += 1
        if node.rank == 0:
            word[0] = passed()
            for other in range(1, node.world_size):
                node.send(word, other)
        else:
            node.recv(word, 0)
    return made


def looking_before(node, step, passed, most):
    made = 0
    while made < most:
        word = torch.tensor([node.rank == 0 and passed()])
        node.broadcast(word, 0)
        if word:
            break
        step()
        made += 1
    return torch.tensor(made)


def by_scatter(node, step, passed, most):
    made = 0
    while made < most:
        step()
        made += 1
        word, words = torch.zeros(1), None
        if node.rank == 0:
            words = [torch.full((1,), float(passed()))] * node.world_size
        node.scatter(word, words, src=0)
        if word.item() == 1:
            break
    return made


test_any_style_passes = passes(exercise.together, by_all_reduce, by_messages, looking_before, by_scatter)


def rank_0_leaves(node, step, passed, most):
    for made in range(1, most + 1):
        step()
        if node.rank == 0 and passed():
            return made
    return most


def everyone_looks(node, step, passed, most):
    for made in range(1, most + 1):
        step()
        if passed():
            return made
    return most


def told_only_when_done(node, step, passed, most):
    word = torch.zeros(1)
    for made in range(1, most + 1):
        step()
        if node.rank == 0 and passed():
            word.fill_(1)
            node.broadcast(word, 0)
        if word.item():
            return made
    return most


def told_before_the_step(node, step, passed, most):
    word = torch.zeros(1)
    for made in range(1, most + 1):
        node.broadcast(word, 0)
        step()
        if word.item():
            return made
        if node.rank == 0 and passed():
            word.fill_(1)
    return most


def never(node, step, passed, most):
    for _ in range(most):
        step()
    return most


def without_end(node, step, passed, most):
    made, word = 0, torch.zeros(1)
    while not word.item():
        step()
        made += 1
        if node.rank == 0:
            word.fill_(passed())
        node.broadcast(word, 0)
    return made


def at_once(node, step, passed, most):
    step()
    return 1


def counting_from_0(node, step, passed, most):
    return by_all_reduce(node, step, passed, most) - 1


def forgets_to_return(node, step, passed, most):
    by_all_reduce(node, step, passed, most)


def from_the_last_rank(node, step, passed, most):
    word = torch.zeros(1)
    for made in range(1, most + 1):
        step()
        if node.rank == 0:
            word.fill_(passed())
        node.broadcast(word, node.world_size - 1)
        if word.item():
            return made
    return most


def one_too_many(node, step, passed, most):
    made, word = 0, torch.zeros(1)
    while made <= most and not word:
        step()
        made += 1
        word.fill_(node.rank == 0 and passed())
        node.broadcast(word, 0)
    return made


def only_good_news(node, step, passed, most):
    word = torch.zeros(1)
    for made in range(1, most + 1):
        step()
        if node.rank:
            node.recv(word, 0)
        elif passed():
            word.fill_(1)
            for other in range(1, node.world_size):
                node.send(word, other)
        if word:
            return made
    return most


def heard_too_late(node, step, passed, most):
    word = torch.zeros(1)
    for _ in range(most):
        step()
        if node.rank == 0:
            word.fill_(passed())
            for other in range(1, node.world_size):
                node.send(word, other)
    if node.rank:
        node.recv(word, 0)
    return most


def rank_0_breaks_before_it_tells(node, step, passed, most):
    word = torch.zeros(1)
    for made in range(1, most + 1):
        step()
        if node.rank == 0 and passed():
            return made
        node.broadcast(word, 0)
        if word.item():
            return made
    return most


test_a_mistake_is_named = refused(
    exercise.together,
    (rank_0_leaves, "rank 0 leaves after step 3, and the others wait for it in step 4: a deadlock"),
    (everyone_looks, "rank 1 calls passed(), and the digits for it lie on rank 0 alone"),
    (told_only_when_done, "Tell after every step, also that it goes on"),
    (told_before_the_step, "all leave a step later"),
    (never, "and all make 9 steps"),
    (without_end, "step 5 is begun; stop after `most`"),
    (one_too_many, "all make 5 steps; stop after `most`"),
    (only_good_news, "rank 1 waits in recv(src=0, tag=0)"),
    (heard_too_late, "rank 0 waits in send(dst=1, tag=0)"),
    (at_once, "you leave after 1 step, and 3 were asked"),
    (counting_from_0, "rank 0 returns 2: counting from 0?"),
    (forgets_to_return, "is there a `return`"),
    (from_the_last_rank, "and all make 9 steps"),
    (rank_0_breaks_before_it_tells, "each rank must come to the same call after every step"),
)
