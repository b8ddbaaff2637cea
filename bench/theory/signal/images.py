"""Statistics of MNIST's 60,000 training images, pixels brought to 0..1, for mean-field theory.

Weights that are drawn isotropically see of the images only lengths and angles. Recomputed from the
images by ``tests/theory/signal/test_meanfield.py`` where MNIST is at hand.
"""

from __future__ import annotations

#: |x|^2: means of 16 groups of equal size, by size. The mean of all is 87.81.
MNIST_SQUARED_NORMS = (
    36.22, 48.08, 55.53, 61.61, 67.09, 72.2, 77.2, 82.12,
    87.21, 92.35, 97.97, 104.11, 111.25, 120.2, 132.31, 159.51,
)  # fmt: skip

#: Mean over the images of the squared norm of each row.
MNIST_ROWS = (
    0.0, 0.005, 0.086, 0.326, 1.163, 2.613, 3.994, 4.864, 5.113, 4.836, 4.434, 4.288, 4.499, 4.884,
    5.19, 5.205, 4.905, 4.524, 4.385, 4.528, 4.724, 4.617, 3.969, 2.748, 1.281, 0.462, 0.155, 0.014,
)  # fmt: skip

#: Mean cosine of the angle between two images of one digit, and between those of two digits.
COSINE_SAME_CLASS = 0.5259
COSINE_OTHER_CLASS = 0.3862
#: Share of the pairs of images that show one digit.
SAME_CLASS = 0.1003

#: The 40 largest eigenvalues of the images' covariance matrix, and its trace.
COVARIANCE_EIGENVALUES = (
    5.117, 3.741, 3.253, 2.842, 2.567, 2.274, 1.725, 1.521, 1.456, 1.243,
    1.112, 1.067, 0.905, 0.892, 0.832, 0.782, 0.698, 0.673, 0.626, 0.608,
    0.562, 0.531, 0.503, 0.481, 0.466, 0.443, 0.428, 0.415, 0.393, 0.364,
    0.347, 0.342, 0.318, 0.309, 0.301, 0.287, 0.267, 0.257, 0.254, 0.249,
)  # fmt: skip
COVARIANCE_TRACE = 52.73
