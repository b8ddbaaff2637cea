"""Floating-point formats, and bounds on the rounding errors of sums and of functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: 2 exp(-LAMBDA^2 / 2) = 2.5e-14: one false alarm in a million runs that each check 4e7 sums.
LAMBDA = 8.0


@dataclass(frozen=True)
class Format:
    """A floating-point format and how sums are added up in it.

    Args:
        name: TensorFlow's name.
        roundoff: unit roundoff u: half the distance from 1 to the next number.
        smallest: smallest normal number; smaller ones may be flushed to 0.
        largest: largest finite number.
        factor_roundoff: u of the format to which the factors of a matrix product are rounded before
            they are multiplied; 0 where they are not.
        sum_roundoff: u of the format in which products are added up.
    """

    name: str
    roundoff: float
    smallest: float
    largest: float
    factor_roundoff: float
    sum_roundoff: float

    def spacing(self, value: float) -> float:
        """Unit in the last place of ``value``."""
        size = max(abs(value), self.smallest)
        return 2.0 * self.roundoff * float(2.0 ** np.floor(np.log2(size)))

    def rounds(self, constant: float) -> float:
        """Bound on the distance of a constant from the nearest number of the format."""
        scaled = constant / self.spacing(constant)
        return 0.0 if scaled == np.rint(scaled) else self.roundoff * abs(constant)


FLOAT64 = Format("float64", 2.0**-53, 2.0**-1022, np.finfo(np.float64).max, 0.0, 2.0**-53)
FLOAT32 = Format("float32", 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max), 0.0, 2.0**-24)
#: float32 whose matrix products first round their factors to 10 bits: NVIDIA's TF32.
TF32 = Format("float32", 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max), 2.0**-11, 2.0**-24)
#: The 16-bit formats of mixed precision. Products are added up in float32 by oneDNN and cuBLAS, but
#: Eigen's and XLA's partial sums may be stored in 16 bits: the larger error is what is allowed.
BFLOAT16 = Format("bfloat16", 2.0**-8, 2.0**-126, 3.3895313892515355e38, 0.0, 2.0**-8)
FLOAT16 = Format("float16", 2.0**-11, 2.0**-14, 65504.0, 0.0, 2.0**-11)

#: The format in which hidden layers compute, by a cell's precision.
OF_PRECISION: Mapping[str, Format] = {
    "float32": FLOAT32,
    "float64": FLOAT64,
    "mixed_bfloat16": BFLOAT16,
    "mixed_float16": FLOAT16,
}

#: Largest error of a library's elementary function, in units in the last place: what the OpenCL C
#: specification (version 3.0, section 7.4, single precision, full profile) grants.
ULPS = {
    "sqrt": 3.0,
    "exp": 3.0,
    "expm1": 3.0,
    "log": 3.0,
    "log1p": 2.0,
    "tanh": 5.0,
    "erf": 16.0,
    "power": 16.0,
    "divide": 2.5,
}


def sum_growth(terms: int) -> float:
    """Largest error of a sum, in roundoffs of sum|terms|, in whatever order it is added up.

    n - 1 at worst (Higham 2002, eq. 4.4). Errors that are independent with mean 0 give LAMBDA sqrt(n),
    except with probability 2 exp(-LAMBDA^2 / 2) (Higham and Mary 2019, theorem 2.4).
    """
    return min(max(terms - 1.0, 0.0), LAMBDA * float(np.sqrt(terms)))
