"""Horovod: the optimiser averages, as each gradient becomes ready; the model is left as it is."""

import horovod.torch as hvd
import torch
from lesson import LR, batches, report, torch_model

hvd.init()
rank, world = hvd.rank(), hvd.size()
model = torch_model()
hvd.broadcast_parameters(model.state_dict(), root_rank=0)
optimizer = torch.optim.SGD(model.parameters(), LR)
optimizer = hvd.DistributedOptimizer(optimizer, named_parameters=model.named_parameters())
losses = []
for x, y in batches(rank, world):
    logits = model(torch.from_numpy(x))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y))
    optimizer.zero_grad()
    loss.backward()  # each gradient's all-reduce begins as it is computed
    optimizer.step()  # waits for them
    losses.append(loss.item())
report(rank, world, losses, [p.detach() for p in model.parameters()] if rank == 0 else None)
