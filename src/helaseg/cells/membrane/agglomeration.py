"""Agglomerate supervoxels into cells, the most open contacts first.

A plasma membrane is closed: however small the piece of it between two
supervoxels, the whole contact of two cells is membrane. Endoplasmic reticulum
and mitochondria are as dark, but the way around them is open. So pieces are
joined one pair at a time, the most open contact first, and a contact is judged
as a whole: its area without a membrane, relative to the cross-section of the
smaller piece. That is the neck rule of the distance map, for contacts with and
without membranes alike.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helaseg.cells.membrane.config import CompetitionConfig
from helaseg.cells.membrane.supervoxels import Contacts, Lines

#: Area of a contact in µm² without the borders of nuclei, the same times the strength of
#: the lines on it, the open area with those borders.
Contact = tuple[float, float, float]

#: Cross-section of a ball in µm² for a volume of 1 µm³.
CROSS_SECTION = math.pi * (3 / (4 * math.pi)) ** (2 / 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The cell of every supervoxel.

    Parameters
    ----------
    owner : ndarray of int32, shape (count + 1,)
        Cell of each supervoxel: 1 to n hold nuclei 1 to n, further ones none.
    second : ndarray of int32, shape (count + 1,)
        The cell it would belong to next; 0 where no other was in question.
    confidence : ndarray of float32, shape (count + 1,)
        0: the second cell had the same claim; 1: it had none.
    """

    owner: NDArray[np.int32]
    second: NDArray[np.int32]
    confidence: NDArray[np.float32]


def share_supervoxels(
    contacts: Contacts,
    volume_um3: NDArray[np.float64],
    lines: Lines,
    config: CompetitionConfig,
    *,
    n_nuclei: int,
    cut: NDArray[np.bool_],
    beside: NDArray[np.bool_],
    depth_um: float = math.inf,
) -> Ownership:
    """Join supervoxels into cells.

    Parameters
    ----------
    contacts : Contacts
        Which supervoxels touch, and the dark lines there.
    volume_um3 : ndarray of float64, shape (count + 1,)
        Volume of each supervoxel, 0 for numbers not in use; entry 0 is resin.
    lines : Lines
        Strength of noise and of membranes.
    config : CompetitionConfig
        Settings.
    n_nuclei : int
        Supervoxels 1 to `n_nuclei` are nuclei.
    cut : ndarray of bool, shape (count + 1,)
        Supervoxels at a side of the crop.
    beside : ndarray of bool, shape (count + 1,)
        Those at a side along y or x.
    depth_um : float
        Depth of the crop: in a thin one the pieces are disks.

    Returns
    -------
    Ownership
        For each supervoxel.

    Notes
    -----
    1. Join the most open pair of pieces, unless both have an owner, and so on
       down to ``min_openness``; a piece with a nucleus has an owner. Two large
       pieces must also be open by the mean of their contact.
    2. What is large and has no owner then becomes a cell of its own.
    3. Go on with the other pieces in the same way, down to closed contacts.
    4. Make one cell of two with nuclei if no membrane lies between them.
    5. Give each supervoxel to the neighbour with the most open contact, as long
       as that changes anything: early joins were made by what was known then.

    The second owner of a piece is the one with the next most open contact when
    the first was found; the confidence is one minus the ratio of the two.

    References
    ----------
    Bailoni, A. et al. GASP, a generalized framework for agglomerative clustering
    of signed graphs and its application to instance segmentation. CVPR (2022).
    doi:10.1109/CVPR52688.2022.01137
    """
    joining = _Joining(contacts, volume_um3, lines, config, n_nuclei, beside, depth_um)
    joining.run(config.min_openness)
    joining.found_cells(np.where(cut, config.bleb_um3, config.lone_um3))
    joining.run(0.0)
    joining.found_cells(np.full(len(cut), config.min_cell_um3))
    ownership = joining.result()
    joining.unite_nuclei(ownership, n_nuclei)
    _reconsider(ownership, contacts, volume_um3, fixed=n_nuclei)
    return ownership


