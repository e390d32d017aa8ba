"""Thresholds from the grey-value histogram."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helaseg._kernels import histogram as _kernel
from helaseg._threads import in_blocks
from helaseg._validate import as_array, as_mask, check_shape_match, for_kernel
from helaseg.errors import ParameterError

#: Values that are converted at a time, and pixels below which another thread does not pay.
_CHUNK = 1 << 20
#: Words of eight pixels whose pairs a counter of 32 bits can count.
_MOST_WORDS = (1 << 30) - 1


def histogram(
    image: ArrayLike, *, bins: int = 256, mask: ArrayLike | None = None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Count the grey values of an image.

    Parameters
    ----------
    image : array of bools, integers or floats, shape (Y, X) or (Z, Y, X)
        Grey values.
    bins : int
        Number of equally wide bins for floats and for integers of 32 and 64
        bits. Images of 8 and 16 bits have one bin per grey level.
    mask : array, shape of `image`, optional
        True = counted.

    Returns
    -------
    counts : int64 array, shape (B,)
        Pixels per bin.
    centres : array, shape (B,)
        Grey level of each bin: all 256 or 65536 levels of the dtype as int64,
        or the bin centres as float64, from the smallest to the largest finite
        value.

    Raises
    ------
    ParameterError
        If no finite pixel is left to count, or an argument is out of range.

    Notes
    -----
    NaN and infinities are not counted. An image of one single value has one bin.
    Of 8-bit images nothing is copied; with a mask, other images are by the
    pixels chosen.
    """
    array = as_array("image", image)
    if bins < 1:
        msg = f"'bins' must be at least 1, got {bins!r}"
        raise ParameterError(msg)
    chosen = None if mask is None else as_mask("mask", mask)
    if chosen is not None:
        check_shape_match("mask", chosen.shape, "image", array.shape)
        if not chosen.any():
            msg = "'mask' must hold at least one True pixel, it holds none; pass another mask"
            raise ParameterError(msg)
    if array.size == 0:
        msg = f"'image' must hold at least one pixel, got shape {array.shape}"
        raise ParameterError(msg)
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.dtype.kind in "ui" and array.dtype.itemsize <= 2:
        return _count_levels(array, chosen)
    values = (array if chosen is None else array[chosen]).reshape(-1)
    return _count_values(values, bins)


def otsu_threshold(
    image: ArrayLike, *, mask: ArrayLike | None = None, bins: int = 256
) -> int | float:
    """Find the grey value that divides an image into dark and bright (``image > threshold``).

    Parameters
    ----------
    image : array of bools, integers or floats, shape (Y, X) or (Z, Y, X)
        Grey values.
    mask : array, shape of `image`, optional
        True = considered.
    bins : int
        Bins for floats, see `histogram`. Integers of any width are counted level by
        level, so that equal images of different types are divided alike.

    Returns
    -------
    int or float
        The highest grey level of the dark class for integers. For floats it is the
        centre of the highest bin of the dark class: values in the upper half of that
        bin are above it. A constant image gives its value.

    Raises
    ------
    ParameterError
        If no finite pixel is left, or an argument is out of range.

    Notes
    -----
    The definition is that of `skimage.filters.threshold_otsu`: the variance
    between the classes ``n0 n1 (m0 - m1)^2`` is largest; of several equal
    maxima the first. It is evaluated in float64.

    References
    ----------
    Otsu, N. (1979). A threshold selection method from gray-level histograms.
    IEEE Transactions on Systems, Man, and Cybernetics 9(1), 62-66.
    doi:10.1109/TSMC.1979.4310076
    """
    counts, centres = _grey_levels(image, bins=bins, mask=mask)
    if counts.size == 1:
        return centres[0].item()
    below = np.cumsum(counts)[:-1].astype(float)
    above = np.cumsum(counts[::-1])[::-1][1:].astype(float)
    moments = counts * _as_floats(centres)
    mean_below = np.cumsum(moments)[:-1] / below
    mean_above = np.cumsum(moments[::-1])[::-1][1:] / above
    variance = below * above * (mean_below - mean_above) ** 2
    return centres[int(np.argmax(variance))].item()


