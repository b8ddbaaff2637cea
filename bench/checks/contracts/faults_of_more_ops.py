"""Known faults of ``keras.ops``: algebra, networks, images, control; all are in ``known_faults``."""

from __future__ import annotations

from bench.checks.contracts.fault import KnownFault
from bench.checks.contracts.faults_of_ops import UNREPORTED, of

FAULTS = (
    of(">=3.4.1,<=3.15.1", f"raises, whatever is given; {UNREPORTED}", "vectorize"),
    of(
        ">=3.0.2,<=3.15.1",
        f"several negative axes: other numbers to 3.4.1, an error since; {UNREPORTED}",
        "softmax-axes_negative",
        "log_softmax-axes_negative",
    ),
    of(
        ">=3.0.2,<=3.15.1",
        "the symbol of float64 is float32 (mended by keras PR #23307)",
        "logsumexp-wide-symbols",
    ),
    of(
        ">=3.0.2,<=3.15.1",
        f"the shape of the symbol is that of the last axis; {UNREPORTED}",
        "categorical_crossentropy-axis-symbols",
    ),
    of(
        ">=3.0.2,<=3.15.1",
        f"the symbol has the type of the input; {UNREPORTED}",
        "multi_hot-symbols",
    ),
    of(
        ">=3.0.2,<=3.15.1", "more than two axes raise (mended by keras PR #23232)", "in_top_k-ranks"
    ),
    of(">=3.0.2,<=3.15.1", f"a number without a row raises; {UNREPORTED}", "segment_sum-gap"),
    of(
        ">=3.0.2,<=3.15.1",
        "strides with dilation raise (mended by keras PR #23181)",
        "conv-strides_dilation",
    ),
    of(">=3.0.5,<=3.15.1", f"symbols are real, numbers complex; {UNREPORTED}", "eig-symbols"),
    of(
        ">=3.0.5,<=3.15.1", f"the symbol of the order is a float; {UNREPORTED}", "lu_factor-symbols"
    ),
    of(">=3.0.5,<=3.15.1", f"batches raise; {UNREPORTED}", "lu_factor-batch"),
    of(">=3.4.1,<=3.15.1", f"the symbol of the sign has no batch; {UNREPORTED}", "slogdet-symbols"),
    of(
        ">=3.4.1,<=3.15.1",
        f"axes that are kept raise for norms of singular values; {UNREPORTED}",
        "norm-singular_keepdims",
    ),
    of(
        ">=3.4.1,<=3.15.1",
        f"padded to the shape, uint8 raises; {UNREPORTED}",
        "image.resize-pad_uint8",
    ),
    of(
        ">=3.4.1,<=3.15.1",
        f"outputs of another shape than what is carried raise; {UNREPORTED}",
        "scan-outputs",
    ),
    of(">=3.4.1,<=3.15.1", f"an error in a graph; {UNREPORTED}", "scan-unroll_true"),
    of(
        ">=3.6.0,<=3.15.1",
        f"what is beyond a wide type becomes its other end; {UNREPORTED}",
        "saturate_cast-wide",
    ),
    of(
        ">=3.6.0,<=3.15.1",
        f"fewer heads of keys than of queries raise; {UNREPORTED}",
        "dot_product_attention-grouped",
    ),
    of(">=3.7.0,<=3.15.1", f"matrices raise in a graph; {UNREPORTED}", "inner-sizes-graph"),
    of(
        ">=3.9.2,<=3.15.1",
        f"sums are summed up again: wrong where two entries or more count; {UNREPORTED}",
        "sparsemax",
    ),
    of(">=3.9.2,<=3.15.1", f"symbols are real, numbers complex; {UNREPORTED}", "polar-symbols"),
    of(
        ">=3.9.2,<=3.15.1",
        f"a kernel that is no square is scrambled; {UNREPORTED}",
        "image.gaussian_blur-sizes",
    ),
    of(
        ">=3.9.2,<=3.15.1",
        f"the deviations of height and width are exchanged; {UNREPORTED}",
        "image.gaussian_blur-sigma",
    ),
    of(">=3.12.4,<=3.15.1", f"an error in a graph; {UNREPORTED}", "kron-graph"),
    of(
        ">=3.12.4,<=3.15.1",
        f"symbols of other ranks have another shape; {UNREPORTED}",
        "kron-ranks",
    ),
    of(
        ">=3.13.2,<=3.15.1",
        f"symbols have another rank; {UNREPORTED}",
        "adaptive_average_pool-symbols",
        "adaptive_max_pool-symbols",
    ),
    of(
        ">=3.13.2,<=3.15.1",
        f"a size of 1 raises; {UNREPORTED}",
        "adaptive_average_pool-one",
        "adaptive_max_pool-one",
    ),
    of(">=3.14.0,<=3.15.1", f"the slope at 0 is NaN; {UNREPORTED}", "sinc-slope_zero"),
    of(
        ">=3.15.0,<=3.15.1",
        "integers against floats raise (mended by keras PR #23213)",
        "cdist-kinds",
    ),
    of(">=3.0.2,<=3.7.0", "an error in a graph (mended by keras PR #20879)", "solve"),
    of(">=3.0.2,<=3.0.3", f"vectors raise; {UNREPORTED}", "solve-slope"),
    of(
        ">=3.0.2,<=3.14.1",
        "symbols of vectors keep an axis (mended by keras PR #22994)",
        "matmul-vectors",
        "matmul-scalar",
    ),
    of(
        ">=3.0.2,<=3.13.2",
        "symbols have another shape (mended by keras PR #22587)",
        "cross",
        "cross-sizes",
    ),
    of(">=3.0.2,<=3.13.2", "symbols ignore the length (mended by keras PR #22565)", "istft"),
    of(
        ">=3.0.2,<=3.13.2",
        "several axes: other numbers to 3.4.1, an error in a graph since (mended by keras PR #22322)",
        "softmax-axes",
        "log_softmax-axes",
    ),
    of(
        ">=3.0.2,<=3.9.2",
        "one axis of symbols raises (mended by keras PR #21428)",
        "logsumexp-axis",
    ),
    of(
        ">=3.0.2,<=3.4.1",
        "booleans raise (mended by keras PR #19972)",
        "one_hot-bool",
        "multi_hot-bool",
    ),
    of(
        ">=3.0.2,<=3.14.1",
        "a number without a row raises (mended by keras PR #22804)",
        "segment_max-gap",
    ),
    of(">=3.0.2,<=3.0.5", "symbols are int32 (mended by keras PR #19611)", "ctc_loss"),
    of(
        ">=3.0.2,<=3.14.1",
        "strides with dilation give other numbers (mended by keras PR #23027)",
        "depthwise_conv-*d_strides_dilation",
        "separable_conv-*d_strides_dilation",
    ),
    of(
        ">=3.0.2,<=3.0.5",
        f"the symbol of one image with channels first has another shape; {UNREPORTED}",
        "image.resize-ranks",
    ),
    of(
        ">=3.0.2,<=3.4.1",
        "levels are cut, not rounded (mended by keras PR #20213)",
        "image.resize-uint8",
    ),
    of(
        ">=3.0.2,<=3.0.5",
        f"an error in a graph; {UNREPORTED}",
        "image.map_coordinates",
        "image.map_coordinates-uint8",
        "image.map_coordinates-nearest",
        "image.map_coordinates-wrap",
    ),
    of(
        ">=3.0.2,<=3.7.0",
        "places far outside raise (mended by keras PR #20768)",
        "image.map_coordinates-constant",
    ),
    of(">=3.0.2,<=3.13.2", "no strides raise (mended by keras PR #21959)", "image.extract_patches"),
    of(
        ">=3.0.2,<=3.0.3",
        "a list, or one variable, raises (mended by keras PR #19135)",
        "while_loop",
        "while_loop-one",
    ),
    of(
        ">=3.0.2,<=3.9.2",
        "symbols raise (mended by keras PR #21466)",
        "while_loop-symbols",
        "while_loop-one-symbols",
    ),
    of(
        ">=3.0.2,<=3.9.2",
        "symbols raise (mended by keras PR #21516)",
        "vectorized_map-symbols",
        "vectorized_map-tuple-symbols",
    ),
    of(">=3.4.1,<=3.9.2", f"symbols of tuples raise; {UNREPORTED}", "map-tuple-symbols"),
    of(
        ">=3.0.2,<=3.6.0",
        "floats for an integer type raise (mended by keras PR #20513)",
        "convert_to_tensor-given",
    ),
    of(">=3.0.2,<=3.6.0", "symbols raise (mended by keras PR #20539)", "convert_to_tensor-symbols"),
    of(">=3.0.2,<=3.4.1", "symbols raise (mended by keras PR #20125)", "stop_gradient-symbols"),
    of(
        ">=3.0.2,<=3.9.2",
        "a size of -1 of symbols raises (mended by keras PR #21501)",
        "slice-rest-symbols",
    ),
    of("==3.0.2", f"the slope of the variance is wrong; {UNREPORTED}", "moments-slope"),
    of(">=3.0.5,<=3.4.1", "values alone raise (mended by keras PR #20122)", "svd-values"),
    of(
        ">=3.0.5,<=3.9.2",
        "symbols of negative axes have another shape (mended by keras PR #21650)",
        "norm-matrix_negative",
        "norm-singular_negative",
    ),
    of(
        ">=3.0.5,<=3.4.1",
        "two axes: divided by the norm of a matrix (mended by keras PR #20196)",
        "normalize-axes",
    ),
    of("==3.4.1", "an error in a graph (mended by keras PR #20280)", "trace"),
    of("==3.4.1", "an error in a graph (mended by keras PR #20008)", "conv-3d_first"),
    of(
        "==3.6.0",
        "logits are squared, not scaled (mended by keras PR #20510)",
        "dot_product_attention",
        "dot_product_attention-causal",
        "dot_product_attention-mask",
        "dot_product_attention-bias",
        "dot_product_attention-slope",
    ),
    of(
        ">=3.6.0,<=3.13.2",
        "endless recursion in graphs and of symbols (mended by keras PR #22072)",
        "associative_scan",
        "associative_scan-graph",
        "associative_scan-order-graph",
        "associative_scan-axis-graph",
    ),
    of(
        ">=3.7.0,<=3.14.1",
        "symbols have another shape (mended by keras PR #22989)",
        "inner-matrices",
        "inner-sizes",
    ),
    of(">=3.7.0,<=3.9.2", "the symbol is not halved (mended by keras PR #21696)", "glu"),
    of("==3.13.2", "an empty batch raises (mended by keras PR #22564)", "conv-empty"),
    KnownFault(
        checks=("ops:image.map_coordinates-mirror", "ops:image.map_coordinates-reflect"),
        keras=(">=3.0.2,<=3.0.5", ">=3.9.2,<=3.15.1"),
        what=f"an error in a graph; since 3.9 mirrored places raise, or are others; {UNREPORTED}",
    ),
    KnownFault(
        checks=("ops:conv-empty_filters",),
        keras=(">=3.0.2,<=3.15.1",),
        what=f"an empty batch has the channels of the input where oneDNN computes; {UNREPORTED}",
        always=False,
    ),
)
