"""The plain way to train cells, for comparison: ``Model.fit`` and ``Model.evaluate``, one after another
in one process with TensorFlow's default threads.

Run as ``python suites/model_fit.py PLAN FINGERPRINT CACHE_DIR``; prints the accuracies as JSON.
"""

import json
import sys
from pathlib import Path

from bench import mnist
from bench.cells.initial_values import batch_order
from bench.nets import device, optimizers
from bench.nets.network import build
from bench.results.files import read_json
from bench.results.plan import Plan


def main(plan: str, fingerprint: str, cache_dir: str) -> None:
    """Trains every replica of a plan anew, as a script for one network would."""
    device.configure("cpu", threads=0)
    data = mnist.open_cached(fingerprint, cache_dir=Path(cache_dir))
    train = data.train_images.reshape(-1, 784).astype("float32") / 255
    test = data.test_images.reshape(-1, 784).astype("float32") / 255
    accuracies = []
    for replica in read_json(Path(plan), Plan).replicas():
        cell, seed = replica.cell, replica.seed
        network = build(cell)
        network.reset(cell, seed)
        network.model.compile(
            optimizer=optimizers.optimizer(cell, network.model.trainable_variables),
            loss=optimizers.loss(cell),
            metrics=["accuracy"],
        )
        order = batch_order(seed, examples=len(train), batch=cell.batch, steps=cell.steps).ravel()
        network.model.fit(
            train[order], data.train_labels[order], batch_size=cell.batch, shuffle=False, verbose=0
        )
        _, accuracy = network.model.evaluate(test, data.test_labels, batch_size=1000, verbose=0)
        accuracies.append(float(accuracy))
    sys.stdout.write(json.dumps(accuracies) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