def multi_otsu(
    image: ArrayLike, *, classes: int = 3, mask: ArrayLike | None = None, bins: int = 256
) -> tuple[int | float, ...]:
    """Find the grey values that divide an image into several classes.

    Parameters
    ----------
    image : array of bools, integers or floats, shape (Y, X) or (Z, Y, X)
        Grey values.
    classes : int
        Number of classes, at least 2.
    mask : array, shape of `image`, optional
        True = considered.
    bins : int
        As in `otsu_threshold`; integers of which more than `bins` (and 256) grey levels
        occur are counted in at most `bins` groups of equally many levels.

    Returns
    -------
    tuple of int or float, length ``classes - 1``
        Increasing thresholds; class k has ``t[k - 1] < value <= t[k]``, where the
        thresholds of integers are levels that occur, those of floats centres of bins. With
        fewer occupied bins than classes the largest value fills up the tuple,
        so that a constant image gives its value ``classes - 1`` times.

    Raises
    ------
    ParameterError
        If `classes` is below 2, or as in `otsu_threshold`.

    Notes
    -----
    Maximises the sum over classes of ``S^2 / n`` (S the sum and n the number of
    the grey values), which is the variance between the classes up to a constant,
    by dynamic programming over the bins: exact, and of order
    ``classes x bins^2``.

    References
    ----------
    Liao, P.-S., Chen, T.-S., Chung, P.-C. (2001). A fast algorithm for
    multilevel thresholding. Journal of Information Science and Engineering
    17(5), 713-727. doi:10.6688/JISE.2001.17.5.1
    """
    if classes < 2:
        msg = f"'classes' must be at least 2, got {classes!r}"
        raise ParameterError(msg)
    counts, centres = _grey_levels(image, bins=bins, mask=mask)
    values = _as_floats(centres)
    if centres.dtype.kind in "ui" and counts.size > max(bins, 256):
        counts, values, centres = _group_levels(counts, centres, bins=bins, least=classes)
    if counts.size < classes:
        found = [c.item() for c in centres[:-1]]
        return tuple(found + [centres[-1].item()] * (classes - 1 - len(found)))
    ends = _best_partition(counts, values, classes)
    return tuple(centres[e].item() for e in ends)


