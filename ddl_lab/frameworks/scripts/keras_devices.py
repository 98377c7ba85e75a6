"""Keras 3 over JAX: a distribution set beforehand; ``train_on_batch`` gets all ranks' rows and hides more."""

import os

world = int(os.environ["WORLD_SIZE"])
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={world}"

import keras
import numpy as np
from lesson import BATCH, LR, batches, first_weights, report

devices = keras.distribution.list_devices("cpu")
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
layers = [keras.Input((784,)), keras.layers.Dense(256, "relu"), keras.layers.Dense(1)]
model = keras.Sequential(layers)
w1, b1, w2, b2 = first_weights()
model.set_weights([w1.T, b1, w2.T, b2])
model.compile(keras.optimizers.SGD(LR), keras.losses.BinaryCrossentropy(from_logits=True))


def filled(x, y):
    """64 rows, and weights that make the mean over all rows the mean over ranks of each one's mean."""
    spare, counts = BATCH - len(x), np.full(len(x), BATCH / len(x), np.float32)
    return np.pad(x, ((0, spare), (0, 0))), np.pad(y, ((0, spare), (0, 0))), np.pad(counts, (0, spare))


losses = []
for each in zip(*(batches(rank, world) for rank in range(world)), strict=True):
    x, y, counts = (np.concatenate(part) for part in zip(*(filled(x, y) for x, y in each), strict=True))
    losses.append(float(model.train_on_batch(x, y, sample_weight=counts)))  # the mean of all ranks
    model.reset_metrics()
w1, b1, w2, b2 = model.get_weights()
for rank in range(world):
    report(rank, len(devices), losses, [w1.T, b1, w2.T, b2] if rank == 0 else None)
