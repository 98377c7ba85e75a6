"""DeepSpeed: an engine has model, optimiser and averaging; a number of its configuration, what is sharded."""

import os

import deepspeed
import torch
import torch.distributed as dist
from lesson import BATCH, LR, batches, leave, report, torch_model

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # else it compiles for minutes, and is silent
stage = int(os.environ["ZERO_STAGE"])  # 1: optimiser states, 2: gradients too, 3: parameters too
deepspeed.init_distributed("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
model = torch_model()
engine, *_ = deepspeed.initialize(
    model=model,
    optimizer=torch.optim.SGD(model.parameters(), LR),
    config={
        "train_micro_batch_size_per_gpu": BATCH,
        "zero_optimization": {"stage": stage},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    },
)
losses = []
for x, y in batches(rank, world):
    logits = engine(torch.from_numpy(x))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y))
    engine.backward(loss)
    engine.step()
    losses.append(loss.item())
with deepspeed.zero.GatheredParameters(list(model.parameters()), enabled=stage == 3):
    report(rank, world, losses, [p.detach() for p in model.parameters()] if rank == 0 else None)
dist.destroy_process_group()
leave()