def _grey_levels(
    image: ArrayLike, *, bins: int, mask: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Count the grey values that occur: levels of integers of any width, bins of floats."""
    array = np.asarray(image)
    if array.dtype.kind not in "ui" or array.dtype.itemsize <= 2 or array.size == 0:
        return _occupied(*histogram(image, bins=bins, mask=mask))
    values = as_array("image", array)
    low, high = int(values.min()), int(values.max())
    if high - low < 1 << 16:
        # Counting is faster than sorting.
        counts, shifts = _occupied(
            *histogram((values - values.dtype.type(low)).astype(np.uint16), bins=bins, mask=mask)
        )
        levels = np.array([low + int(s) for s in shifts], values.dtype.newbyteorder("="))
        return counts, levels
    histogram(values, bins=bins, mask=mask)  # checks its arguments
    chosen = values if mask is None else values[as_mask("mask", mask)]
    levels, counts = np.unique(chosen, return_counts=True)
    return counts.astype(np.int64), levels


def _as_floats(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Levels as floats; what those could not tell apart is measured from the smallest."""
    if levels.dtype.kind in "ui" and max(abs(int(levels[0])), abs(int(levels[-1]))) >= 1 << 52:
        return np.array([int(v) - int(levels[0]) for v in levels], np.float64)
    return levels.astype(np.float64)


def _count_levels(
    array: NDArray[Any], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One bin per grey level of an 8 or 16 bit dtype."""
    first = int(np.iinfo(array.dtype).min)
    native = np.require(array, array.dtype.newbyteorder("="), ["C", "A"])
    flat = native.reshape(-1).view(f"u{array.dtype.itemsize}")
    chosen = None if mask is None else mask.reshape(-1)
    if array.dtype.itemsize == 1:
        counts = _count_bytes(flat, None if chosen is None else chosen.view(np.uint8))
    else:
        counts = _count_words(flat if chosen is None else flat[chosen])
    # Read without their sign, the negative levels come last.
    counts = np.roll(counts, first)
    return counts, np.arange(first, first + counts.size, dtype=np.int64)


def _count_bytes(flat: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> NDArray[np.int64]:
    n_words = flat.size // 8
    words = for_kernel(flat[: 8 * n_words].view(np.uint64))
    rest = flat[8 * n_words :]
    if mask is not None:
        masks = for_kernel(mask[: 8 * n_words].view(np.uint64))
        rest = rest[mask[8 * n_words :] == 1]

    def work(start: int, stop: int) -> NDArray[np.int64]:
        counts = np.zeros(256, np.int64)
        for at in range(start, stop, _MOST_WORDS):
            part = slice(at, min(at + _MOST_WORDS, stop))
            if mask is None:
                _kernel.count_bytes(words[part], counts)
            else:
                _kernel.count_masked_bytes(words[part], masks[part], counts)
        return counts

    counts = np.bincount(rest, minlength=256)
    counts += sum(in_blocks(work, n_words, least=_CHUNK // 8))
    if mask is not None:
        counts[0] -= 8 * n_words - np.count_nonzero(mask[: 8 * n_words])
    return counts


def _count_words(flat: NDArray[np.uint16]) -> NDArray[np.int64]:
    words = for_kernel(flat)

    def work(start: int, stop: int) -> NDArray[np.int64]:
        counts = np.zeros(1 << 16, np.int64)
        _kernel.count_words(words[start:stop], counts)
        return counts

    return sum(in_blocks(work, words.size, least=_CHUNK), np.zeros(1 << 16, np.int64))


def _count_values(values: NDArray[Any], bins: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Equally wide bins between the smallest and the largest finite value."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            values = values[finite]
        if values.size == 0:
            msg = "'image' must hold at least one finite pixel, all are NaN or infinite"
            raise ParameterError(msg)
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(high - low):
        msg = f"'image' must span less than the range of float64, got {low} to {high}; rescale it"
        raise ParameterError(msg)
    edges = np.linspace(low, high, bins + 1)
    if not (np.diff(edges) > 0).all():
        # One value, or values so close that the bins cannot be distinguished.
        return np.array([values.size], np.int64), np.array([low])
    counts = np.zeros(bins, np.int64)
    for start in range(0, values.size, _CHUNK):
        piece = np.require(values[start : start + _CHUNK], np.float64, ["C", "W", "A"])
        _kernel.count_bins(piece, edges, counts)
    return counts, (edges[:-1] + edges[1:]) / 2


def _occupied(
    counts: NDArray[np.int64], centres: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The bins that hold pixels; empty ones change neither optimum nor its first place."""
    full = counts > 0
    return counts[full], centres[full]


def _group_levels(
    counts: NDArray[np.int64], centres: NDArray[Any], *, bins: int, least: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]:
    """Counts, mean grey level and highest occupied level of groups of equally many levels."""
    low, high = int(centres[0]), int(centres[-1])
    width = -(-(high - low + 1) // bins)
    group = np.array([(int(v) - low) // width for v in centres])
    if len(set(group.tolist())) < least:
        # A few far levels leave the others in one group: as many occupied levels in each.
        group = np.arange(counts.size) * bins // counts.size
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    lasts = np.append(starts[1:], counts.size) - 1
    grouped = np.add.reduceat(counts, starts)
    values = _as_floats(centres)
    return grouped, np.add.reduceat(counts * values, starts) / grouped, centres[lasts]


def _best_partition(
    counts: NDArray[np.int64], values: NDArray[np.float64], classes: int
) -> list[int]:
    """Index of the last bin of every class but the last."""
    n = counts.size
    # Measuring from the mean keeps the squared sums small and the differences sharp.
    shifted = values - (counts @ values) / counts.sum()
    mass = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * shifted)])
    start, stop = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (moment[stop] - moment[start]) ** 2 / (mass[stop] - mass[start])
    gain[stop <= start] = -np.inf
    best = gain[0]
    choices = []
    for _ in range(classes - 1):
        total = best[:, None] + gain
        choices.append(total.argmax(axis=0))
        best = total.max(axis=0)
    ends = []
    at = n
    for choice in reversed(choices):
        at = int(choice[at])
        ends.append(at - 1)
    return ends[::-1]