class _Joining:
    """Pieces that grow; the state of `share_supervoxels`."""

    def __init__(
        self,
        contacts: Contacts,
        volume_um3: NDArray[np.float64],
        lines: Lines,
        config: CompetitionConfig,
        n_nuclei: int,
        beside: NDArray[np.bool_],
        depth_um: float,
    ) -> None:
        n = len(volume_um3)
        self.depth_um = depth_um
        self.lines = lines
        self.config = config
        self.volume = volume_um3.tolist()
        self.owner = [k if 0 < k <= n_nuclei else 0 for k in range(n)]
        self.large = np.where(beside, config.side_um3, config.large_um3).tolist()
        self.n_cells = n_nuclei
        self.into = list(range(n))
        self.second = [0] * n
        self.confidence = [1.0] * n
        #: Order in which pieces went into others.
        self.order: list[int] = []
        self.contacts: list[dict[int, Contact]] = [{} for _ in range(n)]
        self.heap: list[tuple[float, int, int, Contact]] = []
        bare_um2 = contacts.area_um2 - contacts.envelope_um2
        sums = (bare_um2, contacts.line_um2, contacts.open_um2)
        for (a, b), *contact in zip(
            contacts.pairs.tolist(), *(part.tolist() for part in sums), strict=True
        ):
            self._wait(a, b, (contact[0], contact[1], contact[2]))

    def openness(self, a: int, b: int, open_um2: float) -> float:
        """Open area of a contact over the cross-section of the smaller piece.

        That of a ball, or in a crop of few slices that of a disk as thick as the crop.
        """
        small = min(self.volume[a], self.volume[b])
        disk = 2 * math.sqrt(small * self.depth_um / math.pi)
        return open_um2 / min(CROSS_SECTION * small ** (2 / 3), disk)

    def mean_share(self, contact: Contact) -> float:
        """The open part of a contact, judged by the mean line on all of it.

        What a nuclear envelope hides is not judged; nothing else is open.
        """
        area, line, _ = contact
        if area <= 0:
            return 1.0
        share = self.lines.open_share(
            line / area, line_share=self.config.contact_line_share, leak=self.config.leak
        )
        return float(share)

    def _wait(self, a: int, b: int, contact: Contact) -> None:
        """Note a contact and let it wait for its turn."""
        self.contacts[a][b] = self.contacts[b][a] = contact
        if not (self.owner[a] and self.owner[b]):
            entry = (-self.openness(a, b, contact[2]), min(a, b), max(a, b), contact)
            heapq.heappush(self.heap, entry)

    def run(self, least: float) -> None:
        """Join pieces, the most open contact first, down to `least`."""
        heap = self.heap
        while heap and -heap[0][0] >= least:
            found, a, b, contact = heapq.heappop(heap)
            if self.into[a] != a or self.into[b] != b or self.contacts[a].get(b) != contact:
                continue  # one of the two is gone, or the contact has grown
            if self.owner[a] and self.owner[b]:
                continue
            now = -self.openness(a, b, contact[2])
            if now > found:
                # The pieces have grown since: the contact waits for its turn.
                heapq.heappush(heap, (now, a, b, contact))
                continue
            if self._are_two_cells(a, b, contact):
                continue
            larger_b = len(self.contacts[b]) > len(self.contacts[a])
            if self.owner[b] or (not self.owner[a] and larger_b):
                a, b = b, a
            self._join(a, b)

    def _are_two_cells(self, a: int, b: int, contact: Contact) -> bool:
        small = min(a, b, key=lambda k: (self.volume[k], k))
        limit = self.config.large_um3 if self.owner[small] else self.large[small]
        if self.volume[small] < limit:
            return False
        return self.mean_share(contact) < self.config.min_share

    def _join(self, a: int, b: int) -> None:
        """Let piece `b` become a part of piece `a`."""
        if self.owner[a]:
            self._claim(b, self.owner[a], self.contacts[a][b])
        self.into[b] = a
        self.order.append(b)
        self.volume[a] += self.volume[b]
        self.large[a] = min(self.large[a], self.large[b])
        del self.contacts[a][b]
        for k, more in self.contacts[b].items():
            if k == a:
                continue
            del self.contacts[k][b]
            area, line, open_ = self.contacts[a].get(k, (0.0, 0.0, 0.0))
            self._wait(a, k, (area + more[0], line + more[1], open_ + more[2]))
        self.contacts[b] = {}

    def _claim(self, piece: int, owner: int, contact: Contact) -> None:
        """Note who else touches a piece that gets an owner."""
        claims: dict[int, float] = {}
        for k, other in self.contacts[piece].items():
            cell = self.owner[k]
            if cell not in (0, owner):
                claims[cell] = claims.get(cell, 0.0) + other[2]
        self.owner[piece] = owner
        if claims:
            best = max(claims, key=lambda c: (claims[c], -c))
            self.second[piece] = best
            self.confidence[piece] = max(0.0, 1.0 - claims[best] / contact[2])

    def found_cells(self, least_um3: NDArray[np.float64]) -> None:
        """Make a cell of every piece without an owner that is as large as its smallest limit."""
        least = least_um3.tolist()
        for k in self.order:
            least[self.into[k]] = min(least[self.into[k]], least[k])
        pieces = [k for k in range(1, len(self.into)) if self.into[k] == k and not self.owner[k]]
        pieces = [k for k in pieces if self.volume[k] >= least[k] and self.volume[k] > 0]
        for piece in pieces:
            self.n_cells += 1
            self.owner[piece] = self.n_cells
        for piece in pieces:
            # How nearly it joined what it touches.
            nearest = [
                (self.openness(piece, k, contact[2]), -self.owner[k])
                for k, contact in self.contacts[piece].items()
                if self.owner[k]
            ]
            if nearest:
                openness, other = max(nearest)
                self.second[piece] = -other
                ratio = openness / max(self.config.min_openness, openness)
                self.confidence[piece] = 1.0 - ratio

    def result(self) -> Ownership:
        """Return the owner of every supervoxel: that of the piece it was merged into."""
        owner, second, confidence = self.owner, self.second, self.confidence
        for k in reversed(self.order):
            if not owner[k]:
                a = self.into[k]
                owner[k], second[k], confidence[k] = owner[a], second[a], confidence[a]
        return Ownership(
            owner=np.array(owner, np.int32),
            second=np.array(second, np.int32),
            confidence=np.array(confidence, np.float32),
        )

    def _are_one_cell(self, a: int, b: int, contact: Contact) -> bool:
        share = self.mean_share(contact)
        wide = self.openness(a, b, contact[0] * share) >= self.config.one_cell_openness
        return wide and share >= self.config.one_cell_share

    def unite_nuclei(self, ownership: Ownership, n_nuclei: int) -> None:
        """Make one cell, in place, of cells whose nuclei no membrane parts."""
        cell = np.arange(self.n_cells + 1, dtype=np.int32)
        for a in range(1, n_nuclei + 1):
            for b, contact in self.contacts[a].items():
                if a < b <= n_nuclei and self._are_one_cell(a, b, contact):
                    cell[cell == cell[b]] = cell[a]
        ownership.owner[:] = cell[ownership.owner]
        ownership.second[:] = cell[ownership.second]
        settled = ownership.owner == ownership.second
        ownership.second[settled] = 0
        ownership.confidence[settled] = 1.0


