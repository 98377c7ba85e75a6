"""A mean in one byte an entry."""

import torch
from exercising import passes, refused

from ddl_lab.exercises import lab_11 as exercise


def by(limit_of=lambda n: 127 // n, own=False, mean=True, dtype=torch.int8, agree="max"):
    def answer(node, vector):
        largest = vector.abs().max().reshape(1)
        if not own:
            node.all_reduce(largest, op=agree)
        unit = largest / limit_of(node.world_size)
        codes = (vector / unit).round().to(dtype)
        node.all_reduce(codes, op="sum")
        return codes.float() * unit / (node.world_size if mean else 1)

    return answer


def by_gathered_scales(node, vector):
    sizes = torch.empty(node.world_size)
    node.all_gather(sizes, vector.abs().max().reshape(1))
    unit = sizes.max() / (127 // node.world_size)
    codes = torch.floor(vector / unit + 0.5).to(torch.int8)
    node.all_reduce(codes)
    return codes * (unit / node.world_size)


def by_reduce_scatter(node, vector):
    largest = vector.abs().max().double().reshape(1)
    node.all_reduce(largest, op="max")
    unit = largest.float() / (127 // node.world_size)
    codes = (vector / unit).round().to(torch.int8)
    mine = torch.empty(len(codes) // node.world_size, dtype=torch.int8)
    node.reduce_scatter(mine, codes)
    node.all_gather(codes, mine)
    return unit * codes.float() / node.world_size


def with_the_smallest_and_the_largest(node, vector):
    ends = torch.stack([vector.max(), -vector.min()])
    node.all_reduce(ends, op="max")
    unit = ends.max().item() / (127 // node.world_size)
    codes = torch.tensor([round(x / unit) for x in vector.tolist()], dtype=torch.int8)
    node.all_reduce(codes)
    return torch.tensor([c * unit / node.world_size for c in codes.tolist()])


def by_the_mean_of_the_largest(node, vector):
    """Finer: codes of the larger ranks get larger, and their sum is as large as before."""
    largest = vector.abs().max().reshape(1)
    node.all_reduce(largest, op="mean")
    unit = largest / (127 // node.world_size)
    codes = (vector / unit).round().to(torch.int8)
    node.all_reduce(codes)
    return codes.double() * unit / node.world_size


test_any_style_passes = passes(
    exercise.integers,
    by_gathered_scales,
    by_reduce_scatter,
    with_the_smallest_and_the_largest,
    by_the_mean_of_the_largest,
)


def dense(node, vector):
    node.all_reduce(vector, op="mean")
    return vector


def gathered(node, vector):
    unit = vector.abs().max() / 127
    codes = torch.empty(node.world_size * len(vector), dtype=torch.int8)
    units = torch.empty(node.world_size)
    node.all_gather(codes, (vector / unit).round().to(torch.int8))
    node.all_gather(units, unit.reshape(1))
    return (codes.view(node.world_size, -1) * units[:, None]).mean(0)


def of_the_sum_of_the_largest(node, vector):
    unit = vector.abs().max().reshape(1) / 127
    node.all_reduce(unit)
    codes = (vector / unit).round().to(torch.int8)
    node.all_reduce(codes)
    return codes * unit / node.world_size


def cut_to_what_fits(node, vector):
    n, largest = node.world_size, vector.abs().max().reshape(1)
    node.all_reduce(largest, op="max")
    unit = largest * n / 127
    codes = (vector / unit).round().clamp(-(127 // n), 127 // n).to(torch.int8)
    node.all_reduce(codes)
    return codes * unit / n


def without_the_sign(node, vector):
    largest = vector.max().reshape(1)
    node.all_reduce(largest, op="max")
    unit = largest / (127 // node.world_size)
    codes = (vector / unit).round().to(torch.int8)
    node.all_reduce(codes)
    return codes * unit / node.world_size


def on_the_callers_vector(node, vector):
    largest = vector.abs().max().reshape(1)
    node.all_reduce(largest, op="max")
    unit = largest / (127 // node.world_size)
    codes = vector.div_(unit).round_().to(torch.int8)
    node.all_reduce(codes)
    return codes * unit / node.world_size


def returns_nothing(node, vector):
    by()(node, vector)


test_a_mistake_is_named = refused(
    exercise.integers,
    (by(lambda n: 127), "leaves int8, and wraps around"),
    (by(lambda n: 63), "n of them need 127 // n"),
    (by(lambda n: 127 / n), "codes up to 127 / n are rounded up, and n of them add up to 128"),
    (of_the_sum_of_the_largest, "codes up to 127 / n are rounded up, and n of them add up to 128"),
    (by(lambda n: 128 // n), "n codes of 128 // n add up to 128"),
    (cut_to_what_fits, "of 4 nodes, rank 0's mean is off by up to"),
    (without_the_sign, "of 2 nodes, rank 0's mean is off by up to"),
    (on_the_callers_vector, "changes its argument vector"),
    (by(own=True), "every rank has a scale of its own"),
    (by(mean=False), "that is the sum of all ranks"),
    (by(dtype=torch.int32), "reduce int8, a byte an entry"),
    (dense, "reduce int8, a byte an entry"),
    (gathered, "reduce int8, a byte an entry"),
    (returns_nothing, "is there a `return`"),
)
