"""TensorFlow's MultiWorkerMirroredStrategy: a process reads its place from TF_CONFIG; a replica averages."""

import json
import os

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
addresses = [f"127.0.0.1:{port}" for port in os.environ["PORTS"].split()]
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
)

import tensorflow as tf
from lesson import LR, batches, first_weights, report

strategy = tf.distribute.MultiWorkerMirroredStrategy()  # first of all: it starts this process's server
with strategy.scope():
    weights = [tf.Variable(w) for w in first_weights()]  # the same on all, and kept so


def one_rank(x, y):
    """What each replica does."""
    w1, b1, w2, b2 = weights
    with tf.GradientTape() as tape:
        z = tf.nn.relu(x @ tf.transpose(w1) + b1) @ tf.transpose(w2) + b2
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, z))
    gradient = tape.gradient(loss, weights)
    means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradient)
    for w, g in zip(weights, means, strict=True):
        w.assign_sub(LR * g)
    return loss


@tf.function(input_signature=[tf.TensorSpec((None, 784)), tf.TensorSpec((None, 1))])
def step(x, y):
    """One compiled step, whatever the number of rows."""
    return strategy.run(one_rank, args=(x, y))


losses = [float(step(tf.constant(x), tf.constant(y))) for x, y in batches(rank, world)]
report(rank, strategy.num_replicas_in_sync, losses, [w.numpy() for w in weights] if rank == 0 else None)
