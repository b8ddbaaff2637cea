"""Known faults of models and their training, files and seeds; all are in ``known_faults``."""

from __future__ import annotations

from bench.checks.contracts.fault import KnownFault

#: Of optimizers that square gradients or take their size, which sums of gradients do not need.
_SQUARING = ("adam", "adamw", "adamax", "nadam", "rmsprop", "adagrad", "adadelta", "ftrl", "lamb")

FAULTS = (
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
        checks=("models:fit-train_step", "calls:steps-own"),
        keras=(">=3.0.2,<=3.0.5",),
        what="what a train_step or test_step of one's own returns is not told",
    ),
    KnownFault(
        checks=("models:fit-outputs:list", "models:fit-outputs:dict"),
        keras=(">=3.0.2,<=3.6.0",),
        what="losses of several outputs are not told, or with their weights (keras #20343)",
    ),
    KnownFault(
        checks=(
            *("callbacks:backup_and_restore", "fitting:backup-delete_checkpoint"),
            "fitting:backup-continued",
        ),
        keras=(">=3.0.2,<=3.0.5",),
        what="a fit that was interrupted begins again at the first epoch (keras #19179)",
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
        what="a TypeError in any call (mended by keras PR #20326)",
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
        checks=tuple(f"saving:{model}-format:h5" for model in ("flat", "nested", "layers")),
        keras=(">=3.0.2,<=3.0.5",),
        what="weights of a layer's sublayers have one name in an HDF5 file: an error (keras #19375)",
    ),
    KnownFault(
        checks=("saving:compiled:adam-format:h5",),
        keras=(">=3.0.2,<=3.15.1",),
        what="load_model leaves out the optimizer's state of an HDF5 file, without a word; no report "
        "of it is known",
    ),
    KnownFault(
        checks=("saving:compiled:strings-format:h5",),
        keras=(">=3.0.2,<=3.15.1",),
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
        checks=(
            *(f"sparse:{name}-kept" for name in ("adam", "adamw", "adamax", "rmsprop", "lion")),
            *(f"sparse:sgd-{option}-kept" for option in ("momentum", "global_clipnorm")),
        ),
        keras=(">=3.0.2,<=3.15.1",),
        what="the gradient of an Embedding becomes dense, with every row of its table (keras #19992)",
    ),
    KnownFault(
        checks=("sparse:clipping-rows:once", "sparse:sgd-clipnorm-kept"),
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
        checks=("calls:training-fixed",),
        keras=(">=3.0.2,<=3.15.1",),
        what="training=False, given where a model is built, gives way to the outer call's (mended by "
        "keras PR #23364)",
    ),
    KnownFault(
        checks=("calls:training-default",),
        keras=(">=3.0.2,<=3.15.1",),
        what="a layer's own default for training reaches those behind it (mended by keras PR #23166)",
    ),
    KnownFault(
        checks=("calls:inputs-optional",),
        keras=(">=3.4.1,<=3.9.2",),
        what="None for an optional input raises in fit (mended by keras PR #21548)",
    ),
    KnownFault(
        checks=("feeding:py_dataset-epochs",),
        keras=(">=3.7.0,<=3.15.1",),
        what="on_epoch_end is called once more than there are epochs; no report of it is known",
    ),
    KnownFault(
        checks=("monitors:progress-bar",),
        keras=(">=3.0.2,<=3.14.1",),
        what="the progress bar shows means of means, not what callbacks are told (keras #21301)",
    ),
    KnownFault(
        checks=("execution:fit-strategy:mirrored",),
        keras=(">=3.4.1,<=3.9.2",),
        what="a penalty counts once for each device, and losses that are told are no means (mended in "
        "part by keras PR #20609)",
    ),
    KnownFault(
        checks=(
            *("execution:dataset-of_unknown_size", "logs:batches"),
            "fitting:validation_batch_size",
        ),
        keras=(">=3.0.2,<=3.0.5",),
        what="means over batches, and over weighted samples, do not weigh them by their size",
    ),
    KnownFault(
        checks=("feeding:validation_freq-list",),
        keras=(">=3.0.2,<=3.6.0",),
        what="an iterator that is half used serves the next validation, too (keras PR #20396)",
    ),
    KnownFault(
        checks=("execution:predict-lengths",),
        keras=(">=3.0.2,<=3.0.5",),
        what="batches of a generator must be as long as its first one (mended by keras PR #19318)",
    ),
    KnownFault(
        checks=("feeding:py_dataset-begin",),
        keras=(">=3.6.0,<=3.15.1",),
        what="workers load batches before on_epoch_begin is over (mended by keras PR #23284)",
    ),
    KnownFault(
        checks=("configs:regularizer-numbers",),
        keras=(">=2.12.0,<=3.15.1",),
        what="factors are rounded to float32 in the configuration (mended in part by keras PR #22629)",
    ),
    KnownFault(
        checks=("logs:csv_logger-validation_freq",),
        keras=("<=2.12.0",),
        what="a KeyError where an epoch is not validated",
    ),
    KnownFault(
        checks=("logs:csv_logger-reused",),
        keras=(">=2.12.0,<=3.9.2",),
        what="columns of the first fit are kept (mended by keras PR #21332)",
    ),
    KnownFault(
        checks=("logs:tensorboard-batches",),
        keras=("<=2.15.0",),
        what="losses of batches are not written; no report of it is known",
    ),
    KnownFault(
        checks=("logs:tensorboard-batches",),
        keras=(">=3.0.2,<=3.6.0",),
        what="losses of all batches are written under step 0 (mended by keras PR #20461)",
    ),
    KnownFault(
        checks=("loss_scale:iterations-fit",),
        keras=(">=3.0.2,<=3.7.0",),
        what="the iterations of a LossScaleOptimizer stay 0 (mended by keras PR #20901)",
    ),
    KnownFault(
        checks=("mixed:state-assigned",),
        keras=(">=3.0.2,<=3.12.4",),
        what="what a layer assigns to its state is rounded to 16 bits (mended by keras PR #21864)",
    ),
    KnownFault(
        checks=("mixed:state-added", "mixed:state-metric"),
        keras=(">=3.0.2,<=3.15.1",),
        what="state is rounded to 16 bits before a layer adds to it: a counter stays at 2049; no report"
        " of it is known",
    ),
    KnownFault(
        checks=("mixed:float64",),
        keras=("<=2.12.0",),
        what="layers inside MultiHeadAttention keep float32",
    ),
    KnownFault(
        checks=("models:metric-of-layer",),
        keras=(">=3.0.2,<=3.0.5",),
        what="metrics of layers are not told",
    ),
    KnownFault(
        checks=("saving:by_name-format:h5",),
        keras=(">=3.0.2,<=3.7.0",),
        what="a ValueError at any file of another model (mended by keras PR #20537)",
    ),
    KnownFault(
        checks=("saving:preprocessing-format:keras",),
        keras=("<=2.15.0",),
        what="bins that were adapted do not come back, and vocabularies cannot be saved in 2.12",
    ),
    KnownFault(
        checks=("schedules:callable",),
        keras=(">=2.12.0,<=3.0.5",),
        what="a callable rate is asked for once, or raises in Keras 3 (mended by keras PR #19484)",
    ),
    KnownFault(
        checks=("calls:trainable-argument",),
        keras=(">=3.0.2,<=3.0.5",),
        what="trainable=False is ignored where a layer is made; no report of it is known",
    ),
    KnownFault(
        checks=("fitting:loss_weights-one_output",),
        keras=(">=3.0.2,<=3.4.1",),
        what="a weight of the loss of an only output raises, as a number or in a list",
    ),
    KnownFault(
        checks=("fitting:weights-both",),
        keras=("==2.15.0",),
        what="weights of both kinds raise where batches of a dataset are of unknown size",
    ),
)
