"""TensorFlow's ParameterServerStrategy: variables lie on a server; workers run what a coordinator sends."""

import json
import os
import subprocess
import sys

from each import free_ports


def told(kind, index):
    """Who a process of the cluster is, as TF_CONFIG tells it."""
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


world, serves = int(os.environ["WORLD_SIZE"]), "TF_CONFIG" in os.environ
if not serves:  # this is the coordinator: it starts all others
    places = [f"127.0.0.1:{port}" for port in free_ports(world + 2)]
    cluster = {"chief": places[:1], "ps": places[1:2], "worker": places[2:]}
    for kind, index in [("ps", 0), *(("worker", rank) for rank in range(world))]:
        subprocess.Popen([sys.executable, __file__], env={**os.environ, "TF_CONFIG": told(kind, index)})
    os.environ["TF_CONFIG"] = told("chief", 0)

import tensorflow as tf

me = tf.distribute.cluster_resolver.TFConfigClusterResolver()
if serves:  # a server or worker: never ends by itself
    tf.distribute.Server(
        me.cluster_spec(), job_name=me.task_type, task_index=me.task_id, protocol="grpc"
    ).join()

from lesson import LR, batches, first_weights, leave, report

strategy = tf.distribute.ParameterServerStrategy(me)
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
with strategy.scope():
    weights = [tf.Variable(w) for w in first_weights()]
kinds = [tf.TensorSpec((None, 784)), tf.TensorSpec((None, 1))]


@tf.function(input_signature=kinds)
def gradient(x, y):
    """On a worker, at the weights that it finds on the server: (loss, gradient by each)."""
    w1, b1, w2, b2 = weights
    with tf.GradientTape() as tape:
        z = tf.nn.relu(x @ tf.transpose(w1) + b1) @ tf.transpose(w2) + b2
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, z))
    return loss, *tape.gradient(loss, weights)


@tf.function(input_signature=kinds)
def push(x, y):
    """The same, and the worker writes its step whenever it is ready."""
    loss, *found = gradient(x, y)
    for w, g in zip(weights, found, strict=True):
        w.assign_sub(LR * g / world)
    return (loss,)


waits, told_by = os.environ["SERVER_WAITS"] == "1", []
for each in zip(*(batches(rank, world) for rank in range(world)), strict=True):
    rows = [(tf.constant(x), tf.constant(y)) for x, y in each]
    told_by.append([coordinator.schedule(gradient if waits else push, args=row) for row in rows])
    if waits:  # with this barrier it is synchronous
        found = [one.fetch()[1:] for one in told_by[-1]]
        for w, *parts in zip(weights, *found, strict=True):
            w.assign_sub(LR * sum(parts) / world)
coordinator.join()
losses = [[float(one.fetch()[0]) for one in step] for step in told_by]
for rank in range(world):
    report(rank, world, [row[rank] for row in losses], [w.numpy() for w in weights] if rank == 0 else None)
leave()  # its threads wouldn't