def _reconsider(
    ownership: Ownership,
    contacts: Contacts,
    volume_um3: NDArray[np.float64],
    *,
    fixed: int,
    rounds: int = 10,
) -> None:
    """Give supervoxels, in place, to the cell with the most open contact to them.

    The nuclei, 1 to `fixed`, and the largest supervoxel of each cell stay.
    """
    owner = ownership.owner
    a, b = contacts.pairs.T
    ends = np.concatenate([a, b])
    order = np.argsort(ends, kind="stable")
    begins = np.searchsorted(ends[order], np.arange(len(owner) + 1))
    others = np.concatenate([b, a])[order]
    opens = np.tile(contacts.open_um2, 2)[order]
    stays = np.arange(len(owner)) <= fixed
    by_size = np.argsort(-volume_um3, kind="stable")
    stays[by_size[np.unique(owner[by_size], return_index=True)[1]]] = True
    for _ in range(rounds):
        moved = False
        for k in np.unique(contacts.pairs[owner[a] != owner[b]]):
            if stays[k]:
                continue
            part = slice(begins[k], begins[k + 1])
            claims = np.bincount(owner[others[part]], opens[part], minlength=owner[k] + 1)
            claims[0] = 0.0
            best = int(claims.argmax())
            # A little more than equal, so that two neighbours cannot trade for ever.
            if best != owner[k] and claims[best] > 1.001 * claims[owner[k]]:
                ownership.second[k] = owner[k]
                ownership.confidence[k] = 1.0 - claims[owner[k]] / claims[best]
                owner[k] = best
                moved = True
        if not moved:
            break
