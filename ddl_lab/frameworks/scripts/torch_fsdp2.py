"""FSDP2: each rank keeps a part of the parameters; ``fully_shard`` gathers them, and averages."""

import torch
import torch.distributed as dist
from lesson import LR, batches, leave, report, torch_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
mesh, model = init_device_mesh("cpu", (world,)), torch_model()
for layer in (model[0], model[2], model):
    fully_shard(layer, mesh=mesh)  # from here on each rank has its rows of each matrix
optimizer, losses = torch.optim.SGD(model.parameters(), LR), []
for x, y in batches(rank, world):
    logits = model(torch.from_numpy(x))  # an all-gather before each layer
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y))
    optimizer.zero_grad()
    loss.backward()  # gathers again, and reduce-scatters the gradient
    optimizer.step()  # each rank its own part
    losses.append(loss.item())
whole = [p.full_tensor().detach() for p in model.parameters()]  # all ranks take part in it
report(rank, world, losses, whole if rank == 0 else None)
dist.destroy_process_group()
leave()
