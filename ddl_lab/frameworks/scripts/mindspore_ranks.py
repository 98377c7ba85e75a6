"""MindSpore: gradients come from a function, and averaging is an operator between it and the optimiser."""

import mindspore as ms
from lesson import LR, batches, first_weights, report
from mindspore import nn, ops
from mindspore.communication import get_group_size, get_rank, init, release

ms.set_device("CPU")
init("mccl")
rank, world = get_rank(), get_group_size()
net, loss_of = nn.SequentialCell(nn.Dense(784, 256), nn.ReLU(), nn.Dense(256, 1)), nn.BCEWithLogitsLoss()
weights = net.trainable_params()
for p, w in zip(weights, first_weights(), strict=True):
    p.set_data(ms.Tensor(w))
both = ms.value_and_grad(lambda x, y: loss_of(net(x), y), None, weights)
all_reduce, optimizer, losses = ops.AllReduce(), nn.SGD(weights, LR), []
for x, y in batches(rank, world):
    loss, gradient = both(ms.Tensor(x), ms.Tensor(y))
    optimizer(tuple(all_reduce(g) / world for g in gradient))  # a sum, and a tuple: a list is refused
    losses.append(float(loss.asnumpy()))
report(rank, world, losses, [p.asnumpy() for p in weights] if rank == 0 else None)
release()
