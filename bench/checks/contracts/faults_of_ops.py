"""Known faults of ``keras.ops``; all are in the module ``known_faults``."""

from __future__ import annotations

from bench.checks.contracts.fault import KnownFault

_UNREPORTED = "no report of it is known"


def _of(versions: str, what: str, *subjects: str) -> KnownFault:
    """A fault of some functions, in a range of versions of Keras."""
    checks = tuple(f"ops:{subject}" for subject in subjects)
    return KnownFault(checks=checks, keras=(versions,), what=what)


FAULTS = (
    # --- Entry by entry
    _of(
        ">=3.6.0,<=3.15.1",
        "a symbol and a number raise (mended by keras PR #23429)",
        *("bitwise_and-symbols", "bitwise_or-symbols", "bitwise_xor-symbols"),
    ),
    _of(
        ">=3.12.4,<=3.15.1",
        f"a symbol and a number make int64, the numbers int32; {_UNREPORTED}",
        *("gcd-symbols", "lcm-symbols"),
    ),
    _of(
        ">=3.12.4,<=3.15.1",
        f"the symbol of a complex array's angle is complex; {_UNREPORTED}",
        "angle-complex-symbols",
    ),
    _of(">=3.12.4,<=3.15.1", f"a number of NaN; {_UNREPORTED}", "heaviside-nan"),
    _of(">=3.12.4,<=3.15.1", "NaN of infinities (mended by keras PR #23157)", "hypot-infinite"),
    _of(
        ">=3.0.2,<=3.15.1",
        "equal infinities are told apart (mended by keras PR #23136)",
        "isclose-infinite",
    ),
    _of(
        ">=3.14.0,<=3.15.1",
        f"the next float64, rounded to float32: the number itself; {_UNREPORTED}",
        "nextafter",
    ),
    _of("<=3.0.2", "an error", "round"),
    _of(">=3.0.2,<=3.0.5", "an error", "nan_to_num"),
    # --- Made and moved
    _of(
        ">=3.6.0,<=3.15.1",
        f"columns of the diagonal are added to an array that is tall; {_UNREPORTED}",
        "eye-tall",
    ),
    _of(
        ">=3.12.4,<=3.13.2",
        "NaN of a length of 1 (mended by keras PR #22545)",
        *("blackman", "blackman-graph"),
    ),
    _of(">=3.12.4,<=3.15.1", f"an error in a graph; {_UNREPORTED}", "bartlett-graph"),
    _of(
        ">=3.0.2,<=3.0.5",
        "several axes raise (mended by keras PR #19252)",
        *("expand_dims-axes", "squeeze-axes"),
    ),
    _of(">=3.0.2,<=3.13.2", "several axes raise (mended by keras PR #22548)", "flip-axes"),
    _of(
        ">=3.0.2,<=3.15.1",
        f"one width for all sides raises unless zeros are padded; {_UNREPORTED}",
        "pad-number",
    ),
    _of(
        ">=3.0.2,<=3.15.1",
        "a shift for several axes, or several for one, raises (mended by keras PR #23242)",
        "roll-broadcast",
    ),
    _of("==3.0.2", "entries below the diagonal stay (mended by keras PR #19046)", "triu"),
    _of(">=3.6.0,<=3.7.0", "an error in a graph (mended by keras PR #20900)", *("tril", "triu")),
    # --- Found and chosen
    _of(
        ">=3.4.1,<=3.13.2",
        "symbols lose the axis that is kept (mended by keras PRs #22524, #22563)",
        *("argmax-keepdims", "argmin-keepdims"),
    ),
    _of(">=3.0.2,<=3.15.1", f"an error in a graph; {_UNREPORTED}", "digitize-graph"),
    _of(">=3.12.4,<=3.15.1", f"an error in a graph; {_UNREPORTED}", "isin-graph"),
    _of(">=3.0.2,<=3.0.5", "symbols raise", "nonzero"),
    _of(">=3.6.0,<=3.9.2", "an error in a graph (mended by keras PR #21652)", "searchsorted"),
    _of(
        ">=3.6.0,<=3.15.1",
        "values with two axes raise (mended by keras PR #23436)",
        "searchsorted-rows",
    ),
    _of(
        ">=3.4.1,<=3.15.1",
        "the symbol has the shape of the first choice (mended by keras PR #23265)",
        "select-broadcast-symbols",
    ),
    _of(">=3.0.2,<=3.13.2", "no axis raises (mended by keras PR #22544)", "sort-flat"),
    _of(">=3.0.2,<=3.0.5", "negative places give other entries", "take"),
    _of(
        ">=3.9.2,<=3.15.1",
        "the coordinates come in reverse order (mended by keras PR #23434)",
        "unravel_index-grid",
    ),
    # --- Summed and combined
    _of(">=3.0.2,<=3.15.1", f"symbols of weights raise; {_UNREPORTED}", "bincount-weights-symbols"),
    _of(
        ">=3.12.4,<=3.15.1",
        f"the symbol has the shape of the data; {_UNREPORTED}",
        "corrcoef-symbols",
    ),
    _of(
        ">=3.12.4,<=3.15.1",
        f"an error in a graph; {_UNREPORTED}",
        *("corrcoef-graph", "kron-graph"),
    ),
    _of(">=3.0.2,<=3.13.2", "symbols have another shape (mended by keras PR #22587)", "cross"),
    _of(">=3.6.0,<=3.9.2", "an error in a graph (mended by keras PR #21729)", "histogram"),
    _of(
        ">=3.7.0,<=3.14.1",
        "the symbol of matrices has no axes (mended by keras PR #22989)",
        "inner",
    ),
    _of(">=3.7.0,<=3.15.1", f"matrices raise in a graph; {_UNREPORTED}", "inner-graph"),
    _of(
        ">=3.0.2,<=3.9.2",
        "one axis of symbols raises (mended by keras PR #21428)",
        *("logsumexp", "moments"),
    ),
    _of(
        ">=3.14.0,<=3.15.1",
        "infinities become the largest number (mended by keras PRs #23134, #23135)",
        *("nancumprod-infinite", "nancumsum-infinite"),
    ),
    _of(
        ">=3.14.0,<=3.15.1",
        f"an error in a graph; {_UNREPORTED}",
        *("nanmedian-graph", "nanquantile-graph", "nanquantile-list-graph"),
    ),
    _of(">=3.15.0,<=3.15.1", f"an error in a graph; {_UNREPORTED}", "nanpercentile-graph"),
    _of(
        ">=3.0.2,<=3.9.2",
        "several levels raise in a graph (mended by keras PR #21784)",
        *("quantile", "quantile-list-graph"),
    ),
    _of(
        ">=3.0.2,<=3.13.2",
        "symbols have another shape (mended by keras PR #22590)",
        "quantile-list",
    ),
    _of("==3.4.1", "an error in a graph", "trace"),
)
