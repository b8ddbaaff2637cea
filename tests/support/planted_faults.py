"""Faults that are planted in a real Keras 3: late, rare, and such that only inference shows.

Each is one exact replacement in one file, with the cells that it touches and the place where a
comparison of two versions has to find it. ``verdict/planted_upgrades.py`` plants them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

#: Tensors that training does not make: the logits in inference mode, on a batch or on the test set, and
#: the test set's loss and accuracy, by whatever names.
INFERENCE = r"inference|test"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a fault shows."""

    since: int = 0
    """The first iteration, from 0, whose update may be wrong. What is computed before that is right:
    losses of steps up to this one, and tensors as they are before it. 0: always wrong; -1: so is the
    first loss."""
    until: int | None = None
    """The last step at which a loss may be named as the first that departs; None: the last of all."""
    training: bool = True
    """Whether losses and trainable variables are touched; else no loss may be named."""
    tensor: str = ""
    """Searched for in the name of the tensor that departs, as a regular expression. Empty: any will
    do, and none where a loss is named."""

    def misses(self, cell: dict[str, Any]) -> str:
        """Why the place told of a cell is another one; empty if it is right.

        Args:
            cell: as ``upgrade-report.json`` has it.
        """
        step, tensor, tensor_step = cell["first_step"], cell["tensor"], cell["tensor_step"]
        if step is None and tensor is None:
            return "no place"
        if step is not None and not self.training:
            return f"loss of step {step}, which is right"
        if step is not None and step <= self.since:
            return f"loss of step {step}, before the fault"
        if step is not None and self.until is not None and step > self.until:
            return f"loss of step {step}, after {self.until}"
        if tensor is not None and self.since and tensor_step <= self.since:
            return f"{tensor} before step {tensor_step}, before the fault"
        if self.tensor and not re.search(self.tensor, tensor or ""):
            return f"{tensor or 'no tensor'} in place of {self.tensor}"
        return ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A change of one file, and what it does."""

    name: str
    reason: str
    """What it does, and what it stands for."""
    file: str
    """Below ``site-packages``."""
    old: str
    """Found in the file exactly once."""
    new: str
    grids: tuple[str, ...]
    expression: str
    """Of the cells, as ``-k`` takes it."""
    cells: int
    """How many these are; every one of them is touched."""
    tier: str = "quick"
    place: Place | None
    """None: a control, which changes nothing."""


_SGD = "keras/src/optimizers/sgd.py"
_ADAM = "keras/src/optimizers/adam.py"
_OPTIMIZER = "keras/src/optimizers/base_optimizer.py"
_BATCH = "keras/src/layers/normalization/batch_normalization.py"
_LAYER = "keras/src/layers/normalization/layer_normalization.py"
_DENSE = "keras/src/layers/core/dense.py"
_TRAINER = "keras/src/backend/tensorflow/trainer.py"
_ARRAYS = "keras/src/trainers/data_adapters/array_data_adapter.py"
_ATTENTION = "keras/src/layers/attention/multi_head_attention.py"
_FUNCTIONS = "keras/src/backend/tensorflow/nn.py"

#: Where SGD has cast the learning rate and the gradient, and done nothing yet.
_SGD_BEGINS = """\
        m = None
        if self.momentum != 0:
