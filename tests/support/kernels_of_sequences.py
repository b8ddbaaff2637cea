"""A program that prints memory at peak of the gradients over sequences: as they are, and where a fault
is planted as keras #22823 formed it, which takes 64 kernels of 1 MiB."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bench.cells.cell import Cell
from bench.execution.pacing import measure_pace
from bench.nets.chores import Sequences
from bench.results.pace import Pace
from bench.results.timings import Workload


def peak_bytes() -> int:
    """Of a workload of which nothing is compiled yet."""
    made: list[Sequences] = []

    def burst(steps: int) -> float:
        if not made:
            made.append(Sequences())
        return made[0].burst(steps)

    workload = Workload(Cell(depth=2, width=10), "sequences")
    return measure_pace(Pace(workload=workload, steps=1), burst, blocks=1).peak_bytes


def main() -> None:
    peak_bytes()  # with what a process loads and sets up once, some 25 MiB
    sound = peak_bytes()
    call: Any = tf.keras.layers.Dense.call

    def wasteful(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        copies = tf.tile(tf.expand_dims(self.kernel, 0), [inputs.shape[0], 1, 1])
        return tf.matmul(inputs, copies) + call(self, inputs, *args, **kwargs)

    tf.keras.layers.Dense.call = wasteful
    print(sound, peak_bytes())


if __name__ == "__main__":
    main()
