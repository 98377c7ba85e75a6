"""Lab 05's exercises: likely mistakes are named, other right ways pass."""

import pytest
import torch
from exercising import said

import ddl_lab as lab
from ddl_lab.exercises import lab_05

# one start for all


def opens_no_parcel(node, model):
    node.broadcast(lab.parameters(model).clone(), src=0)


def averages(node, model):
    node.all_reduce(lab.parameters(model), op="mean")


def adds(node, model):
    node.all_reduce(lab.parameters(model), op="sum")


def takes_the_last(node, model):
    node.broadcast(lab.parameters(model), src=node.world_size - 1)


def layer_by_layer(node, model):
    for parameter in model.parameters():
        node.broadcast(parameter.data, src=0)


def to_one_after_another(node, model):
    for rank in range(1, node.world_size):
        if node.rank == 0:
            node.send(lab.parameters(model), rank)
        elif node.rank == rank:
            node.recv(lab.parameters(model), 0)


def only_rank_0_calls(node, model):
    if node.rank == 0:
        node.broadcast(lab.parameters(model), src=0)


# a warm-up


def from_nothing(step, k, eta, over):
    return k * eta * min(1, step / over) if over else k * eta


def without_end(step, k, eta, over):
    return eta + (k - 1) * eta * step / over if over else k * eta


def at_once(step, k, eta, over):
    return k * eta


def never(step, k, eta, over):
    return eta


def divides_by_nothing(step, k, eta, over):
    return eta + (k - 1) * eta * min(1, step / over)


def a_step_early(step, k, eta, over):
    return eta + (k - 1) * eta * min(1, (step + 1) / over) if over else k * eta


def a_step_late(step, k, eta, over):
    return eta + (k - 1) * eta * min(1, step / (over + 1)) if over else k * eta


def by_k_more(step, k, eta, over):
    return eta + k * eta * min(1, step / over) if over else k * eta


# how long a step lasts


def harmonic(n):
    return sum(1 / k for k in range(1, n + 1))


# unequal shards in one exchange


def plain(node, gradient, samples):
    node.all_reduce(gradient, op="mean")
    return gradient


def summed(node, gradient, samples):
    node.all_reduce(gradient)
    return gradient


def counts_first(node, gradient, samples):
    total = torch.tensor([float(samples)])
    node.all_reduce(total)
    gradient = gradient * samples / total
    node.all_reduce(gradient)
    return gradient


def by_nodes(node, gradient, samples):
    gradient = gradient * samples
    node.all_reduce(gradient, op="mean")
    return gradient


def unweighted(node, gradient, samples):
    sums = torch.cat([gradient, torch.tensor([float(samples)])])
    node.all_reduce(sums)
    return sums[:-1] / sums[-1]


def with_the_count(node, gradient, samples):
    sums = torch.cat([samples * gradient, torch.tensor([float(samples)])])
    node.all_reduce(sums)
    return sums / sums[-1]


def by_its_own(node, gradient, samples):
    gradient = gradient * samples
    node.all_reduce(gradient)
    return gradient / samples


# one step from several batches


def gradients(model, batches):
    return [lab.gradient(lab.bce_with_logits(model(x), y), model) for x, y in batches]


def exchanges_each(node, model, batches, lr):
    total = 0
    for gradient in gradients(model, batches):
        node.all_reduce(gradient, op="mean")
        total = total + gradient / len(batches)
    lab.sgd_step(model, total, lr)


def sums_batches(node, model, batches, lr):
    total = sum(gradients(model, batches))
    node.all_reduce(total, op="mean")
    lab.sgd_step(model, total, lr)


def sums_ranks(node, model, batches, lr):
    total = sum(gradients(model, batches)) / len(batches)
    node.all_reduce(total)
    lab.sgd_step(model, total, lr)


def alone(node, model, batches, lr):
    lab.sgd_step(model, sum(gradients(model, batches)) / len(batches), lr)


def the_last_batch(node, model, batches, lr):
    gradient = gradients(model, batches)[-1]
    node.all_reduce(gradient, op="mean")
    lab.sgd_step(model, gradient, lr)


def stays(node, model, batches, lr):
    node.all_reduce(sum(gradients(model, batches)) / len(batches), op="mean")


# a sampler


def order(samples, *numbers):
    return torch.randperm(samples, generator=torch.Generator().manual_seed(sum(numbers)))


