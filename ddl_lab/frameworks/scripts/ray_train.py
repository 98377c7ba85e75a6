"""Ray Train: ranks are actors that Ray places; inside, the process group is torch's and the model DDP's."""

import os

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, prepare_model


def rank_of_ray():
    """What one rank does."""
    import torch
    import torch.distributed as dist
    from lesson import LR, batches, report, torch_model

    rank, world = dist.get_rank(), dist.get_world_size()
    model = prepare_model(torch_model())  # DistributedDataParallel, on the device that Ray gave
    optimizer, losses = torch.optim.SGD(model.parameters(), LR), []
    for x, y in batches(rank, world):
        logits = model(torch.from_numpy(x))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    report(rank, world, losses, [p.detach() for p in model.parameters()] if rank == 0 else None)


if __name__ == "__main__":
    world, folder = int(os.environ["WORLD_SIZE"]), os.environ["DDL_LAB_TASK"]
    ray.init(num_cpus=world + 1, include_dashboard=False, object_store_memory=200_000_000, _temp_dir=folder)
    TorchTrainer(
        rank_of_ray,
        scaling_config=ScalingConfig(num_workers=world),
        torch_config=TorchConfig(backend="gloo"),
        run_config=RunConfig(storage_path=folder),
    ).fit()
    ray.shutdown()