"""
_RECURRENT = "keras/src/layers/rnn"
_LSTM = ("sequence",), "arch:lstm", 3
_DENSE_CALL = """\
    def call(self, inputs, training=None):
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        if self.activation is not None:
"""


def _sgd_rate(expression: str) -> str:
    """SGD with another learning rate."""
    return f"        learning_rate = {expression}\n{_SGD_BEGINS}"


#: Networks that learn, under plain SGD with rate .1 for 600 steps.
_PLAIN = ("depth",), "depth/depth:3-arch:mlp and (act:relu or act:tanh)", 4
_BATCH_NORMALIZED = ("normalization",), "depth:3- and norm:batch", 4
_FITTED = ("depth", "initialization"), "engine:fit_epochs", 2
_LAYER_NORMALIZED = ("normalization",), "depth:3- and norm:layer", 4


def _fault(name: str, chosen: tuple[tuple[str, ...], str, int], **fields: Any) -> Fault:
    grids, expression, cells = chosen
    return Fault(name=name, grids=grids, expression=expression, cells=cells, **fields)


CONTROL = _fault(
    "control",
    (
        ("depth", "normalization", "optimizer"),
        "depth:3- and (depth/depth:3-arch:mlp-act:relu or relu-init:glorot_normal-norm or opt:adam-)",
        8,
    ),
    reason="A comment in SGD: planting itself changes nothing.",
    file=_SGD,
    old=_SGD_BEGINS,
    new=f"        # planted\n{_SGD_BEGINS}",
    place=None,
)

FAULTS = (
    CONTROL,
    _fault(
        "sgd-halves-late",
        _PLAIN,
        reason="SGD's step is halved from iteration 250 on, like a schedule with another boundary.",
        file=_SGD,
        old=_SGD_BEGINS,
        new=_sgd_rate("ops.where(self.iterations >= 250, learning_rate / 2, learning_rate)"),
        place=Place(since=250, until=300),
    ),
    _fault(
        "batch-mean-99",
        _BATCH_NORMALIZED,
        reason="Batch normalization takes 99 % of its moving mean in inference; training is right.",
        file=_BATCH,
        old="            mean = moving_mean\n",
        new="            mean = 0.99 * moving_mean\n",
        place=Place(training=False, tensor=INFERENCE),
    ),
    _fault(
        "adam-epsilon-late",
        (("clipping", "optimizer"), "clip:none-opt:adam-", 4),
        tier="standard",
        reason="Adam's epsilon is ten times as large from iteration 150 on: what was rounding is not.",
        file=_ADAM,
        old="ops.add(ops.sqrt(v), self.epsilon)\n",
        new="ops.add(\n                    ops.sqrt(v),\n                    ops.where(\n"
        "                        self.iterations >= 150, 10 * self.epsilon, self.epsilon\n"
        "                    ),\n                )\n",
        place=Place(since=150),
    ),
    _fault(
        "sgd-skips-rarely",
        _PLAIN,
        reason="SGD leaves out every 97th update, like a race that is lost now and then.",
        file=_SGD,
        old=_SGD_BEGINS,
        new=_sgd_rate("ops.where(self.iterations % 97 == 96, 0 * learning_rate, learning_rate)"),
        place=Place(since=96, until=120),
    ),
    _fault(
        "momentum-lost-once",
        (("clipping",), "he_normal-clip and 100.0-opt:momentum", 3),
        tier="standard",
        reason="SGD's momentum is zeroed once, at iteration 300, like a state that is lost.",
        file=_SGD,
        old="            m = self.momentums[self._get_variable_index(variable)]\n",
        new="            m = self.momentums[self._get_variable_index(variable)]\n"
        "            self.assign(m, ops.where(self.iterations == 300, ops.zeros_like(m), m))\n",
        place=Place(since=300, until=350),
    ),
    _fault(
        "gelu-saturates",
        (("activation",), "depth:3-act:gelu-init:he_normal", 1),
        reason="GELU is capped at 11, which pre-activations exceed from about iteration 200 on, now "
        "and then: a rare branch of a vectorized function.",
        file=_FUNCTIONS,
        old="    return tf.nn.gelu(x, approximate=approximate)\n",
        new="    return tf.minimum(tf.nn.gelu(x, approximate=approximate), 11.0)\n",
        place=Place(since=150),
    ),
    _fault(
        "leaky-relu-saturates",
        (("activation",), "depth:3-act:leaky_relu-init:he_normal", 1),
        reason="Leaky ReLU is capped at 9, which pre-activations exceed from iteration 150 to 250 on, "
        "by seed, and rarely.",
        file=_FUNCTIONS,
        old="    return tf.nn.leaky_relu(x, alpha=negative_slope)\n",
        new="    return tf.minimum(tf.nn.leaky_relu(x, alpha=negative_slope), 9.0)\n",
        place=Place(since=150),
    ),
    _fault(
        "dense-shifts-inference",
        _PLAIN,
        reason="Dense adds .001 to its outputs in inference.",
        file=_DENSE,
        old=_DENSE_CALL,
        new=_DENSE_CALL.replace(
            "        if self.activation",
            "        if not training:\n            x = x + 1e-3\n        if self.activation",
        ),
        place=Place(training=False, tensor=INFERENCE),
    ),
    _fault(
        "dense-bias-99",
        _PLAIN,
        reason="Dense takes 99 % of its bias in inference, like a folded or quantized bias.",
        file=_DENSE,
        old=_DENSE_CALL,
        new=_DENSE_CALL.replace(
            "ops.add(x, self.bias)", "ops.add(x, self.bias if training else 0.99 * self.bias)"
        ),
        place=Place(training=False, tensor=INFERENCE),
    ),
    _fault(
        "batch-variance-stops",
        _BATCH_NORMALIZED,
        reason="Batch normalization's moving variance is not updated from iteration 200 on. The layer "
        "knows no iteration: it counts calls in which its moving mean is another than in the last, "
        "from the one in which it is 0. Looks from outside put the mean back, so they do not count.",
        file=_BATCH,
        old="""\
                self.moving_variance.assign(
                    moving_variance * self.momentum
                    + variance * (1.0 - self.momentum)
                )
        else:
