"""Paddle: as DDP, by other names; its launcher gives each rank the ports of all."""

import numpy as np
import paddle
import paddle.distributed as dist
from lesson import LR, batches, first_weights, leave, report

paddle.set_device("cpu")
dist.init_parallel_env()
rank, world = dist.get_rank(), dist.get_world_size()
net = paddle.nn.Sequential(paddle.nn.Linear(784, 256), paddle.nn.ReLU(), paddle.nn.Linear(256, 1))
w1, b1, w2, b2 = first_weights()
for p, w in zip(net.parameters(), (w1.T, b1, w2.T, b2), strict=True):  # Paddle's x @ W is torch's x @ W.T
    p.set_value(np.ascontiguousarray(w))
model = paddle.DataParallel(net)
optimizer, losses = paddle.optimizer.SGD(LR, parameters=model.parameters()), []
for x, y in batches(rank, world):
    logits = model(paddle.to_tensor(x))
    loss = paddle.nn.functional.binary_cross_entropy_with_logits(logits, paddle.to_tensor(y))
    loss.backward()  # the all-reduce is in here
    optimizer.step()
    optimizer.clear_grad()
    losses.append(float(loss))
w1, b1, w2, b2 = (p.numpy() for p in net.parameters())
report(rank, world, losses, [w1.T, b1, w2.T, b2] if rank == 0 else None)
leave()
