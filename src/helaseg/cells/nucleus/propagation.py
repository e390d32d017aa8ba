"""One nucleus, followed through the slices of a crop from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.nucleus.config import NucleusConfig
from helaseg.cells.nucleus.evidence import Evidence
from helaseg.cells.nucleus.masks import Mask, between, jaccard
from helaseg.cells.nucleus.outline import Outline, find_cap, follow_nucleus
from helaseg.cells.nucleus.seeds import centrality, find_seeds

Nuclei = NDArray[np.unsignedinteger]

#: A seed as clear as this is taken without looking further.
CLEAR_SEED = 0.9
#: A neighbour that holds so much more than a slice, relative to it, may have a lobe.
LOBE_SHARE = 0.03
#: Below this part of the largest section, a nucleus must grow by `TAIL_GROWTH` within
#: `TAIL_NM` from its end inwards. Pole islands of a real nucleus grow by 2.4 and more.
TAIL_AREA, TAIL_GROWTH, TAIL_NM = 0.01, 1.5, 150.0
#: Masks as alike as this are the same.
SAME = 0.99
#: Without a clear line, no nucleus has more texture than this (noise alone: 0.006), or less
#: agreement among line levels (noise alone: 0.98); a mitotic cell has 0.065 and 0.87.
MITOTIC_TEXTURE, MITOTIC_AGREEMENT = 0.03, 0.93
#: Through how many nuclei a lobe may wind up and down.
MAX_SWEEPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Seed of a nucleus.

    Parameters
    ----------
    z : int
        Slice.
    outline : Outline
        The nucleus there.
    clarity : float
        How sure it is, 0 to 1.
    """

    z: int
    outline: Outline
    clarity: float


def best_seed(
    evidence: Evidence,
    target_vx: tuple[float, float, float],
    config: NucleusConfig,
    seed_slice: int | None = None,
) -> Seed | None:
    """The clearest nucleus near a point (working voxels); None when there is none.

    Slices are tried from that of the target outwards in steps of a tenth of the
    crop until a seed is clear enough, or `seed_slice` alone.
    """
    n = len(evidence.blank)
    best: Seed | None = None
    for z in _seed_order(n, round(target_vx[0])) if seed_slice is None else [seed_slice]:
        if evidence.blank[z]:
            continue
        for outline in find_seeds(evidence[z], target_vx[1:], config):
            sure = seed_clarity(evidence, z, outline, config)
            sure *= centrality(outline.mask, target_vx[1:], config)
            # The first in the order wins among equals.
            if best is None or sure > best.clarity:
                best = Seed(z=z, outline=outline, clarity=sure)
        if best is not None and best.clarity >= CLEAR_SEED:
            break
    return best


def seed_clarity(evidence: Evidence, z: int, outline: Outline, config: NucleusConfig) -> float:
    """Rate a seed: a dark line around, smooth inside, and present in the next slices."""
    beside = [k for k in (z - 1, z + 1) if 0 <= k < len(evidence.blank)]
    beside = [k for k in beside if not evidence.blank[k]]
    if not beside:
        return outline.clear
    followed = [follow_nucleus(evidence[k], outline.mask, config) for k in beside]
    return outline.clear * sum(f.likeness if f else 0.0 for f in followed) / len(followed)


