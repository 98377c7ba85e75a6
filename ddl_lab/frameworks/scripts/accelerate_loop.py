"""Accelerate: DDP behind ``prepare``. Who it is, and of how many, it asks its surroundings."""

import torch
from accelerate import Accelerator
from lesson import LR, batches, leave, report, torch_model

accelerator = Accelerator(cpu=True)
rank, world = accelerator.process_index, accelerator.num_processes
model = torch_model()
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), LR))
losses = []
for x, y in batches(rank, world):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        model(torch.from_numpy(x)), torch.from_numpy(y)
    )
    optimizer.zero_grad()
    accelerator.backward(loss)  # loss.backward(), and what mixed precision or DeepSpeed need
    optimizer.step()
    losses.append(loss.item())
report(rank, world, losses, [p.detach() for p in model.parameters()] if rank == 0 else None)
accelerator.end_training()
leave()
