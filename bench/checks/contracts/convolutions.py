"""Convolutions and pooling: outputs and all gradients against their formulas."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.checks.contracts import layered
from bench.checks.contracts.contract import Catalogue
from bench.checks.contracts.layered import made
from bench.checks.lab import AbsentError
from bench.theory.oracle import formulas
from bench.theory.oracle.formulas import given, grid
from bench.theory.oracle.tape import Traced

catalogue = Catalogue("convolutions")
checks, run = catalogue.checks, catalogue.run
layer_contract = functools.partial(layered.layer_contract, catalogue)

_SIZES = {1: (11,), 2: (7, 6), 3: (4, 5, 4)}
_KERNEL = {1: (3,), 2: (3, 2), 3: (2, 3, 2)}
#: Part of the error of versions that cannot dilate with strides.
_BOTH = "in conjunction with `dilation_rate > 1`"


def _convolution(rank: int, name: str, *, groups: int = 1, **options: Any) -> None:
    sizes, kernel = _SIZES[rank], _KERNEL[rank]
    tables = grid(
        *(sizes, kernel),
        stride=options.get("strides", 1),
        dilation=options.get("dilation_rate", 1),
        padding=options.get("padding", "valid"),
    )

    def formula(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        return formulas.correlated(inputs[0], weights[0], tables, groups) + weights[1]

    given_options = {"filters": 4, "kernel_size": kernel, "groups": groups, **options}
    layer_contract(f"conv{rank}d-{name}", f"Conv{rank}D", [(2, *sizes, 4)], formula, given_options)


for _rank in (1, 2, 3):
    _convolution(_rank, "valid")
    _convolution(_rank, "same", padding="same")
    _convolution(_rank, "strides:2", strides=2, padding="same")
    _convolution(_rank, "dilation:2", dilation_rate=2, padding="same")
_convolution(1, "causal", padding="causal", dilation_rate=2)
_convolution(1, "groups:2", groups=2)
_convolution(2, "groups:2", groups=2)
_convolution(2, "strides:2.1", strides=(2, 1))


def _dilated(name: str, **options: Any) -> Any:
    """A layer that some versions do not make with strides and dilation.

    Raises:
        AbsentError: this one does not.
    """
    try:
        return made(name, **options)
    except ValueError as error:
        if _BOTH in str(error):
            raise AbsentError(str(error)) from error
        raise


def _depthwise(rank: int, padding: str, stride: int, dilation: int = 1) -> None:
    sizes, kernel = _SIZES[rank], _KERNEL[rank]
    tables = grid(sizes, kernel, stride=stride, dilation=dilation, padding=padding)
    options = {"kernel_size": kernel, "depth_multiplier": 2, "padding": padding, "strides": stride}
    name = f"{padding}-strides:{stride}"
    if dilation > 1:
        options["dilation_rate"] = dilation
        name = f"{padding}{f'-strides:{stride}' if stride > 1 else ''}-dilation:{dilation}"

    def depthwise(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        return formulas.depthwise(inputs[0], weights[0], tables) + weights[1]

    def separable(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        seen = formulas.depthwise(inputs[0], weights[0], tables)
        return seen @ weights[1].reshape(*weights[1].shape[-2:]) + weights[2]

    shapes = [(2, *sizes, 3)]
    layer_contract(
        *(f"depthwise_conv{rank}d-{name}", f"DepthwiseConv{rank}D", shapes, depthwise, options),
        make=_dilated,
    )
    layer_contract(
        *(f"separable_conv{rank}d-{name}", f"SeparableConv{rank}D", shapes, separable),
        {"filters": 5, **options},
        make=_dilated,
    )


def _transposed(rank: int, padding: str, stride: int, more: int | None = None) -> None:
    sizes = _SIZES[rank]
    # Of "same" padding and an even kernel, output_padding 0 fits no strides.
    kernel = _KERNEL[rank] if more is None else (3,) * rank
    tables = [given(size, k, stride, padding, more) for size, k in zip(sizes, kernel, strict=True)]

    def formula(inputs: Sequence[Traced], weights: Sequence[Traced]) -> Traced:
        swapped = weights[0].transpose(*range(rank), rank + 1, rank)
        return formulas.correlated(inputs[0], swapped, tables) + weights[1]

    options = {} if more is None else {"output_padding": more}
    layer_contract(
        f"conv{rank}d_transpose-{padding}-strides:{stride}"
        + ("" if more is None else f"-output_padding:{more}"),
        *(f"Conv{rank}DTranspose", [(2, *sizes, 3)], formula),
        {"filters": 4, "kernel_size": kernel, "padding": padding, "strides": stride, **options},
    )


def _pool(rank: int, kind: str, padding: str, stride: int = 2) -> None:
    sizes = _SIZES[rank]
    tables = grid(sizes, (3,) * rank, stride=stride, padding=padding)

    def formula(inputs: Sequence[Traced], _: Sequence[Traced]) -> Traced:
        return formulas.pooled(inputs[0], tables, largest=kind == "Max")

    layer_contract(
        f"{kind.lower()}_pool{rank}d-{padding}{'-strides:default' if stride == 3 else ''}",
        *(f"{kind}Pooling{rank}D", [(2, *sizes, 3)], formula),
        {"pool_size": 3, "strides": None if stride == 3 else stride, "padding": padding},
    )


def _shared_out(size: int, target: int) -> npt.NDArray[np.intp]:
    """Which of ``size`` places belong to each of ``target`` bins, -1 else: those that the bin's part
    of the whole length touches."""
    bins, place = np.arange(target)[:, None], np.arange(size)
    inside = (place >= bins * size // target) & (place < -(-(bins + 1) * size // target))
    return np.where(inside, place, -1)


def _adaptive(rank: int, kind: str) -> None:
    sizes, targets = _SIZES[rank], (4, 5, 3)[:rank]
    tables = [_shared_out(*pair) for pair in zip(sizes, targets, strict=True)]

    def formula(inputs: Sequence[Traced], _: Sequence[Traced]) -> Traced:
        return formulas.pooled(inputs[0], tables, largest=kind == "Max")

    layer_contract(
        f"adaptive_{kind[:3].lower()}{rank}d",
        *(f"Adaptive{kind}Pooling{rank}D", [(2, *sizes, 3)], formula),
        {"output_size": targets[0] if rank == 1 else targets},
        truth="Outputs and gradients are those of the bins' parts.",
    )


for _rank in (1, 2):
    for _padding, _stride in (("valid", 1), ("same", 2)):
        _depthwise(_rank, _padding, _stride)
    for _padding, _stride in (("same", 1), ("same", 2), ("valid", 2)):
        _depthwise(_rank, _padding, _stride, dilation=2)
for _rank in (1, 2, 3):
    for _padding, _stride in (("valid", 1), ("same", 2), ("valid", 3)):
        _transposed(_rank, _padding, _stride)
    for _padding, _stride, _more in (("same", 2, 0), ("same", 2, 1), ("valid", 3, 2)):
        _transposed(_rank, _padding, _stride, _more)
    for _padding in ("valid", "same"):
        for _kind in ("Max", "Average"):
            _pool(_rank, _kind, _padding)
    for _kind in ("Max", "Average"):
        _adaptive(_rank, _kind)
for _kind in ("Max", "Average"):
    _pool(2, _kind, "same", stride=3)
layer_contract(
    *("global_average_pool2d", "GlobalAveragePooling2D", [(2, 7, 6, 3)]),
    lambda inputs, _: inputs[0].mean((1, 2)),
)
layer_contract(
    *("global_max_pool2d", "GlobalMaxPooling2D", [(2, 7, 6, 3)]),
    lambda inputs, _: inputs[0].reshape(2, 42, 3).max(1),
)
