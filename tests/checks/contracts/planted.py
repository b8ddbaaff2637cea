"""Faults planted in Keras' public parts, one for each contract, and whether the contract fails of it.

``python -m tests.checks.contracts.planted [PATTERN ...]`` plants them all, or those of contracts whose
ids match, and prints which were missed. A fault is small: a wrong constant, one too many, a swapped or
dropped argument, a state that is lost or kept, a result off by one part in ten thousand. It is caught
if its contract is out of bounds; one that makes Keras raise is none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import numpy as np
import tensorflow as tf

from bench.checks.catalogue import checks, contract_of
from bench.checks.contracts.known_faults import known
from bench.checks.examiner import Examiner
from bench.results.check import CONTRACTS, Check, CheckResult
from tests.checks.contracts import (
    changes,
    planted_added,
    planted_arguments,
    planted_calls,
    planted_ops,
    planted_tensorflow,
)
from tests.checks.contracts.planting import (
    SLIGHTLY,
    Fault,
    configured,
    in_,
    keeping,
    method,
    nothing,
    of_thing,
    options,
    prop,
    result,
    setter,
    without,
)

keras = tf.keras


_MEAN, _LOSS, _MODEL = keras.metrics.Mean, keras.losses.Loss, keras.Model
_LAYERS, _OPTIMIZER, _NORM = (
    keras.layers,
    keras.optimizers.Optimizer,
    keras.layers.BatchNormalization,
)

FAULTS: Sequence[Fault] = (
    *planted_arguments.FAULTS,
    *planted_added.FAULTS,
    *planted_calls.FAULTS,
    *planted_tensorflow.FAULTS,
    *planted_ops.FAULTS,
    # Loops
    Fault(
        ("loops:train_on_batch-returns:loss", "loops:test_on_batch-returns:loss"),
        "returns what the first call returned",
        lambda thing: method(_MODEL, thing.rpartition(".")[2], changes.stale()),
    ),
    Fault(
        ("loops:train_on_batch-returns:metrics",),
        "off by 1e-4",
        in_(_MODEL, result, "train_on_batch"),
    ),
    Fault(
        ("loops:train_on_batch-sample_weight",),
        "weights ignored",
        in_(_MODEL, without, "train_on_batch", "sample_weight"),
    ),
    Fault(
        ("loops:predict_on_batch",),
        "another order",
        in_(_MODEL, result, "predict_on_batch", lambda x: x[::-1]),
    ),
    Fault(
        ("loops:predict-order",),
        "rolled by a row",
        in_(_MODEL, result, "predict", lambda x: np.roll(x, 1, 0)),
    ),
    Fault(
        ("loops:fit-history:metrics", "loops:fit-twice", "metrics:empty"),
        "a mean is not reset",
        in_(_MEAN, nothing, "reset_state"),
    ),
    Fault(
        (
            "loops:fit-history:loss",
            "loops:evaluate-returns",
            "execution:fit-data:*",
            "metrics:mean-and-sum",
        ),
        "a mean ignores weights",
        in_(_MEAN, method, "update_state", changes.unweighted),
    ),
    Fault(
        ("loops:fit-sample_weight",),
        "weights ignored",
        in_(_MODEL, without, "fit", "sample_weight"),
    ),
    Fault(
        ("loops:fit-class_weight",), "weights ignored", in_(_MODEL, without, "fit", "class_weight")
    ),
    Fault(
        ("loops:fit-validation_split",),
        "another share",
        in_(_MODEL, options, "fit", validation_split=0.2),
    ),
    Fault(
        ("loops:fit-validation_data-sample_weight",),
        "weights ignored",
        in_(_MODEL, options, "fit", validation_data=lambda data: data[:2]),
    ),
    Fault(
        ("loops:fit-shuffle",),
        "not shuffled",
        in_(
            _MODEL, method, "fit", lambda original, *a, **k: original(*a, **{**k, "shuffle": False})
        ),
    ),
    Fault(
        ("loops:fit-initial_epoch",),
        "one too few",
        in_(_MODEL, options, "fit", initial_epoch=lambda n: n - 1),
    ),
    Fault(
        ("loops:compile-again",), "compiled once only", in_(_MODEL, method, "compile", changes.once)
    ),
    # Execution, models
    Fault(
        ("execution:fit-steps_per_execution:*",),
        "the last samples are left out",
        in_(_MODEL, method, "fit", changes.first_arguments(20)),
    ),
    Fault(
        ("execution:fit-*",),
        "1 % of the rate",
        in_(keras.optimizers.SGD, method, "update_step", changes.rate),
    ),
    # Feeding, monitors, configs
    Fault(
        ("feeding:steps_per_epoch-*",),
        "one too few",
        in_(_MODEL, options, "fit", steps_per_epoch=lambda n: n - 1),
    ),
    Fault(
        ("feeding:validation_steps",),
        "one too few",
        in_(_MODEL, options, "fit", validation_steps=lambda n: n - 1),
    ),
    Fault(
        ("feeding:validation_freq",),
        "every epoch",
        in_(_MODEL, options, "fit", validation_freq=1),
    ),
    Fault(
        ("feeding:class_weight-*",), "weights ignored", in_(_MODEL, without, "fit", "class_weight")
    ),
    Fault(
        ("feeding:sample_weight-dataset",),
        "weights ignored",
        in_(_MODEL, method, "fit", changes.without_weights),
    ),
    Fault(
        (
            *("feeding:evaluate-*", "models:evaluate-outputs*"),
            *("models:compile-again-metrics", "models:metrics-of-inner-model"),
        ),
        "off by 1e-4",
        in_(_MODEL, result, "evaluate"),
    ),
    Fault(
        ("monitors:early_stopping-auto:*",),
        "one too patient",
        of_thing(options, patience=lambda n: n + 1),
    ),
    Fault(
        ("monitors:reduce_lr_on_plateau-auto:*",),
        "one too patient",
        of_thing(options, patience=lambda n: n + 1),
    ),
    Fault(
        ("monitors:model_checkpoint-auto:*",),
        "every epoch is saved",
        of_thing(options, save_best_only=False),
    ),
    Fault(
        ("monitors:early_stopping-baseline",),
        "baseline ignored",
        of_thing(without, "__init__", "baseline"),
    ),
    Fault(
        ("monitors:model_checkpoint-save_freq:3",),
        "one too late",
        of_thing(options, save_freq=lambda n: n + 1),
    ),
    Fault(
        ("monitors:model_checkpoint-initial_value_threshold",),
        "threshold ignored",
        of_thing(without, "__init__", "initial_value_threshold"),
    ),
    Fault(
        ("monitors:rate-in-logs",),
        "of the next epoch",
        of_thing(method, "__init__", changes.later),
    ),
    Fault(("monitors:stop_training",), "fits twice", in_(_MODEL, method, "fit", changes.twice)),
    Fault(("configs:loss-Tversky",), "half of it", of_thing(configured, alpha=0.125)),
    Fault(
        ("configs:loss-*",),
        "the reduction is lost",
        of_thing(configured, reduction="sum_over_batch_size"),
    ),
    Fault(
        ("configs:metrics",),
        "a threshold is lost",
        in_(keras.metrics.BinaryAccuracy, configured, threshold=0.5),
    ),
    Fault(("configs:metric-CosineSimilarity",), "an axis is lost", of_thing(configured, axis=-1)),
    Fault(
        ("configs:layers",),
        "an activation is lost",
        in_(_LAYERS.Dense, configured, activation=None),
    ),
    Fault(
        ("configs:optimizers",),
        "the momentum is lost",
        in_(keras.optimizers.SGD, configured, momentum=0.0),
    ),
    Fault(
        ("configs:schedules",),
        "the power is lost",
        in_(keras.optimizers.schedules.PolynomialDecay, configured, power=1.0),
    ),
    Fault(
        ("configs:regularizers-*",),
        "half of it",
        in_(keras.regularizers.L1, configured, l1=0.25),
    ),
    Fault(("configs:initializer-Identity",), "the gain is lost", of_thing(configured, gain=1.0)),
    Fault(
        ("models:fit-outputs:one_loss", "models:fit-nested", "models:add-after_training"),
        "1 % of the rate",
        in_(keras.optimizers.SGD, method, "update_step", changes.rate),
    ),
    Fault(
        ("models:fit-outputs:*",),
        "weights ignored",
        in_(_MODEL, without, "compile", "loss_weights"),
    ),
    Fault(
        ("models:fit-inputs:list",),
        "an input is a row behind",
        in_(_MODEL, method, "fit", changes.out_of_step),
    ),
    Fault(
        ("models:fit-inputs:*",),
        "joined in another order",
        in_(
            _LAYERS.Concatenate,
            method,
            "call",
            lambda original, self, inputs: original(self, inputs[::-1]),
        ),
    ),
    Fault(
        ("models:fit-model_in_model-trainable",),
        "set in vain",
        in_(keras.layers.Layer, setter, "trainable"),
    ),
    Fault(
        ("models:fit-train_step",), "logs off by 1e-4", in_(_MODEL, method, "fit", changes.history)
    ),
    # Masks, preprocessing
    Fault(
        ("masks:masking-value",), "turned round", of_thing(result, "compute_mask", tf.logical_not)
    ),
    Fault(
        ("masks:arguments-own",),
        "another value",
        in_(
            _LAYERS.Masking,
            method,
            "call",
            lambda original, self, inputs: original(self, inputs + 1),
        ),
    ),
    Fault(
        ("masks:softmax-mask", "masks:global_average_pool1d-mask", "masks:attention-dot-mask"),
        "mask ignored",
        of_thing(without, "call", "mask"),
    ),
    Fault(
        ("masks:attention-dot-causal",),
        "mask ignored",
        of_thing(without, "call", "use_causal_mask"),
    ),
    Fault(("masks:time_distributed-mask",), "off by 1e-4", in_(_LAYERS.Dense, result, "call")),
    Fault(
        ("preprocessing:normalization-adapted",),
        "a row is left out",
        of_thing(method, "adapt", changes.without_last),
    ),
    Fault(
        ("preprocessing:discretization", "preprocessing:lookup"),
        "turned round",
        of_thing(result, "call", lambda x: x[::-1]),
    ),
    Fault(("preprocessing:*",), "off by 1e-4", of_thing(result, "call")),
    # Growth
    Fault(("growth:fit",), "traces anew", in_(_MODEL, method, "fit", changes.traced_anew("train"))),
    Fault(
        ("growth:evaluate", "growth:fit-epochs"),
        "traces anew",
        in_(_MODEL, method, "evaluate", changes.traced_anew("test")),
    ),
    Fault(
        ("growth:fit-epochs-run_eagerly",),
        "keeps a tensor",
        in_(_MODEL, keeping, "evaluate", lambda _: tf.constant(1.0)),
    ),
    Fault(
        ("growth:models-loaded",),
        "keeps a weight",
        in_(_LAYERS.Dense, keeping, "load_own_variables", lambda layer: layer.bias),
    ),
    Fault(
        ("growth:models-trained-graphs",),
        "keeps a graph",
        in_(_MODEL, keeping, "fit", lambda model: model.train_function),
    ),
    Fault(
        ("growth:models-*",),
        "keeps a weight",
        in_(_MODEL, keeping, "compile", lambda model: model.weights[-1]),
    ),
    Fault(
        ("growth:*_on_batch",),
        "keeps a tensor",
        lambda thing: keeping(_MODEL, thing.rpartition(".")[2], lambda _: tf.constant(1.0)),
    ),
    Fault(
        ("growth:*",),
        "keeps 100 kB",
        lambda thing: keeping(_MODEL, thing.rpartition(".")[2], lambda _: np.ones(100_000, bool)),
    ),
    # Saving
    Fault(
        ("saving:sequential-format:*", "saving:*-format:export"),
        "a weight is saved as zeros",
        lambda thing: method(_MODEL, thing.rpartition(".")[2], changes.saved_without),
    ),
    Fault(
        ("saving:own-format:weights", "saving:own-format:keras"),
        "the model's own weight is not read",
        in_(_MODEL, nothing, "load_own_variables"),
    ),
    Fault(
        ("saving:layers-format:keras",),
        "moving statistics are not read",
        in_(_NORM, nothing, "load_own_variables"),
    ),
    Fault(
        ("saving:*-format:checkpoint",),
        "two matrices exchanged",
        in_(tf.train.Checkpoint, method, "write", changes.saved_exchanged),
    ),
    Fault(
        ("saving:compiled:adam-*",),
        "the optimizer's state is not read",
        in_(_OPTIMIZER, nothing, "load_own_variables"),
    ),
    Fault(
        ("saving:compiled:strings-*",),
        "metrics are not read",
        in_(
            _MODEL,
            method,
            "compile_from_config",
            lambda original, self, config: original(self, {**config, "metrics": None}),
        ),
    ),
    Fault(
        ("saving:*-refused",),
        "what does not fit is skipped",
        in_(
            _MODEL,
            method,
            "load_weights",
            lambda original, *a, **k: original(*a, **{**k, "skip_mismatch": True}),
        ),
    ),
    Fault(
        ("saving:*-format:*",),
        "two matrices exchanged",
        lambda thing: method(_MODEL, thing.rpartition(".")[2], changes.saved_exchanged),
    ),
    # Callbacks
    Fault(
        ("callbacks:early_stopping-patience:*", "callbacks:reduce_lr_on_plateau-patience:2"),
        "one epoch more",
        of_thing(options, patience=lambda n: n + 1),
    ),
    Fault(("callbacks:early_stopping-min_delta",), "ignored", of_thing(options, min_delta=0.0)),
    Fault(
        ("callbacks:early_stopping-start_from_epoch",),
        "one epoch later",
        of_thing(options, start_from_epoch=lambda n: n + 1),
    ),
    Fault(("callbacks:early_stopping-mode:max",), "the other mode", of_thing(options, mode="min")),
    Fault(
        ("callbacks:early_stopping-reused",),
        "keeps its best",
        of_thing(method, "on_train_begin", changes.keeping_best),
    ),
    Fault(
        ("callbacks:reduce_lr_on_plateau-patience:1-cooldown:2",),
        "one epoch less",
        of_thing(options, cooldown=lambda n: n - 1),
    ),
    Fault(("callbacks:reduce_lr_on_plateau-min_lr",), "ignored", of_thing(options, min_lr=0.0)),
    Fault(
        ("callbacks:learning_rate_scheduler",),
        "one epoch later",
        of_thing(method, "__init__", changes.later),
    ),
    Fault(
        ("callbacks:model_checkpoint-each",),
        "one epoch later",
        of_thing(method, "on_epoch_end", changes.shifted),
    ),
    Fault(
        ("callbacks:model_checkpoint-best",), "saves each", of_thing(options, save_best_only=False)
    ),
    Fault(
        ("callbacks:backup_and_restore",), "restores nothing", of_thing(nothing, "on_train_begin")
    ),
    Fault(
        ("callbacks:terminate_on_nan",),
        "infinity passes",
        of_thing(method, "on_batch_end", changes.nan_alone),
    ),
    Fault(("callbacks:csv_logger",), "never appends", of_thing(options, append=False)),
    Fault(
        ("callbacks:order-of-calls",),
        "one epoch later",
        in_(keras.callbacks.CallbackList, method, "on_epoch_begin", changes.shifted),
    ),
    # Losses
    Fault(("losses:formula-*",), "off by 1e-4", of_thing(result, "call")),
    Fault(("losses:axis-*",), "the last axis always", of_thing(options, axis=-1)),
    *(
        Fault(
            (f"losses:ends-{subject}crossentropy{'-logits' if logits else ''}",),
            "textbook formula",
            of_thing(method, "call", changes.naive(name, logits)),
        )
        for subject, name in (
            ("binary_", "binary"),
            ("categorical_", "categorical"),
            ("sparse_categorical_", "sparse"),
        )
        for logits in (False, True)
    ),
    Fault(("losses:float16-*",), "rounded to float16", of_thing(result, "call", changes.rounded)),
    Fault(
        ("reductions:reduce-none",),
        "weights ignored",
        in_(_LOSS, without, "__call__", "sample_weight"),
    ),
    *(
        Fault(
            (f"reductions:reduce-{asked}",),
            f"{done} in its place",
            in_(
                _LOSS,
                method,
                "__init__",
                lambda original, self, name=None, reduction=None, done=done, **k: original(
                    self, name, done, **k
                ),
            ),
        )
        for asked, done in (
            ("sum", "sum_over_batch_size"),
            ("sum_over_batch_size", "sum"),
            ("mean", "mean_with_sample_weight"),
            ("mean_with_sample_weight", "mean"),
            ("default", "sum"),
        )
    ),
    Fault(
        ("reductions:sample_weight-sequences",),
        "weights ignored",
        in_(_MODEL, without, "evaluate", "sample_weight"),
    ),
    Fault(
        ("reductions:pairs-of-ranks",),
        "off by 1e-4",
        in_(keras.losses.BinaryCrossentropy, result, "call"),
    ),
    Fault(("reductions:mask-*",), "mask lost", in_(_LOSS, method, "__call__", changes.bare)),
    Fault(
        ("reductions:ignore_class",),
        "another class",
        of_thing(options, ignore_class=lambda n: n + 1),
    ),
    # Metrics
    Fault(
        ("metrics:pairs-*",),
        "given to the other output",
        in_(_MODEL, method, "compile", changes.swapped),
    ),
    Fault(
        ("metrics:accuracy-by_name",),
        "off by 1e-4",
        in_(keras.metrics.CategoricalAccuracy, result, "result"),
    ),
    Fault(
        ("metrics:weighted_metrics",),
        "exchanged with metrics",
        in_(_MODEL, method, "compile", changes.exchanged),
    ),
    Fault(("metrics:own",), "not reset", in_(keras.metrics.Metric, nothing, "reset_state")),
    Fault(("metrics:*",), "off by 1e-4", of_thing(result, "result")),
    # Regularizers, constraints
    Fault(
        ("regularizers:values-L1-L2", "regularizers:activity-loss"),
        "off by 1e-4",
        in_(keras.regularizers.L2, result, "__call__"),
    ),
    Fault(
        ("regularizers:values-orthogonal",),
        "the other mode",
        of_thing(options, mode=lambda mode: {"rows": "columns", "columns": "rows"}[mode]),
    ),
    Fault(
        ("regularizers:weights-loss", "regularizers:activity-layers"),
        "off by 1e-4",
        in_(keras.regularizers.L1, result, "__call__"),
    ),
    Fault(
        ("regularizers:weights-layers",),
        "counted twice",
        in_(keras.layers.Layer, prop, "losses", lambda losses: losses * 2),
    ),
    Fault(
        ("regularizers:constraints",),
        "off by 1e-4",
        in_(keras.constraints.UnitNorm, result, "__call__"),
    ),
    Fault(
        ("regularizers:constraints-training",),
        "not applied",
        in_(keras.constraints.NonNeg, method, "__call__", lambda original, self, w: w),
    ),
    # Seeds
    Fault(
        ("seeds:seed-*",),
        "0 is taken for none",
        of_thing(method, "__init__", changes.seed_0_is_none),
    ),
    Fault(
        ("seeds:distribution",),
        "2 % larger",
        in_(keras.initializers.RandomNormal, result, "__call__", lambda x: x * 1.02),
    ),
    Fault(("seeds:fixed",), "off by 1e-4", in_(keras.initializers.Constant, result, "__call__")),
    Fault(
        ("seeds:fans-einsum_dense",),
        "2 % larger",
        in_(keras.initializers.VarianceScaling, result, "__call__", lambda x: x * 1.02),
    ),
    Fault(
        ("seeds:fans-*",),
        "the other fan",
        in_(
            keras.initializers.VarianceScaling,
            options,
            mode=lambda mode: {"fan_in": "fan_out", "fan_out": "fan_in"}.get(mode, mode),
        ),
    ),
    Fault(
        ("seeds:set_random_seed",),
        "NumPy is not seeded",
        in_(keras.utils, method, "set_random_seed", changes.half_seeded),
    ),
    # A layer is changed as it is made: Keras looks at the signature of its __init__.
    Fault(
        ("seeds:dropout-rate",),
        "rate off by 1e-3",
        in_(_LAYERS, method, "Dropout", lambda original, rate, **k: original(rate * 1.001, **k)),
    ),
    Fault(("seeds:dropout-seed",), "seed ignored", in_(_LAYERS, options, "Dropout", seed=None)),
    Fault(
        ("seeds:dropout-shapes",),
        "shape ignored",
        in_(_LAYERS, options, "Dropout", noise_shape=None),
    ),
    Fault(
        ("seeds:noise",),
        "10 % larger",
        in_(_LAYERS, method, "GaussianNoise", lambda original, d, **k: original(d * 1.1, **k)),
    ),
    Fault(("seeds:alpha_dropout",), "15 % larger", of_thing(result, "call", lambda x: x * 1.15)),
    # Layers, convolutions, sequences
    Fault(
        ("layers:dense-gradient-memory",),
        "a product for each sample",
        of_thing(method, "call", changes.by_sample),
    ),
    Fault(
        ("layers:*-gradient-memory",),
        "a kernel for each sample",
        of_thing(method, "call", changes.kernels),
    ),
    Fault(
        ("layers:layer_norm-epsilon:1e-6",),
        "another epsilon",
        in_(_LAYERS, options, "LayerNormalization", epsilon=1e-3),
    ),
    Fault(("layers:batch_norm-mask",), "mask ignored", of_thing(without, "call", "mask")),
    Fault(
        ("sequences:embedding-mask_zero",),
        "inverted",
        of_thing(result, "compute_mask", lambda mask: mask if mask is None else ~mask),
    ),
    Fault(
        ("sequences:embedding-mask-reaches:lstm",),
        "mask ignored",
        in_(keras.layers.LSTM, without, "call", "mask"),
    ),
    Fault(
        ("sequences:attention-mask-from:embedding",),
        "no mask",
        in_(keras.layers.Embedding, method, "compute_mask", lambda *_, **__: None),
    ),
    Fault(
        ("sequences:attention-mask",), "mask ignored", of_thing(without, "call", "attention_mask")
    ),
    Fault(
        ("sequences:attention-causal",), "looks ahead", of_thing(without, "call", "use_causal_mask")
    ),
    Fault(("sequences:bidirectional-*",), "off by 1e-4", of_thing(result, "call")),
    Fault(("sequences:*-mask",), "mask ignored", of_thing(without, "call", "mask")),
    Fault(
        ("sequences:*-state",), "initial state ignored", of_thing(without, "call", "initial_state")
    ),
    Fault(("sequences:*-stateful",), "not reset", of_thing(nothing, "reset_state")),
    Fault(("layers:*", "convolutions:*", "sequences:*"), "off by 1e-4", of_thing(result, "call")),
    # Normalization under stress, products
    Fault(("stress:*-outputs",), "off by 1e-4", of_thing(result, "call")),
    Fault(
        ("stress:*-gradients",), "gradients off by 1e-4", of_thing(result, "call", changes.steeper)
    ),
    Fault(
        ("stress:*-moving",),
        "momentum off by 1e-4",
        in_(_LAYERS, options, "BatchNormalization", momentum=lambda m: m * SLIGHTLY),
    ),
    Fault(("stress:batch-images:*",), "n / (n - 1)", in_(_NORM, method, "call", changes.bessel)),
    Fault(("products:matmul-*",), "off by 1e-4", in_(tf.linalg, result, "matmul")),
    Fault(("products:einsum",), "off by 1e-4", in_(tf, result, "einsum")),
    # Optimizers
    Fault(
        ("training:accumulation-fit",),
        "one step more",
        in_(keras.optimizers.SGD, options, gradient_accumulation_steps=lambda n: n + 1),
    ),
    Fault(
        ("training:accumulation-*",),
        "one step less",
        of_thing(options, gradient_accumulation_steps=lambda n: n - 1),
    ),
    Fault(("training:rate-changed:*",), "set in vain", in_(_OPTIMIZER, setter, "learning_rate")),
    Fault(
        ("training:gradients-none",),
        "zeros in its place",
        in_(_OPTIMIZER, method, "apply_gradients", changes.zeros),
    ),
    Fault(
        ("training:weight_decay-excluded",),
        "excluded in vain",
        in_(_OPTIMIZER, nothing, "exclude_from_weight_decay"),
    ),
    Fault(
        ("training:ema-overwrite",),
        "one step later",
        in_(keras.optimizers.SGD, options, ema_overwrite_frequency=lambda n: n + 1),
    ),
    Fault(
        ("training:muon",),
        "a coefficient off by 0.5 %",
        of_thing(
            method,
            "__init__",
            lambda original, *given, **options: original(
                *given, **{**options, "muon_a": 3.4445 * 1.005}
            ),
        ),
    ),
    Fault(
        ("training:state-continued-*",),
        "moments are not told",
        in_(_OPTIMIZER, prop, "variables", lambda variables: variables[:2]),
    ),
    Fault(
        ("training:variables-late",),
        "1 % of the rate",
        in_(keras.optimizers.Adam, method, "update_step", changes.rate),
    ),
    Fault(
        ("loss_scale:overflow-model",),
        "never seen",
        in_(
            keras.optimizers.LossScaleOptimizer,
            method,
            "check_finite",
            lambda *_: tf.constant(True),
        ),
    ),
    Fault(
        ("loss_scale:overflow:*",),
        "never seen",
        of_thing(method, "check_finite", lambda *_: tf.constant(True)),
    ),
    Fault(
        ("loss_scale:factor",),
        "not multiplied",
        of_thing(method, "scale_loss", lambda original, self, loss: loss),
    ),
    Fault(
        ("sparse:clipping-*",),
        "1 % more",
        in_(keras.optimizers.SGD, options, clipnorm=lambda n: n * 1.01),
    ),
    Fault(("sparse:*-kept",), "made dense", of_thing(method, "update_step", changes.dense)),
    Fault(("sparse:*",), "1 % of the rate", of_thing(method, "update_step", changes.rate)),
    Fault(
        ("schedules:optimizer",),
        "one step later",
        in_(keras.optimizers.schedules.InverseTimeDecay, method, "__call__", changes.shifted),
    ),
    Fault(("schedules:*",), "one step later", of_thing(method, "__call__", changes.shifted)),
)


def fault_of(check: Check) -> Fault | None:
    """The fault that is planted for a contract."""
    patterns = ((fault, pattern) for fault in FAULTS for pattern in fault.checks)
    return next((fault for fault, pattern in patterns if fnmatchcase(check.id, pattern)), None)


def plantable(patterns: Sequence[str]) -> Iterator[Check]:
    """Contracts of the quick tier that this Keras has and is not known to break."""
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    major = int(keras.__version__.partition(".")[0])
    for check in checks("quick", CONTRACTS):
        contract = contract_of(check)
        assert contract is not None
        if (
            major in contract.keras
            and not known(check.id, **versions)
            and any(fnmatchcase(check.id, pattern) for pattern in patterns)
        ):
            yield check


def examined(check: Check, examiner: Examiner, fault: Fault | None = None) -> CheckResult:
    """What a contract says with a fault planted: its own, unless another is given."""
    fault, contract = fault or fault_of(check), contract_of(check)
    assert fault is not None
    assert contract is not None
    keras.backend.clear_session()
    with fault.plant(contract.thing):
        return examiner.examine(check)


def caught(found_: CheckResult) -> bool:
    """Whether a number is out of its bound, before anything is raised."""
    return bool(found_.deviations) and found_.deviations[0].tensor != "raises"


def main() -> None:
    """Prints a line for each contract, and how many were caught."""
    from bench.nets import device

    device.configure("cpu", threads=1)
    examiner = Examiner(None, "cpu")  # type: ignore[arg-type] # no images here
    outcomes: list[bool] = []
    begin = time.monotonic()
    for check in plantable(sys.argv[1:] or ("*",)):
        fault = fault_of(check)
        if fault is None:
            print(f"NO FAULT {check.id}", flush=True)
            outcomes.append(False)
            continue
        found_ = examined(check, examiner)
        if found_.absent:
            print(f"absent {check.id}: {found_.absent}", flush=True)
            continue
        outcomes.append(caught(found_))
        word = "caught" if outcomes[-1] else "MISSED"
        print(f"{word} {check.id}: {fault.what}: {found_.reason}"[:240], flush=True)
    seconds = time.monotonic() - begin
    print(
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}: {sum(outcomes)} of {len(outcomes)} "
        f"planted faults are caught, in {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
