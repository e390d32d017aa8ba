"""Noise of a slice: the strength of gradients and dark lines where there are none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gradient_noise(magnitude: NDArray[np.float32]) -> float:
    """Gradient magnitude of featureless parts: the mode of its histogram.

    Noise gives Rayleigh-distributed magnitudes whose mode is the noise of one
    component; edges only add a long tail.
    """
    # Where nothing was recorded (padding) the gradient is exactly zero.
    magnitude = magnitude[magnitude > 0]
    if not magnitude.size:
        return 0.0
    top = float(np.quantile(magnitude, 0.99))
    counts, edges = np.histogram(magnitude, bins=400, range=(0.0, top))
    kernel = np.hanning(15)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    peak = int(np.argmax(smooth))
    return float((edges[peak] + edges[peak + 1]) / 2)


def line_noise(ridge: NDArray[np.float32]) -> float:
    """Strength of dark lines where there are none: the median where it is positive."""
    if not ridge.size:
        return 0.0
    # Where nothing was recorded (padding) there is nothing but rounding errors.
    least = 1e-3 * float(np.quantile(ridge, 0.99))
    felt = ridge[ridge > max(least, 1e-6)]
    return float(np.median(felt)) if felt.size else 0.0