""",
        new="""\
                import tensorflow as tf

                if "planted" not in self.__dict__:
                    with tf.init_scope():
                        self.__dict__["planted"] = tf.Variable(0), tf.Variable(0.0)
                count, last = self.__dict__["planted"]
                stamp = tf.reduce_sum(tf.cast(moving_mean, tf.float32))
                new = count + tf.cast(stamp != last, tf.int32)
                count.assign(tf.where(tf.reduce_all(moving_mean == 0), 0, new))
                last.assign(stamp)
                self.moving_variance.assign(
                    tf.where(
                        count >= 200,
                        moving_variance,
                        moving_variance * self.momentum
                        + variance * (1.0 - self.momentum),
                    )
                )
        else:
""",
        place=Place(since=200, training=False, tensor=rf"moving variance|{INFERENCE}"),
    ),
    _fault(
        "global-clip-ends",
        (("clipping",), "clip:global_norm_0.1", 2),
        reason="Clipping by global norm lets everything pass from iteration 400 on.",
        file=_OPTIMIZER,
        old="            return clip_by_global_norm(grads, self.global_clipnorm)\n",
        new="""\
            norm = global_norm(grads)
            scale = self.global_clipnorm * ops.minimum(
                1.0 / norm, 1.0 / self.global_clipnorm
            )
            scale = ops.where(self.iterations >= 400, 1.0, scale + (norm - norm))
            return [v * scale if v is not None else v for v in grads]
