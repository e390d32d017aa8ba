"""Rank the detected cells as candidates for a closer look."""

from __future__ import annotations

from collections.abc import Sequence

from helaseg.core.objects import CellFlag, Track

#: What makes a cell a poor candidate, the worst first: it is cut, or hardly a cell.
_DEFECTS = (
    CellFlag.CUT_BY_SIDE | CellFlag.CUT_AT_FIRST_SLICE | CellFlag.CUT_AT_LAST_SLICE,
    CellFlag.SHORT_TRACK | CellFlag.SMALL,
    CellFlag.LITTLE_RESIN | CellFlag.BRIDGED_SLICES | CellFlag.MAYBE_PART,
)


def rank_tracks(tracks: Sequence[Track]) -> dict[int, int]:
    """Place of each cell among the candidates.

    Parameters
    ----------
    tracks : sequence of Track
        From `link_detections`.

    Returns
    -------
    dict of int to int
        1 for the best, by track id.

    Notes
    -----
    Whole cells come before cut ones, then full-grown ones before short or small
    ones, then sure ones before those in doubt, then those with a nucleus; among equals
    the larger one comes first.
    """

    def key(track: Track) -> tuple[float, ...]:
        defects = [float(bool(track.flags & kind)) for kind in _DEFECTS]
        has_nucleus = any(d.nucleus > 0 for d in track.detections)
        size = sum(d.radius_nm**2 for d in track.detections)
        return (*defects, -float(has_nucleus), -size, track.id)

    return {track.id: place for place, track in enumerate(sorted(tracks, key=key), start=1)}