def padded(rows, world_size):
    return torch.cat([rows, rows[: -len(rows) % world_size]])


def lacks_some(samples, rank, world_size, epoch, seed=0):
    return order(samples, 99 * seed, epoch)[rank::world_size]


def drops_the_rest(samples, rank, world_size, epoch, seed=0):
    each = samples // world_size
    return order(samples, 99 * seed, epoch)[rank::world_size][:each]


def forgets_the_epoch(samples, rank, world_size, epoch, seed=0):
    return padded(order(samples, 99 * seed), world_size)[rank::world_size]


def forgets_the_seed(samples, rank, world_size, epoch, seed=0):
    return padded(order(samples, epoch), world_size)[rank::world_size]


def own_orders(samples, rank, world_size, epoch, seed=0):
    return padded(order(samples, 99 * seed, epoch, 1000 * rank), world_size)[rank::world_size]


def everything(samples, rank, world_size, epoch, seed=0):
    return order(samples, 99 * seed, epoch)


def any_order(samples, rank, world_size, epoch, seed=0):
    return padded(torch.randperm(samples), world_size)[rank::world_size]


def in_order(samples, rank, world_size, epoch, seed=0):
    return padded((torch.arange(samples) + epoch) % samples, world_size)[rank::world_size].sort().values


def a_list(samples, rank, world_size, epoch, seed=0):
    return list(range(samples))


WRONG = [
    ("start", opens_no_parcel, "rank 1 still has its own model"),
    ("start", averages, "the mean of all ranks' models"),
    ("start", adds, "the sum of all ranks' models"),
    ("start", takes_the_last, "the last rank's"),
    ("start", layer_by_layer, "send it in one node.broadcast"),
    ("start", to_one_after_another, "a rank sends 3 messages where 1 would do: lab.parameters"),
    ("start", only_rank_0_calls, "every rank must make the same calls"),
    ("warm", from_nothing, "begins at eta, not at 0"),
    ("warm", without_end, "goes on growing"),
    ("warm", at_once, "where is the warm-up?"),
    ("warm", never, "eta is for the batch of one node"),
    ("warm", divides_by_nothing, "divides by over = 0"),
    ("warm", a_step_early, "one step early"),
    ("warm", a_step_late, "one step late"),
    ("warm", by_k_more, "grows by (k - 1) * eta"),
    ("wait", lambda w, b, m: m * harmonic(w), "backups too"),
    ("wait", lambda w, b, m: m * harmonic(w - b), "the first 96 of 100 are sooner there"),
    ("wait", lambda w, b, m: m, "the last of several takes longer"),
    ("wait", lambda w, b, m: m / w, "when the first worker is done"),
    ("wait", lambda w, b, m: harmonic(w) - harmonic(b), "multiply by mean_s"),
    ("wait", lambda w, b, m: m * (harmonic(w) - harmonic(b + 1)), "one term too early"),
    ("uneven", plain, "the plain mean"),
    ("uneven", summed, "the sum over ranks"),
    ("uneven", counts_first, "let the count travel behind the gradient"),
    ("uneven", by_nodes, "you divided by the 4 nodes"),
    ("uneven", unweighted, "isn't weighted"),
    ("uneven", with_the_count, "1,001 entries"),
    ("uneven", by_its_own, "divided by this rank's 320 samples"),
    ("sparing", exchanges_each, "exchange once"),
    ("sparing", sums_batches, "3 times too far"),
    ("sparing", sums_ranks, "4 times too far"),
    ("sparing", alone, "nothing came from the others"),
    ("sparing", the_last_batch, "only the last batch counts"),
    ("sparing", stays, "hasn't moved"),
    ("deal", lacks_some, "all would wait for ever"),
    ("deal", drops_the_rest, "samples are nobody's"),
    ("deal", forgets_the_epoch, "the epoch must go into"),
    ("deal", forgets_the_seed, "seeds 0 and 1 give the same order"),
    ("deal", own_orders, "the rank has no place in the seed"),
    ("deal", everything, "deal them out"),
    ("deal", any_order, "a seed of its own"),
    ("deal", in_order, "order of the file"),
    ("deal", a_list, "a tensor of row numbers"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_likely_mistake_is_named(name, answer, words):
    state, text = said(getattr(lab_05, name), answer)
    assert state == "not yet" and words in text, text
