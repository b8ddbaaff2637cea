"""Recipe: what a program of a published experiment trains, as both of its forms build it."""

from __future__ import annotations

from typing import Literal

import msgspec

#: P1's input is one number; everybody else's are the pixels of a digit.
Task = Literal["digits", "identity"]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Training of one program. Initial values and the order of examples come from NumPy, as everywhere.

    A hidden layer is kernel, bias, batch normalization (if any), activation; convolutions come before
    dense layers.
    """

    task: Task = "digits"
    """``identity``: inputs x are drawn from U(-1, 1), one per step, and the loss is (x - 2 out)^2."""
    convolutions: tuple[int, ...] = ()
    """Filters of convolutions of 5 x 5, padded to keep the size; behind each activation, the maximum
    over windows of 2 x 2."""
    hidden: tuple[int, ...] = ()
    """Units of the dense hidden layers."""
    activation: Literal["relu", "leaky_relu", "elu", "tanh", "sigmoid"] = "relu"
    """``leaky_relu`` has a slope of .01."""
    initializer: str = "glorot_uniform"
    """Initializer of every kernel, as a cell names it: ``he_normal``, ``normal_0.001``, ``zeros``."""
    bias: float | str = 0.0
    """First value of every bias; or an initializer that draws it, such as ``normal_0.001``."""
    normalization: Literal["none", "batch"] = "none"
    """Epsilon .001, as Keras has it and ``tf.layers`` had."""
    momentum: float = 0.99
    """Momentum of batch normalization's moving statistics."""
    normalized_logits: bool = False
    skips: bool = False
    """Whether each dense hidden layer but the first adds its output to its input."""
    dropout: float = 0.0
    """Share of the last hidden layer's outputs that training sets to 0."""
    pixel_scale: float = 1 / 255
    """Factor on bytes."""
    held_out: int = 0
    """Number of images, the first of the training set, that are for validation, not for training."""
    shuffled: bool = True
    """Whether every epoch has a new order, of whole batches; else it has the stored one, with a smaller
    last batch."""
    loss: Literal["crossentropy", "squares"] = "crossentropy"
    """``squares``: the mean over batch and classes of (output - one-hot)^2, without softmax."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    """``adam`` has beta .9 and .999 and epsilon 1e-8, as ``tf.train.AdamOptimizer``; Keras' is 1e-7."""
    learning_rate: float
    clipping: str = "none"
    """Rule and threshold, as a cell names them: ``value_4.5``, ``global_norm_15.0``."""
    batch: int
    steps: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the trainable variables, layer by layer: ``w1, b1, gamma1, beta1, w2, ...``."""
        layers = len(self.convolutions) + len(self.hidden) + 1
        return tuple(
            f"{kind}{layer}"
            for layer in range(1, layers + 1)
            for kind in ("w", "b", *(("gamma", "beta") if self._normalized(layer, layers) else ()))
        )

    def _normalized(self, layer: int, layers: int) -> bool:
        return self.normalized_logits if layer == layers else self.normalization == "batch"