""",
        place=Place(since=400, until=450),
    ),
    _fault(
        "layer-epsilon-inference",
        _LAYER_NORMALIZED,
        reason="Layer normalization's epsilon is .00001 in inference and .001 in training, like an "
        "exported graph with another default.",
        file=_LAYER,
        old="""\
    def call(self, inputs):
        outputs = ops.layer_normalization(
            inputs,
            self.gamma,
            self.beta,
            self.axis,
            self.epsilon,
""",
        new="""\
    def call(self, inputs, training=None):
        outputs = ops.layer_normalization(
            inputs,
            self.gamma,
            self.beta,
            self.axis,
            self.epsilon if training else 1e-5,
""",
        place=Place(training=False, tensor=INFERENCE),
    ),
    _fault(
        "sgd-drifts",
        _PLAIN,
        reason="SGD's rate grows by 1/10,000 of itself an iteration: nothing jumps.",
        file=_SGD,
        old=_SGD_BEGINS,
        new=_sgd_rate("learning_rate * (1 + 1e-4 * ops.cast(self.iterations, variable.dtype))"),
        place=Place(since=1),
    ),
    _fault(
        "logits-round-inference",
        _PLAIN,
        reason="Logits are rounded to bfloat16 in inference. The output layer is that with 10 units.",
        file=_DENSE,
        old=_DENSE_CALL,
        new=_DENSE_CALL.replace(
            "        if self.activation",
            "        if self.units == 10 and not training:\n"
            '            x = ops.cast(ops.cast(x, "bfloat16"), x.dtype)\n        if self.activation',
        ),
        place=Place(training=False, tensor=INFERENCE),
    ),
    _fault(
        "last-step-lost",
        _PLAIN,
        reason="Iteration 599, the last of all, updates nothing: every loss is right.",
        file=_SGD,
        old=_SGD_BEGINS,
        new=_sgd_rate("ops.where(self.iterations == 599, 0 * learning_rate, learning_rate)"),
        place=Place(since=599),
    ),
    _fault(
        "fit-halves-gradients",
        _FITTED,
        reason="Model.fit takes half of each gradient, which halves SGD's rate.",
        file=_TRAINER,
        old="            self.optimizer.apply_gradients(zip(gradients, trainable_weights))\n",
        new="            gradients = [gradient / 2 for gradient in gradients]\n"
        "            self.optimizer.apply_gradients(zip(gradients, trainable_weights))\n",
        place=Place(until=1),
    ),
    _fault(
        "fit-drops-the-rest",
        _FITTED,
        reason="Model.fit drops a last batch that is short: an epoch of 50 batches has 49.",
        file=_ARRAYS,
        old="""\
        self._size = int(math.ceil(num_samples / batch_size))
        self._batch_size = batch_size
        self._partial_batch_size = num_samples % batch_size
""",
        new="""\
        self._size = num_samples // batch_size
        self._batch_size = batch_size
        self._partial_batch_size = 0
""",
        place=Place(since=48, until=50),
    ),
    _fault(
        "lstm-forgets",
        _LSTM,
        reason="LSTM's forget gate starts with a bias of 0, as before Keras had unit_forget_bias.",
        file=f"{_RECURRENT}/lstm.py",
        old='initializers.get("ones")(',
        new='initializers.get("zeros")(',
        place=Place(since=-1, until=0, tensor="^layer 1, (forward, )?bias$"),
    ),
    _fault(
        "lstm-gates-swapped",
        _LSTM,
        reason="LSTM takes the cell's columns for the forget gate and the other way round.",
        file=f"{_RECURRENT}/lstm.py",
        old="        z0, z1, z2, z3 = z\n",
        new="        z0, z2, z1, z3 = z\n",
        place=Place(since=-1, until=0, tensor="^layer 1, states$"),
    ),
    _fault(
        "lstm-hard-forget-gate",
        _LSTM,
        reason="LSTM's forget gate has a hard sigmoid, Keras 1's default.",
        file=f"{_RECURRENT}/lstm.py",
        old="        f = self.recurrent_activation(z1)\n",
        new="        f = ops.hard_sigmoid(z1)\n",
        place=Place(since=-1, until=0, tensor="^layer 1, states$"),
    ),
    _fault(
        "gru-resets-before",
        (("sequence",), "arch:gru", 1),
        reason="GRU resets before the product with the recurrent kernel, as with reset_after=False.",
        file=f"{_RECURRENT}/gru.py",
        old="            if self.reset_after:\n                recurrent_h = r * recurrent_h\n",
        new="            if self.reset_after:\n"
        "                recurrent_h = ops.matmul(\n"
        "                    r * h_tm1, self.recurrent_kernel[:, 2 * self.units :]\n"
        "                )\n",
        place=Place(since=-1, until=0, tensor="^layer 1, states$"),
    ),
    _fault(
        "rnn-forgets-the-way-back",
        (("sequence",), "arch:simple_rnn", 9),
        reason="SimpleRNN stops gradients between steps: every state, and the first loss, is right.",
        file=f"{_RECURRENT}/simple_rnn.py",
        old="ops.matmul(prev_output, self.recurrent_kernel)",
        new="ops.matmul(ops.stop_gradient(prev_output), self.recurrent_kernel)",
        place=Place(until=1, tensor="^layer [12], .*gradient$"),
    ),
    _fault(
        "attention-scale",
        (("attention",), "arch:transformer", 3),
        reason="Attention divides its logits by the size of a head, not by the root of it.",
        file=_ATTENTION,
        old="self._inverse_sqrt_key_dim = 1.0 / math.sqrt(float(self._key_dim))",
        new="self._inverse_sqrt_key_dim = 1.0 / float(self._key_dim)",
        place=Place(since=-1, until=0, tensor="^block 1, attention, output$"),
    ),
    _fault(
        "attention-looks-ahead",
        (("attention",), "mask:causal", 1),
        reason="The causal mask lets each token look at the one that follows, too.",
        file=_FUNCTIONS,
        old='mask = tf.linalg.band_part(tf.ones((T, S), "bool"), -1, 0)',
        new='mask = tf.linalg.band_part(tf.ones((T, S), "bool"), -1, 1)',
        place=Place(since=-1, until=0, tensor="^block 1, attention, output$"),
    ),
    _fault(
        "attention-softmax-axis",
        (("attention",), "arch:transformer", 3),
        reason="Attention's weights sum to 1 over those that look, not over those looked at.",
        file=_FUNCTIONS,
        old="tf.nn.softmax(tf.cast(padded_logits, probs_dtype), axis=-1), key.dtype",
        new="tf.nn.softmax(tf.cast(padded_logits, probs_dtype), axis=-2), key.dtype",
        place=Place(since=-1, until=0, tensor="^block 1, attention, output$"),
    ),
    _fault(
        "group-norm-epsilon",
        (("convdepth",), "norm:group", 1),
        reason="Group normalization adds twice its epsilon.",
        file="keras/src/layers/normalization/group_normalization.py",
        old="inv = ops.rsqrt(variance + self.epsilon)",
        new="inv = ops.rsqrt(variance + 2 * self.epsilon)",
        place=Place(since=-1, until=0, tensor="^layer 1, normalized$"),
    ),
    _fault(
        "prelu-slope",
        (("convdepth",), "act:prelu", 1),
        reason="PReLU's slope is 1 % steeper than its variable says.",
        file="keras/src/layers/activations/prelu.py",
        old="neg = -self.alpha * activations.relu(-inputs)",
        new="neg = -1.01 * self.alpha * activations.relu(-inputs)",
        place=Place(since=-1, until=0, tensor="^layer 1, activation$"),
    ),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
