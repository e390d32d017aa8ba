"""Confidence of the nucleus of each slice, as an expected Jaccard index.

Not in the published method. What the propagation has measured on each slice
says where it goes wrong: where the dark line on the outline is weaker than
usual, lines run through the inside, the nucleus is darker than usual because
the cut grazes its envelope, or the outline moves fast from slice to slice.
"""

from __future__ import annotations

import numpy as np

from helaseg.cells.nucleus.masks import jaccard
from helaseg.cells.nucleus.propagation import NucleusPath

#: Slices, and whole nuclei, below this confidence are uncertain.
UNCERTAIN = 0.9
#: What each doubt takes off the expected Jaccard index: non-negative least squares on
#: 1000 slices of phantoms and of one real shape (``benchmarks/nucleus_choices.py``).
LESS_LIKE_ONE_SIDE, LESS_LIKE_OTHER_SIDE = 0.1, 0.05
WEAK_LINE, TEXTURE, DARKNESS = 1.1, 0.5, 0.1
#: Confidence in a slice without a nucleus that lies beside one with it: a cap may be missed.
BESIDE = 0.5


def nucleus_confidence(path: NucleusPath) -> tuple[float, ...]:
    """Confidence of each slice, 0 to 1.

    Parameters
    ----------
    path : NucleusPath
        A nucleus that was followed.

    Returns
    -------
    tuple of float
        0 where nothing was seen (blank and bridged slices) and if there is no
        nucleus at all; 1 in slices without it, but for those beside it.

    Notes
    -----
    From 1 is taken off, with the weights in this file,

    1. how much less than 1 the Jaccard indices with the two neighbouring slices
       are, the lower one counting more;
    2. how much weaker the line on the outline is than the usual one of this
       nucleus, or than a line that can be trusted;
    3. the part of the inside that is dark lines;
    4. how much darker the nucleus is than usual, relative to its contrast.
    """
    n = len(path.outlines)
    held = np.array([path.mask(z).any() for z in range(n)])
    if not held.any():
        return (0.0,) * n
    line = max(path.usual("line"), path.config.min_line)
    contrast, lightness = path.usual("contrast"), path.usual("lightness")
    confidence = []
    for z, outline in enumerate(path.outlines):
        if path.evidence.blank[z] or (held[z] and outline is None):
            confidence.append(0.0)
            continue
        beside = [k for k in (z - 1, z + 1) if 0 <= k < n]
        if outline is None:
            confidence.append(BESIDE if held[beside].any() else 1.0)
            continue
        alike = sorted(jaccard(path.mask(z), path.mask(k)) for k in beside) or [1.0]
        doubt = LESS_LIKE_ONE_SIDE * (1 - alike[0]) + LESS_LIKE_OTHER_SIDE * (1 - alike[-1])
        doubt += WEAK_LINE * max(1 - outline.line / line, 0.0) + TEXTURE * outline.texture
        if contrast > 0:
            doubt += DARKNESS * max((lightness - outline.lightness) / contrast, 0.0)
        confidence.append(float(np.clip(1 - doubt, 0.0, 1.0)))
    return tuple(confidence)