class NucleusPath:
    """A nucleus as it grows slice by slice, in a label volume shared with others.

    Parameters
    ----------
    evidence : Evidence
        What the slices show.
    nuclei : ndarray of uint8 or uint16, shape (Z, Y, X)
        Written in place; voxels of other nuclei stay as they are.
    number : int
        The number of this nucleus.
    config : NucleusConfig
        Settings.
    count : callable, optional
        Called after each slice looked at.

    Notes
    -----
    1. From the seed both ways, each slice with the one before as prior. Missed
       slices are skipped up to ``bridge_nm`` and filled by interpolation. The
       nucleus ends where that is exceeded, or with the dark cap where the cut
       grazes the envelope.
    2. A slice beside one that reaches farther is looked at again with both as
       prior, up and down in turn: lobes that join the nucleus elsewhere reach the
       slices in which they are islands. Then on from both ends as before.
    3. A small section that grows no more inwards is cut off.
    """

    def __init__(
        self,
        evidence: Evidence,
        nuclei: Nuclei,
        number: int,
        config: NucleusConfig,
        count: Callable[[], None] | None = None,
    ) -> None:
        self.evidence = evidence
        self.nuclei = nuclei
        self.number = number
        self.config = config
        self.count = count
        self.events = ["blank" if blank else "absent" for blank in evidence.blank]
        # Without their masks, of the slices seen so far.
        self.outlines: list[Outline | None] = [None] * len(self.events)

    def mask(self, z: int) -> Mask:
        """The nucleus in a slice."""
        return self.nuclei[z] == self.number

    def follow(self, seed: Seed) -> None:
        """Follow the nucleus from a seed both ways."""
        self._accept(seed.z, seed.outline, "seed")
        self._follow(range(seed.z + 1, len(self.events)), seed.z)
        self._follow(range(seed.z - 1, -1, -1), seed.z)

    def join_lobes(self) -> None:
        """Bring in the lobes of a nucleus that was followed, and where they lead."""
        self._sweep()
        n = len(self.events)
        first, last = self._extent()
        self._follow(range(last + 1, n), last)
        self._follow(range(first - 1, -1, -1), first)
        self.end_tails()

    def _extent(self) -> tuple[int, int]:
        held = [z for z in range(len(self.events)) if self.mask(z).any()]
        return held[0], held[-1]

    def _follow(self, order: range, origin: int) -> None:
        """Follow the nucleus in one direction, over gaps no longer than ``bridge_nm``."""
        reach = round(self.config.bridge_nm / self.evidence.grid.slice_nm)
        last, ended = origin, False
        for z in order:
            if self.count:
                self.count()
            if ended or abs(z - last) > reach + 1 or self.evidence.blank[z]:
                continue
            outline = self._look(z, self._prior(last, order.step))
            if outline is None or not self._fits(outline, z, gap=abs(z - last) > 1):
                continue
            self._accept(z, outline, "followed")
            for gap in range(min(last, z) + 1, max(last, z)):
                t = abs(gap - last) / abs(z - last)
                self._bridge(gap, between(self.mask(last), self.mask(z), t))
            last = z
            ended = not (self.evidence.damaged[z] or self._has_envelope(outline))
        if not ended:
            last = self._add_cap(last, order)
        # Beyond the end there is none, whatever an earlier round thought.
        self._erase(range(last + order.step, order.stop, order.step))

    def _add_cap(self, last: int, order: range) -> int:
        """Add what the slice behind the last one shows of the cap; the last slice then."""
        z = last + order.step
        if z not in order or self.evidence.blank[z] or self.evidence.damaged[z]:
            return last
        cap = find_cap(self.evidence[z], self.mask(last), self.usual("contrast"), self.config)
        if cap is None:
            return last
        self._accept(z, cap, "followed")
        return z

    @property
    def has_no_envelope(self) -> bool:
        """Return whether what was followed is a patch of cytoplasm or chromosomes, not a nucleus.

        Its line is no clear one, and either it has lines inside, or what the line
        levels take for it differs.
        """
        if self.usual("line") >= self.config.min_line:
            return False
        uneven = self.usual("texture") > MITOTIC_TEXTURE
        return uneven or self.usual("agreement") < MITOTIC_AGREEMENT

    def erase(self) -> None:
        """Take the nucleus back."""
        self._erase(range(len(self.events)))

    def _sweep(self) -> None:
        """Look again at slices beside one that reaches farther: a lobe joined it there.

        Up and down in turn until nothing changes any more.
        """
        first, last = self._extent()
        news = {step: set(range(first, last + 1)) for step in (1, -1)}
        for sweep in range(MAX_SWEEPS):
            step = 1 if sweep % 2 == 0 else -1
            for z in range(first + 1, last + 1) if step == 1 else range(last - 1, first - 1, -1):
                if z - step in news[step] and self._join_lobe(z, self.mask(z - step)):
                    news[1].add(z)
                    news[-1].add(z)
                news[step].discard(z - step)
            if not any(news.values()):
                break

    def _join_lobe(self, z: int, beside: Mask) -> bool:
        """Look at a slice with what it holds and what one beside it holds; whether it changed."""
        own = self.mask(z)
        more = np.count_nonzero(beside & ~own)
        if self.outlines[z] is None or more < LOBE_SHARE * np.count_nonzero(own):
            return False
        outline = self._look(z, own | beside)
        if outline is None or not self._fits(outline, z, gap=False):
            return False
        self._accept(z, outline, "followed")
        return jaccard(own, outline.mask) < SAME

    def end_tails(self) -> None:
        """End the nucleus where its section is small and grows no more inwards.

        The section of a round pole grows in proportion to the depth; a smooth patch
        of cytoplasm behind it goes on as it is.
        """
        areas = np.array([np.count_nonzero(self.mask(z)) for z in range(len(self.events))])
        small = areas < TAIL_AREA * areas.max()
        reach = max(1, round(TAIL_NM / self.evidence.grid.slice_nm))
        widest = int(np.argmax(areas))
        for step, stop in ((1, len(areas)), (-1, -1)):
            for z in range(widest + step * reach, stop, step):
                if areas[z] and small[z] and areas[z - step * reach] < TAIL_GROWTH * areas[z]:
                    self._erase(range(z, stop, step))
                    break

    def _prior(self, last: int, step: int) -> Mask:
        """The nucleus in a slice; with the slice before it where it broke up into islands.

        Where the cut grazes what was between them, some may be hidden.
        """
        mask, outline = self.mask(last), self.outlines[last]
        before = last - step
        if outline is not None and outline.islands and 0 <= before < len(self.events):
            mask = mask | self.mask(before)
        return mask

    def _look(self, z: int, prior: Mask) -> Outline | None:
        taken = (self.nuclei[z] != 0) & (self.nuclei[z] != self.number)
        return follow_nucleus(self.evidence[z], prior, self.config, taken=taken)

    def _accept(self, z: int, outline: Outline, event: str) -> None:
        self._write(z, outline.mask)
        self.outlines[z] = replace(outline, mask=np.zeros((0, 0), bool))
        if self.events[z] != "seed":
            self.events[z] = event

    def _bridge(self, z: int, mask: Mask) -> None:
        self._write(z, mask)
        self.outlines[z] = None
        if self.events[z] != "blank":
            self.events[z] = "bridged"

    def _erase(self, order: range) -> None:
        for z in order:
            self._write(z, None)
            self.outlines[z] = None
            self.events[z] = "blank" if self.evidence.blank[z] else "absent"

    def _write(self, z: int, mask: Mask | None) -> None:
        plane = self.nuclei[z]
        plane[plane == self.number] = 0
        if mask is not None:
            plane[mask & (plane == 0)] = self.number

    def _fits(self, outline: Outline, z: int, *, gap: bool) -> bool:
        """Return whether there is an envelope, or the dark cap that ends the nucleus."""
        if self.evidence.damaged[z]:
            return outline.likeness >= self.config.min_agreement_if_damaged
        if gap:
            least = self.config.min_contrast_across_gap * self.usual("contrast")
            alike = outline.likeness >= self.config.min_agreement_across_gap
            return alike and outline.contrast >= least
        return self._has_envelope(outline) or self._is_cap(outline)

    def _has_envelope(self, outline: Outline) -> bool:
        return outline.contrast >= self.config.min_contrast * self.usual("contrast")

    def _is_cap(self, outline: Outline) -> bool:
        darker = self.usual("lightness") - outline.lightness
        return darker > self.config.max_darkening * self.usual("contrast")

    def usual(self, name: str) -> float:
        """Median of a measure over the half of the slices with the most contrast."""
        sound = zip(self.outlines, self.evidence.damaged, strict=True)
        seen = [o for o, damaged in sound if o is not None and not damaged]
        seen = sorted(seen or [o for o in self.outlines if o is not None], key=_contrast)
        clear = seen[: max(1, len(seen) // 2)]
        return float(np.median([getattr(o, name) for o in clear]))


def _contrast(outline: Outline) -> float:
    return -outline.contrast


def keep_large_components(nuclei: Nuclei, number: int, fraction: float) -> None:
    """Drop, in place, 3-D components of a nucleus smaller than a fraction of its largest one.

    Islands of a nucleus join it in some slice; what never does is a piece of
    cytoplasm or a mitochondrion.
    """
    from helaseg.image.labels import label

    slices = [z for z, plane in enumerate(nuclei) if (plane == number).any()]
    if not slices:
        return
    over = np.zeros(nuclei.shape[1:], bool)
    for z in slices:
        over |= nuclei[z] == number
    rows, cols = np.flatnonzero(over.any(axis=1)), np.flatnonzero(over.any(axis=0))
    box = (slice(slices[0], slices[-1] + 1), slice(rows[0], rows[-1] + 1))
    part = nuclei[(*box, slice(cols[0], cols[-1] + 1))]
    # Labels of the whole crop would be four times its size; blocks of 2 x 2 pixels
    # tell the same.
    height, width = part.shape[1:]
    blocks = np.zeros((len(part), -(-height // 2), -(-width // 2)), bool)
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner = part[:, y::2, x::2] == number
        blocks[:, : corner.shape[1], : corner.shape[2]] |= corner
    pieces = label(blocks, connectivity=1)
    size = np.bincount(pieces.ravel())
    size[0] = 0
    drop = size < fraction * size.max()
    drop[0] = False
    if not drop.any():
        return
    for z, plane in enumerate(part):
        lost = drop[pieces[z]].repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
        plane[lost & (plane == number)] = 0


def seed_overlap(seed: Mask, plane: Nuclei) -> float:
    """Part of a seed that nuclei found before cover."""
    return float(np.count_nonzero(plane[seed]) / max(int(np.count_nonzero(seed)), 1))


def _seed_order(n: int, start: int) -> list[int]:
    """Slices to try as a seed: that of the target, then outwards in steps of a tenth."""
    middle, step = min(max(start, 0), n - 1), max(1, n // 10)
    order = [middle] if n else []
    for k in range(1, n // step + 1):
        order += [z for z in (middle + k * step, middle - k * step) if 0 <= z < n]
    return order
