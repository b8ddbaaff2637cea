"""What theory predicts for one network, in words, numbers and a figure: ``bench theory``."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pandas as pd

from bench.cells import recurrent
from bench.cells.cell import Cell
from bench.errors import BenchError
from bench.report import theory_over_time
from bench.report.document import Table
from bench.report.figures.curves import CRITICAL, Curve, curves_picture, predicted_lines
from bench.report.figures.picture import Picture
from bench.report.markdown import markdown
from bench.report.markup import code, strong
from bench.report.text import NOTHING, as_json, significant
from bench.theory.signal.meanfield import Prediction, predict, why_not
from bench.theory.signal.predicted import exp, silent

#: Layers that the table shows of each end of a deep network.
_ENDS = 5

_PHASES = {
    "ordered": "ordered: gradients vanish in a network that is deep enough",
    "critical": "critical: no exponential rate, though a power of the depth may remain",
    "chaotic": "chaotic: gradients explode in a network that is deep enough",
}
_HEADERS = (
    "layer",
    "q",
    code("E[phi^2]"),
    "chi",
    "signal, layer/last",
    "kernel gradient, layer/last",
    "one seed, measured/predicted",
)
_LEGEND = (
    f"q: mean square of the activation's input. {code('E[phi^2]')}: second moment of its output. "
    "chi: signal of this layer over the next layer's. Signal: variance of the loss gradient at the "
    "activation's input; kernel gradient: variance of one example's gradient of the weights. One seed: "
    "how finite width moves its signal ratio: typical factor, ×÷ one standard deviation."
)


def prediction_of(cell: Cell) -> Prediction:
    """The prediction for a cell.

    Raises:
        BenchError: there is none; says why.
    """
    prediction = predict(cell)
    if prediction is None or not prediction.signal:
        why = why_not(cell) or "there is no hidden layer"
        raise BenchError(
            f"{cell.id() or 'the default network'}: no prediction: {why}",
            hint="`bench theory --help` lists what a network can be made of",
        )
    return prediction


def theory_text(cell: Cell, *, form: str = "markdown", all_layers: bool = False) -> str:
    """What ``bench theory`` prints.

    Args:
        cell: the network; what acts after step 0 (optimizer, clipping, ...) changes nothing.
        form: ``markdown``, ``csv`` (the table) or ``json`` (everything).
        all_layers: in Markdown also the layers in the middle of a deep network.

    Raises:
        BenchError: there is no prediction for this cell.
    """
    if cell.architecture in recurrent.ARCHITECTURES:
        return theory_over_time.text(cell, form=form)
    prediction = prediction_of(cell)
    layers = [_values(prediction, layer) for layer in range(len(prediction.signal))]
    if form == "csv":
        return pd.DataFrame(layers).to_csv(index=False, lineterminator="\n")
    if form == "json":
        return as_json(
            {
                "cell": msgspec.to_builtins(cell),
                "headline": headline(cell, prediction),
                "signal_ratio": prediction.signal_ratio,
                "fixed_point": prediction.fixed_point,
                "chi_fixed": prediction.chi_fixed,
                "phase": prediction.phase,
                "layers": layers,
            }
        )
    why = silent(cell)
    return markdown(
        [
            strong(f"{headline(cell, prediction)}."),
            f"{code(_called(cell))}. {_fixed_point(prediction)}{_at_this_width(cell, prediction)}",
            Table(_HEADERS, _rows(prediction, all_layers=all_layers), "rrrrrrr"),
            _LEGEND,
            f"Measurements are not held against this: {why}." if why else None,
        ]
    )


def headline(cell: Cell, prediction: Prediction) -> str:
    """``Vanishing: ...``: what happens to the gradient on its way back through this network.

    The words are those of the figures' regions. A change by less than a factor e is called critical
    only where it stays so however deep the network is.
    """
    ratio, steps = prediction.signal_ratio, cell.depth - 1
    if steps < 1:
        return "One hidden layer: there is no way back along which a gradient could vanish"
    if ratio is None:
        return "Dead: zero weights pass no gradient back at all"
    if ratio > CRITICAL:
        word = "Exploding"
    elif ratio < 1 / CRITICAL:
        word = "Vanishing"
    else:
        word = "Critical" if prediction.phase == "critical" else "Nearly kept"
    per_layer = significant(ratio ** (1 / steps))
    text = f"{word}: on its way back the signal is multiplied by {per_layer} per layer"
    return f"{text}, from layer {cell.depth} to layer 1 by {significant(ratio)}"


def _at_this_width(cell: Cell, prediction: Prediction) -> str:
    """What seeds of this width are held against, since the ratio is that of infinite width."""
    if prediction.signal_ratio is None or cell.depth < 2 or silent(cell):
        return ""
    typical, spread = exp(prediction.log_bias[0]), exp(prediction.log_std[0])
    expected = significant(prediction.signal_ratio * typical)
    return (
        f" That is at infinite width. At width {cell.width} a typical seed has {typical:.3g} times the "
        f"ratio, {expected}, ×÷ {spread:.2f}; {code('bench show')} compares with this."
    )


def _called(cell: Cell) -> str:
    return cell.id(("depth", "arch", "width", "act", "init", "bias", "norm"))


def _fixed_point(prediction: Prediction) -> str:
    chi, phase = prediction.chi_fixed, prediction.phase
    where = f"Fixed point {code('q*')} = {significant(prediction.fixed_point)}"
    if prediction.fixed_point == math.inf:
        where = "No fixed point, q grows without bound"
    text = f"{where}; chi tends to {significant(chi, 4)} per layer, {_PHASES[phase]}"
    if phase == "critical" or not 0 < chi < math.inf:
        return f"{text}."
    return f"{text}, by a factor e every {significant(1 / abs(math.log(chi)))} layers."


def _rows(prediction: Prediction, *, all_layers: bool) -> list[list[str]]:
    layers = len(prediction.signal)
    shown = list(range(layers))
    if layers > 2 * _ENDS + 2 and not all_layers:
        shown = [*range(_ENDS), -1, *range(layers - _ENDS, layers)]
    return [["…"] * len(_HEADERS) if layer < 0 else _row(prediction, layer) for layer in shown]


def _row(prediction: Prediction, layer: int) -> list[str]:
    values = _values(prediction, layer)
    typical, factor = (exp(values.pop(name)) for name in ("log_bias", "log_std"))
    del values["log_error"]
    texts = [NOTHING if _absent(value) else f"{value:.4g}" for value in values.values()]
    return [*texts, f"{typical:.2f} ×÷ {factor:.2f}"]


def _absent(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _values(prediction: Prediction, layer: int) -> dict[str, Any]:
    """One line of the table; ``layer`` counts from 0."""
    return {
        "layer": layer + 1,
        "pre_activation": prediction.pre_activation[layer],
        "activation": prediction.activation[layer],
        "chi": prediction.chi[layer] if layer < len(prediction.chi) else None,
        "signal": prediction.signal[layer],
        "kernel_gradient": prediction.kernel_gradient[layer],
        "log_bias": prediction.log_bias[layer],
        "log_std": prediction.log_std[layer],
        "log_error": prediction.log_error[layer],
    }


def theory_picture(cell: Cell) -> Picture:
    """The prediction as a figure of one panel, its band that of one seed.

    Raises:
        BenchError: there is none, or nothing to draw: a single hidden layer or step in time.
    """
    if cell.architecture in recurrent.ARCHITECTURES:
        return theory_over_time.picture(cell)
    prediction_of(cell)
    if cell.depth < 2:
        raise BenchError("--plot: one hidden layer is one point", hint="draw --depth 2 or more")
    curve = Curve(cell, predicted_lines(cell, seeds=1), ())
    heading = "Predicted gradient signal at step 0; band: one seed"
    return curves_picture("theory", heading, {_called(cell).replace("-", " "): [curve]})
