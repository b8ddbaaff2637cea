"""Known faults: contracts that released versions break. They are told, and fail no run.

A fault names exactly the versions that were seen to have it, by ranges that end in tried ones; what
lies between two of them is taken to have it, too. One that is gone in such a version fails the run, as
does a contract that is broken in a version of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from packaging.specifiers import SpecifierSet


@dataclass(frozen=True, kw_only=True)
class KnownFault:
    """Contracts that are known to be broken, by one cause."""

    checks: tuple[str, ...]
    """Their ids, or patterns of such: ``seeds:seed-*``."""
    keras: tuple[str, ...] = ("",)
    """Versions of Keras, as specifiers of which one must hold: ``>=3.0.5,<=3.14.1``."""
    tensorflow: tuple[str, ...] = ("",)
    """Versions of TensorFlow, likewise; both must hold."""
    always: bool = True
    """Whether it shows on every machine; of others, being gone is no news."""
    what: str
    """What goes wrong, with the upstream issue where there is one."""

    def applies(self, keras: str, tensorflow: str) -> bool:
        """Whether it is known of these versions."""
        return _within(keras, self.keras) and _within(tensorflow, self.tensorflow)

    def breaks(self, check: str) -> bool:
        """Whether a check, by its id, is one of those that it breaks."""
        return any(fnmatchcase(check, pattern) for pattern in self.checks)

    @property
    def versions(self) -> str:
        """Tried versions that have it, and the next one that is sound: ``keras 3.0.2 to 3.13.2, not
        3.14.0``."""
        name, at = ("keras", 1) if self.keras != ("",) else ("tensorflow", 0)
        texts, run = [], list[str]()
        for pair in (*TRIED, None):
            if pair is not None and self.applies(tensorflow=pair[0], keras=pair[1]):
                run.append(pair[at])
            elif run:
                first, last = run[0], run[-1]
                sound = f", not {pair[at]}" if pair is not None and pair[at] != last else ""
                texts.append(f"{first} to {last}{sound}" if first != last else f"{first}{sound}")
                run = []
        return f"{name} {'; '.join(texts)}" if texts else " ".join((name, *self.tensorflow))


def _within(version: str, ranges: Iterable[str]) -> bool:
    return any(SpecifierSet(one).contains(version, prereleases=True) for one in ranges)


#: TensorFlow and Keras versions in which all contracts were tried, oldest first.
TRIED = (
    *(("2.12.1", "2.12.0"), ("2.15.1", "2.15.0")),
    *(
        ("2.16.2", f"3.{keras}")
        for keras in (
            *("0.2", "0.3", "0.5", "4.1", "6.0", "7.0", "9.2", "12.4"),
            *("13.2", "14.0", "14.1", "15.0", "15.1"),
        )
    ),
    *(("2.18.1", "3.15.1"), ("2.20.0", "3.15.1"), ("2.21.0", "3.15.1")),
)

#: Of optimizers that square gradients or take their size, which sums of gradients do not need.
_SQUARING = ("adam", "adamw", "adamax", "nadam", "rmsprop", "adagrad", "adadelta", "ftrl", "lamb")

KNOWN_FAULTS = (
    KnownFault(
        checks=("losses:formula-tversky-alpha:0.25",),
        keras=(">=3.6.0,<=3.15.1",),
        what="alpha and beta are swapped (mended by keras PR #23333)",
    ),
    KnownFault(
        checks=(
            *("configs:loss-Huber", "configs:loss-CosineSimilarity"),
            "configs:metric-CosineSimilarity",
        ),
        keras=(">=3.0.2,<=3.15.1",),
        what="delta or axis is not in the configuration (mended by keras PR #23286)",
    ),
    KnownFault(
        checks=("configs:initializer-Identity",),
        keras=(">=3.0.2,<=3.15.1",),
        what="the gain is not in the configuration; no report of it is known",
    ),
    KnownFault(
        checks=("models:evaluate-outputs",),
        keras=(">=3.0.2,<=3.15.1",),
        what="an output's loss is the mean over batches, not over samples; no report of it is known",
    ),
    KnownFault(
        checks=("models:evaluate-outputs:list-targets:dict",),
        keras=("==3.6.0",),
        what="losses of outputs in a list are paired with other targets of a dict",
    ),
    KnownFault(
        checks=("models:evaluate-outputs:list-targets:dict",),
        keras=("==3.14.0",),
        what="metrics of outputs in a list are paired with other targets of a dict (keras #22625)",
    ),
    KnownFault(
        checks=("models:fit-outputs:one_loss",),
        keras=(">=3.0.2,<=3.4.1",),
        what="an output without a loss is trained by the loss of another",
    ),
    KnownFault(
        checks=("models:fit-outputs:one_loss",),
        keras=("==3.6.0",),
        what="None for the loss of an output raises (mended by keras PR #20477)",
    ),
    KnownFault(
        checks=("models:fit-nested",),
        keras=(">=3.0.2,<=3.6.0",),
        what="nested inputs, or weights of nested losses, raise",
    ),
    KnownFault(
        checks=("masks:attention-dot-causal",),
        keras=(">=3.0.2,<=3.0.3",),
        what="a causal mask alone raises (mended by keras PR #19093)",
    ),
    KnownFault(
        checks=("masks:attention-dot-mask",),
        keras=(">=3.0.5,<=3.9.2",),
        what="a mask of queries is not broadcast over values: an error (mended by keras PR #21595)",
    ),
    KnownFault(
        checks=("masks:time_distributed-mask",),
        keras=(">=3.4.1,<=3.7.0",),
        what="a mask in a batch of unknown size raises (mended by keras PR #20765)",
    ),
    KnownFault(
        checks=("preprocessing:category_encoding",),
        keras=(">=3.0.2,<=3.0.5",),
        what="count_weights is no argument of a call",
    ),
    KnownFault(
        checks=("metrics:accuracy-booleans",),
        keras=(">=3.0.2,<=3.7.0",),
        what="predictions that are booleans raise (mended by keras PR #20956)",
    ),
    KnownFault(
        checks=("configs:layers",),
        keras=(">=3.0.2,<=3.0.5",),
        what="a Bidirectional that is made of a configuration has other weights",
    ),
    KnownFault(
        checks=("feeding:py_dataset-multiprocessing",),
        keras=(">=3.6.0,<=3.7.0",),
        what="batches of inputs alone raise; no report of it is known",
    ),
    KnownFault(
        checks=("feeding:steps_per_epoch-dataset", "feeding:validation_steps"),
        keras=(">=3.0.2,<=3.6.0",),
        what="an iterator that is used up or half used serves the next epoch, too (keras PR #20396)",
    ),
    KnownFault(
        checks=("loops:train_on_batch-returns:*", "loops:test_on_batch-returns:loss"),
        keras=(">=3.0.2,<=3.14.1",),
        what="returns the mean of all batches since a reset, not of the one given (keras #22596)",
    ),
    KnownFault(
        checks=(
            *("loops:fit-history:loss", "loops:evaluate-returns", "loops:fit-twice"),
            *("execution:fit-*", "metrics:accuracy", "metrics:weighted_metrics"),
            *(
                "models:fit-inputs:list",
                "models:fit-inputs:dict",
                "models:fit-inputs:names",
                "feeding:py_dataset-workers:2",
            ),
            *("feeding:steps_per_epoch-generator", "feeding:steps_per_epoch-dataset-repeated"),
        ),
        keras=(">=3.0.2,<=3.0.5",),
        what="means over batches, and over weighted samples, do not weigh them by their size",
    ),
    KnownFault(
        checks=("execution:fit-steps_per_execution:32",),
        keras=(">=3.4.1,<=3.6.0",),
        what="no loss is told where data end inside the first block of steps",
    ),
    KnownFault(
        checks=("models:fit-train_step",),
        keras=(">=3.0.2,<=3.0.5",),
        what="what a train_step of one's own returns is not told",
    ),
    KnownFault(
        checks=("models:fit-outputs:list", "models:fit-outputs:dict"),
        keras=(">=3.0.2,<=3.6.0",),
        what="losses of several outputs are not told, or with their weights (keras #20343)",
    ),
    KnownFault(
        checks=("callbacks:backup_and_restore",),
        keras=(">=3.0.2,<=3.0.5",),
        what="a fit that was interrupted begins again at the first epoch",
    ),
    KnownFault(
        checks=("callbacks:early_stopping-reused",),
        keras=(">=3.0.2,<=3.6.0", ">=3.12.4,<=3.14.1"),
        what="what was best in one fit counts in the next",
    ),
    KnownFault(
        checks=("callbacks:reduce_lr_on_plateau-*",),
        keras=(">=3.12.4,<=3.14.1",),
        what="what was best in one fit counts in the next",
    ),
    KnownFault(
        checks=("losses:axis-categorical_crossentropy-smoothing",),
        keras=("<=2.12.0", ">=3.0.2,<=3.15.1"),
        what="label smoothing divides by the size of the last axis, not of its own (keras #23451)",
    ),
    KnownFault(
        checks=("losses:formula-ctc",),
        keras=(">=3.0.2,<=3.0.5",),
        what="labels that are shorter than others",
    ),
    KnownFault(
        checks=("reductions:sample_weight-sequences",),
        keras=(">=3.0.2,<=3.15.1",),
        what="a weight for each sample raises where outputs have rank 3; no report of it is known",
    ),
    KnownFault(
        checks=("metrics:iou-weights:fractions",),
        keras=(">=3.9.2,<=3.15.1",),
        what="IoU casts weights to whole numbers, against the example in its own documentation "
        "(since keras PR #20584)",
    ),
    KnownFault(
        checks=("regularizers:activity-loss", "regularizers:activity-layers"),
        keras=(">=3.0.2,<=3.13.2",),
        what="an activity regularizer is not divided by the number of samples (keras #22018)",
    ),
    KnownFault(
        checks=("seeds:seed-*",),
        keras=(">=3.0.2,<=3.0.5",),
        what="seed 0 is taken for none; no report of it is known",
    ),
    KnownFault(
        checks=("seeds:fans-einsum_dense", "seeds:fans-attention"),
        keras=(">=2.12.0,<=3.14.1",),
        what="fans are those of the shape alone (keras PR #22789)",
    ),
    KnownFault(
        checks=("seeds:alpha_dropout",),
        keras=(">=3.0.2,<=3.6.0",),
        what="a TypeError in any call",
    ),
    KnownFault(
        checks=("layers:spectral_norm",),
        keras=(">=3.0.2,<=3.0.5",),
        what="a ValueError in any call",
    ),
    KnownFault(
        checks=("layers:einsum_dense-_x.xy._y", "products:einsum"),
        tensorflow=(">=2.16.2,<=2.18.1",),
        what="tf.einsum with an ellipsis of two or more axes, on several threads; no report of it is "
        "known",
        always=False,
    ),
    KnownFault(
        checks=("layers:dense-gradient-memory",),
        keras=(">=3.0.2,<=3.14.1",),
        what="the gradient of Dense forms a product for each sample (keras #22823)",
    ),
    KnownFault(
        checks=("layers:einsum_dense-gradient-memory",),
        keras=(">=3.4.1,<=3.15.1",),
        what="the gradient of EinsumDense forms a product for each sample, as Dense did (keras #22823)",
    ),
    *(
        KnownFault(
            checks=(f"saving:nested-format:{form}",),
            keras=(f">={first},<=3.14.1",),
            what="layers in nested lists and dicts are left out, without a word (keras #20598)",
        )
        for form, first in (("weights", "2.12.0"), ("keras", "2.15.0"))
    ),
    KnownFault(
        checks=tuple(f"saving:{model}-format:checkpoint" for model in ("flat", "nested", "own")),
        keras=(">=3.4.1,<=3.15.1",),
        what="tf.train.Checkpoint leaves out layers in lists and dicts, without a word; no report of "
        "it is known",
    ),
    KnownFault(
        checks=("saving:compiled:adam-format:h5",),
        keras=(">=3.4.1,<=3.15.1",),
        what="load_model leaves out the optimizer's state of an HDF5 file, without a word; no report "
        "of it is known",
    ),
    KnownFault(
        checks=("saving:compiled:strings-format:h5",),
        keras=(">=3.4.1,<=3.15.1",),
        what="load_model raises at an HDF5 file of a model that was compiled with 'mse'; no report of "
        "it is known",
    ),
    KnownFault(
        checks=("growth:fit", "growth:evaluate", "growth:predict"),
        keras=("<=2.12.0",),
        what="each call leaves 200 KB behind; no report of it is known",
    ),
    KnownFault(
        checks=("growth:train_on_batch", "growth:test_on_batch"),
        keras=(">=3.4.1,<=3.6.0",),
        what="each call traces anew, 2 MB, or raises StopIteration (tensorflow #67033)",
    ),
    KnownFault(
        checks=("growth:models-trained-graphs",),
        keras=(">=2.15.0,<=3.15.1",),
        what="the graphs of a model's steps, some MB, outlive the model (tensorflow #80753, #61791)",
    ),
    KnownFault(
        checks=("models:fit-inputs:names",),
        keras=(">=3.4.1,<=3.6.0",),
        what="arrays in a dict go to inputs in the order of their names (keras #20036, #20070)",
    ),
    KnownFault(
        checks=(
            *("stress:*-inputs:*", "layers:batch_norm-axis:*", "layers:layer_norm-*"),
            "layers:group_norm",
        ),
        keras=("==3.0.2",),
        what="variance as a difference of means, gradients without the mean's part (keras #19072)",
    ),
    KnownFault(
        checks=("training:accumulation-sgd-*", "training:accumulation-adam*"),
        keras=(">=3.0.2,<=3.4.1",),
        what="parts of an accumulated batch are taken for steps; no report of it is known",
    ),
    KnownFault(
        checks=("training:accumulation-sgd-ema",),
        keras=(">=3.6.0,<=3.15.1",),
        what="the moving average takes every part of an accumulated batch; no report of it is known",
    ),
    KnownFault(
        checks=("training:state-continued-nadam",),
        keras=(">=2.12.0,<=2.15.0",),
        what="a factor of the momentum is kept outside of the optimizer's variables",
    ),
    KnownFault(
        checks=tuple(f"sparse:{name}-rows:twice" for name in (*_SQUARING, "adafactor")),
        keras=(">=3.0.2,<=3.15.1",),
        what="rows of an Embedding that are used twice in a batch are squared before they are added "
        "up; no report of it is known",
    ),
    KnownFault(
        checks=("sparse:clipping-rows:once",),
        keras=("==3.0.2",),
        what="a TypeError where a sparse gradient is clipped",
    ),
    KnownFault(
        checks=("sparse:clipping-rows:twice",),
        keras=(">=2.12.0,<=3.15.1",),
        what="the norm of a sparse gradient counts rows that are used twice one by one; no report of "
        "it is known",
    ),
    KnownFault(
        checks=("products:matmul-process",),
        tensorflow=(">=2.16.2,<=2.21.0",),
        what="a product of rank 4 by rank 2 with several threads kills the process on some processors "
        "(tensorflow #117700)",
        always=False,
    ),
    KnownFault(
        checks=("products:matmul-inner",),
        tensorflow=("==2.13.0",),
        what="wrong values at an inner length of 5000 on processors with AVX512-VNNI "
        "(tensorflow #61510)",
        always=False,
    ),
)


def known(check: str, *, keras: str, tensorflow: str, wrong: bool = True) -> str:
    """What is known to be wrong with a check in these versions; empty if nothing is, or if it is a
    fault of some machines and nothing is wrong here."""
    return next(
        (
            fault.what
            for fault in KNOWN_FAULTS
            if fault.breaks(check) and fault.applies(keras, tensorflow) and (fault.always or wrong)
        ),
        "",
    )
