"""PyTorch DDP: a rank is a process that torchrun starts; the model averages, inside ``backward``."""

import torch
import torch.distributed as dist
from lesson import LR, batches, leave, report, torch_model
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
model = DistributedDataParallel(torch_model())  # rank 0's parameters go to all
optimizer, losses = torch.optim.SGD(model.parameters(), LR), []
for x, y in batches(rank, world):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        model(torch.from_numpy(x)), torch.from_numpy(y)
    )
    optimizer.zero_grad()
    loss.backward()  # the all-reduce is in here, bucket by bucket
    optimizer.step()
    losses.append(loss.item())
report(rank, world, losses, [p.detach() for p in model.parameters()] if rank == 0 else None)
dist.destroy_process_group()
leave()
