"""Known faults of ``keras.ops``: entry by entry, arrays, sums; all are in ``known_faults``."""

from __future__ import annotations

from bench.checks.contracts.fault import KnownFault

UNREPORTED = "no report of it is known"


def of(versions: str, what: str, *subjects: str) -> KnownFault:
    """A fault of some functions, in a range of versions of Keras."""
    checks = tuple(f"ops:{subject}" for subject in subjects)
    return KnownFault(checks=checks, keras=(versions,), what=what)


FAULTS = (
    # --- Entry by entry
    of(
        ">=3.6.0,<=3.15.1",
        "a symbol and a number raise (mended by keras PR #23429)",
        *("bitwise_and-symbols", "bitwise_or-symbols", "bitwise_xor-symbols"),
    ),
    of(
        ">=3.12.4,<=3.15.1",
        f"a symbol and a number make int64, the numbers int32; {UNREPORTED}",
        *("gcd-symbols", "lcm-symbols"),
    ),
    of(
        ">=3.12.4,<=3.15.1",
        f"the symbol of a complex array's angle is complex; {UNREPORTED}",
        "angle-complex-symbols",
    ),
    of(">=3.12.4,<=3.15.1", f"a number of NaN; {UNREPORTED}", "heaviside-nan"),
    of(">=3.12.4,<=3.15.1", "NaN of infinities (mended by keras PR #23157)", "hypot-infinite"),
    of(
        ">=3.0.2,<=3.15.1",
        "equal infinities are told apart (mended by keras PR #23136)",
        "isclose-infinite",
    ),
    of(
        ">=3.14.0,<=3.15.1",
        f"the next float64, rounded to float32: the number itself; {UNREPORTED}",
        "nextafter",
    ),
    of("<=3.0.2", "an error", "round"),
    of(">=3.0.2,<=3.0.5", "an error", "nan_to_num"),
    # --- Made and moved
    of(
        ">=3.6.0,<=3.15.1",
        f"columns of the diagonal are added to an array that is tall; {UNREPORTED}",
        "eye-tall",
    ),
    of(
        ">=3.12.4,<=3.13.2",
        "NaN of a length of 1 (mended by keras PR #22545)",
        *("blackman", "blackman-graph"),
    ),
    of(">=3.12.4,<=3.15.1", f"an error in a graph; {UNREPORTED}", "bartlett-graph"),
    of(
        ">=3.0.2,<=3.0.5",
        "several axes raise (mended by keras PR #19252)",
        *("expand_dims-axes", "squeeze-axes"),
    ),
    of(">=3.0.2,<=3.13.2", "several axes raise (mended by keras PR #22548)", "flip-axes"),
    of(
        ">=3.0.2,<=3.15.1",
        f"one width for all sides raises unless zeros are padded; {UNREPORTED}",
        "pad-number",
    ),
    of(
        ">=3.0.2,<=3.15.1",
        "a shift for several axes, or several for one, raises (mended by keras PR #23242)",
        "roll-broadcast",
    ),
    of("==3.0.2", "entries below the diagonal stay (mended by keras PR #19046)", "triu"),
    of(">=3.6.0,<=3.7.0", "an error in a graph (mended by keras PR #20900)", *("tril", "triu")),
    # --- Found and chosen
    of(
        ">=3.4.1,<=3.13.2",
        "symbols lose the axis that is kept (mended by keras PRs #22524, #22563)",
        *("argmax-keepdims", "argmin-keepdims"),
    ),
    of(">=3.0.2,<=3.15.1", f"an error in a graph; {UNREPORTED}", "digitize-graph"),
    of(">=3.12.4,<=3.15.1", f"an error in a graph; {UNREPORTED}", "isin-graph"),
    of(">=3.0.2,<=3.0.5", "symbols raise", "nonzero"),
    of(">=3.6.0,<=3.9.2", "an error in a graph (mended by keras PR #21652)", "searchsorted"),
    of(
        ">=3.6.0,<=3.15.1",
        "values with two axes raise (mended by keras PR #23436)",
        "searchsorted-rows",
    ),
    of(
        ">=3.4.1,<=3.15.1",
        "the symbol has the shape of the first choice (mended by keras PR #23265)",
        "select-broadcast-symbols",
    ),
    of(">=3.0.2,<=3.13.2", "no axis raises (mended by keras PR #22544)", "sort-flat"),
    of(">=3.0.2,<=3.0.5", "negative places give other entries", "take"),
    of(
        ">=3.9.2,<=3.15.1",
        "the coordinates come in reverse order (mended by keras PR #23434)",
        "unravel_index-grid",
    ),
    # --- Summed and combined
    of(">=3.0.2,<=3.15.1", f"symbols of weights raise; {UNREPORTED}", "bincount-weights-symbols"),
    of(
        ">=3.12.4,<=3.15.1",
        f"the symbol has the shape of the data; {UNREPORTED}",
        "corrcoef-symbols",
    ),
    of(
        ">=3.12.4,<=3.15.1",
        f"an error in a graph; {UNREPORTED}",
        "corrcoef-graph",
    ),
    of(">=3.6.0,<=3.9.2", "an error in a graph (mended by keras PR #21729)", "histogram"),
    of(
        ">=3.14.0,<=3.15.1",
        "infinities become the largest number (mended by keras PRs #23134, #23135)",
        *("nancumprod-infinite", "nancumsum-infinite"),
    ),
    of(
        ">=3.14.0,<=3.15.1",
        f"an error in a graph; {UNREPORTED}",
        *("nanmedian-graph", "nanquantile-graph", "nanquantile-list-graph"),
    ),
    of(">=3.15.0,<=3.15.1", f"an error in a graph; {UNREPORTED}", "nanpercentile-graph"),
    of(
        ">=3.0.2,<=3.9.2",
        "several levels raise in a graph (mended by keras PR #21784)",
        *("quantile", "quantile-list-graph"),
    ),
    of(
        ">=3.0.2,<=3.13.2",
        "symbols have another shape (mended by keras PR #22590)",
        "quantile-list",
    ),
)
