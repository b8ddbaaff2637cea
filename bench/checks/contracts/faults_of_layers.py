"""Known faults of losses, metrics, layers and products; all are in the module ``known_faults``."""

from __future__ import annotations

from bench.checks.contracts.fault import KnownFault

FAULTS = (
    KnownFault(
        checks=("losses:formula-tversky-alpha:0.25",),
        keras=(">=3.6.0,<=3.15.1",),
        what="alpha and beta are swapped (mended by keras PR #23333)",
    ),
    KnownFault(
        checks=("masks:attention-dot-causal",),
        keras=(">=3.0.2,<=3.0.3",),
        what="a causal mask alone raises (mended by keras PR #19093)",
    ),
    KnownFault(
        checks=("masks:attention-dot-mask", "masks:attention-additive"),
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
        checks=("metrics:iou-axis",),
        keras=(">=3.0.2,<=3.15.1",),
        what="an error where classes do not lie along the last axis (keras #23667)",
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
    KnownFault(
        checks=(
            *("stress:*-inputs:*", "layers:batch_norm-axis:*", "layers:layer_norm-*"),
            "layers:group_norm",
        ),
        keras=("==3.0.2",),
        what="variance as a difference of means, gradients without the mean's part (keras #19072)",
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
    KnownFault(
        checks=("merging:mask-add", "merging:mask-concatenate"),
        keras=(">=3.0.2,<=3.0.5",),
        what="merging layers lose the mask of their inputs (mended by keras PR #19685)",
    ),
    KnownFault(
        checks=("merging:mask-concatenate",),
        keras=(">=3.4.1,<=3.9.2",),
        what="masked inputs of unknown batch size raise (mended by keras PR #21611)",
    ),
    KnownFault(
        checks=("recurrence:recurrent_dropout",),
        keras=(">=3.0.2,<=3.0.5",),
        what="recurrent_dropout drops nothing; no report of it is known",
    ),
    KnownFault(
        checks=("sequences:attention-axes",),
        keras=(">=2.12.0,<=3.9.2",),
        what="negative attention_axes are other axes (mended by keras PR #21721)",
    ),
    KnownFault(
        checks=("mixed:range-GroupNormalization",),
        keras=(">=2.12.0,<=3.6.0",),
        what="squares are taken in float16 (mended by keras PR #20385)",
    ),
    KnownFault(
        checks=("utilities:timeseries_dataset",),
        keras=("==2.12.0",),
        what="with a sampling rate the last window is left out; no report of it is known",
    ),
    KnownFault(
        checks=("preprocessing:normalization-axes",),
        keras=(">=3.9.2,<=3.13.2",),
        what="a mean for each place of a middle axis raises (mended by keras PR #22068)",
    ),
    KnownFault(
        checks=("preprocessing:discretization-modes",),
        keras=(">=3.0.2,<=3.0.5",),
        what="one_hot keeps an axis of one (mended by keras PR #19742)",
    ),
    KnownFault(
        checks=("preprocessing:random_crop",),
        keras=(">=3.6.0,<=3.7.0",),
        what="at inference a window of the target size is cut out; no report of it is known",
    ),
    KnownFault(
        checks=("preprocessing:random_crop",),
        keras=(">=3.9.2,<=3.15.1",),
        what="at inference images stay as large as they are (since keras PR #20650); no report of it is"
        " known",
    ),
    KnownFault(
        checks=("masks:metrics-mask",),
        keras=(">=3.0.2,<=3.9.2",),
        what="masked steps count in metrics (mended by keras PR #21569)",
    ),
    KnownFault(
        checks=("metrics:mean-weights:negative",),
        keras=(">=3.0.2,<=3.0.3",),
        what="a negative sum of weights is taken for 0 (mended by keras PR #19162)",
    ),
    KnownFault(
        checks=("metrics:order",),
        keras=(">=3.0.2,<=3.0.5",),
        what="evaluate sorts metrics by their names (mended by keras PR #19370)",
    ),
    KnownFault(
        checks=("metrics:r2_score-adjusted-outputs",),
        keras=(">=2.15.0,<=3.15.1",),
        what="each output of a sample counts as a sample (mended by keras PR #23334)",
    ),
    KnownFault(
        checks=("recurrence:recurrent_dropout-*",),
        keras=(">=3.0.2,<=3.0.5",),
        what="recurrent_dropout drops nothing (mended by keras PR #19397)",
    ),
    KnownFault(
        checks=("shapes:channels_first",),
        keras=(">=3.0.2,<=3.0.5",),
        what="UpSampling2D, bilinear, resizes the axis of channels",
    ),
    KnownFault(
        checks=("utilities:normalize-axis:0",),
        keras=(">=3.0.2,<=3.15.1",),
        what="lengths of columns divide rows (mended by keras PR #23328)",
    ),
    KnownFault(
        checks=("convolutions:*output_padding:0",),
        keras=(">=3.0.2,<=3.9.2",),
        what="output_padding=0 raises (keras #19909)",
    ),
    KnownFault(
        checks=("functions:sparsemax",),
        keras=(">=3.9.2,<=3.15.1",),
        what="the threshold is that of other sums where several entries are not 0 (keras #23425)",
    ),
    KnownFault(
        checks=("masks:mask-explicit",),
        keras=(">=3.0.2,<=3.9.2",),
        what="the mask of the inputs, not the one given, is passed on (mended by keras PR #21449)",
    ),
    KnownFault(
        checks=("recurrence:conv_lstm-dropout", "recurrence:conv_lstm-recurrent_dropout"),
        keras=(">=2.12.0,<=3.4.1",),
        what="ConvLSTM drops nothing (mended by keras PR #20089)",
    ),
    KnownFault(
        checks=("settings:told-transposed",),
        keras=(">=3.0.2,<=3.14.1",),
        what="output_padding is not in the configuration (mended by keras PR #23014)",
    ),
    KnownFault(
        checks=("settings:told-attention-seed",),
        keras=(">=3.0.2,<=3.14.1",),
        what="the seed is not in the configuration (mended by keras PR #23029)",
    ),
    KnownFault(
        checks=("settings:told-encoding-sparse",),
        keras=(">=3.4.1,<=3.15.1",),
        what="sparse is not in the configuration (mended by keras PR #23375)",
    ),
    # Since Keras 3 tf.keras has a deprecated class of this name (keras/src/legacy/layers.py) beside
    # that of the package keras, whose configuration has it. No issue of keras, tf-keras or tensorflow
    # was found in November 2026, and none of the next one, which Keras 3 does right from the start.
    KnownFault(
        checks=("settings:told-alpha_dropout-noise_shape",),
        keras=(">=2.12.0,<=3.15.1",),
        what="noise_shape is not in the configuration, since Keras 3 of tf.keras alone; no report of "
        "it is known",
    ),
    KnownFault(
        checks=("settings:told-spatial_dropout-data_format",),
        keras=("<=2.15.0",),
        what="data_format is not in the configuration; no report of it is known",
    ),
    KnownFault(
        checks=("augmentation:equalization-batch",),
        keras=(">=3.9.2,<=3.15.1",),
        what="one histogram of all images of a batch; no report of it is known",
    ),
    KnownFault(
        checks=("augmentation:solarization-threshold",),
        keras=(">=3.6.0,<=3.15.1",),
        what="the lower end of a range of thresholds stays a share; no report of it is known",
    ),
    KnownFault(
        checks=("augmentation:grayscale", "augmentation:nothing-RandomGrayscale"),
        keras=("==3.9.2",),
        what="an error for one image",
    ),
    KnownFault(
        checks=("augmentation:masks-interpolation",),
        keras=(">=3.6.0,<=3.13.2",),
        what="labels are interpolated (mended by keras PR #22192)",
    ),
)
