"""The article's network, trained in step: the same file in one place and on a cluster.

python train.py [FILE]     four processes of this machine; torchrun and the files beside this one start it too
"""

import os
import sys

import ddl_lab as lab

digits = lab.load_digits()


def worker(node, epochs=2):
    """What one rank does; returns its parameters, one flat tensor (P,)."""
    model = lab.make_model(seed=0)
    for epoch in range(epochs):
        for x, y in lab.batches(digits.train, node, batch_size=25, epoch=epoch):
            with node.compute(samples=len(x)):
                loss = lab.bce_with_logits(model(x), y)
                gradient = lab.gradient(loss, model)
            node.all_reduce(gradient, op="mean")
            lab.sgd_step(model, gradient, lr=0.5)
        node.record(loss=loss, accuracy=lab.accuracy(model, digits.test))
    return lab.parameters(model)


if __name__ == "__main__":
    history = lab.run(worker, nodes=int(os.environ.get("WORLD_SIZE", 4)), progress=False)
    if os.environ.get("RANK", "0") == "0":
        print(f"{history.nodes} ranks: {history.metrics.accuracy.iloc[-1]:.1%} of new digits are right")
        if len(sys.argv) > 1:
            history.save(sys.argv[1])
