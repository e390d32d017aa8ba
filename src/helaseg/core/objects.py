"""Cells as points: `Detection` in one slice, `Track` through slices, `CellFlag`."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass

from helaseg.errors import ParameterError


class CellFlag(enum.IntFlag):
    """Special properties of a cell. `text` explains each flag."""

    NONE = 0
    CUT_BY_SIDE = enum.auto()
    CUT_AT_FIRST_SLICE = enum.auto()
    CUT_AT_LAST_SLICE = enum.auto()
    SHORT_TRACK = enum.auto()
    SMALL = enum.auto()
    NO_NUCLEUS = enum.auto()
    LEAVES_ROI = enum.auto()
    BRIDGED_SLICES = enum.auto()
    LITTLE_RESIN = enum.auto()
    LOW_CONFIDENCE = enum.auto()
    INVERTED_RESIN = enum.auto()
    NO_RESIN = enum.auto()
    UNSURE_RESIN = enum.auto()
    SEVERAL_NUCLEI = enum.auto()
    MAYBE_PART = enum.auto()

    @property
    def text(self) -> str:
        """One line for a person, ``"none"`` for no flag."""
        return "; ".join(_FLAG_TEXT[flag] for flag in CellFlag if flag in self) or "none"

    @property
    def names(self) -> str:
        """The flags in lower case, separated by ``|``; empty for no flag."""
        return "|".join(flag.name.lower() for flag in CellFlag if flag in self and flag.name)

    @classmethod
    def from_names(cls, names: str) -> CellFlag:
        """The flags from what `names` wrote.

        Raises
        ------
        ParameterError
            For an unknown name.
        """
        flags = cls.NONE
        for name in filter(None, names.split("|")):
            if name.upper() not in cls.__members__:
                known = ", ".join(flag.name.lower() for flag in cls if flag.name)
                msg = f"unknown cell flag {name!r}; known are {known}"
                raise ParameterError(msg)
            flags |= cls[name.upper()]
        return flags


_FLAG_TEXT = {
    CellFlag.CUT_BY_SIDE: "cut by a side of the volume",
    CellFlag.CUT_AT_FIRST_SLICE: "goes on before the first slice",
    CellFlag.CUT_AT_LAST_SLICE: "goes on after the last slice",
    CellFlag.SHORT_TRACK: "seen in few slices",
    CellFlag.SMALL: "smaller than a cell should be",
    CellFlag.NO_NUCLEUS: "no nucleus found",
    CellFlag.LEAVES_ROI: "cut by a side of its crop",
    CellFlag.BRIDGED_SLICES: "slices bridged from their neighbours (blank, damaged or unclear)",
    CellFlag.LITTLE_RESIN: "little or no resin around it, the outline rests on the neighbours",
    CellFlag.LOW_CONFIDENCE: "the outline is uncertain",
    CellFlag.INVERTED_RESIN: "the resin of this volume is darker than its cells",
    CellFlag.NO_RESIN: "no resin can be distinguished from the cells; nuclei alone separate them",
    CellFlag.SEVERAL_NUCLEI: "more than one nucleus; measured is the one in the middle",
    CellFlag.MAYBE_PART: "one probed slice alone shows its nucleus, it may be part of a neighbour",
    CellFlag.UNSURE_RESIN: "the brighter class was taken for resin without a sure sign of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A cell seen in one slice.

    Parameters
    ----------
    z : int
        Slice index in the volume.
    y, x : float
        Position of the peak of the distance to the background, in voxels.
        Between cells without background that to the border of its share.
    radius_nm : float
        That distance, in nm.
    rank : int
        Place of the peak among those of its slice, 1 is the highest.
    nucleus : int
        Number of its nucleus in the volume; 0 where none was recognised.
    parted_once : bool
        It was separated from a neighbour without resin between them because of a nucleus
        that one probed slice alone shows.
    """

    z: int
    y: float
    x: float
    radius_nm: float
    rank: int = 1
    nucleus: int = 0
    parted_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One cell followed through the slices.

    Parameters
    ----------
    id : int
        Number of the cell, from 1.
    detections : tuple of Detection
        In the order of z, at most one per slice.
    flags : CellFlag
        What is special about the cell.
    """

    id: int
    detections: tuple[Detection, ...]
    flags: CellFlag = CellFlag.NONE

    def __post_init__(self) -> None:
        zs = [d.z for d in self.detections]
        if not zs or any(b <= a for a, b in itertools.pairwise(zs)):
            msg = f"track {self.id} must hold detections in growing z, got z = {zs}"
            raise ParameterError(msg)

    @property
    def first_slice(self) -> int:
        """Lowest slice with a detection."""
        return self.detections[0].z

    @property
    def last_slice(self) -> int:
        """Highest slice with a detection."""
        return self.detections[-1].z

    @property
    def radius_nm(self) -> float:
        """Largest distance to the background along the track."""
        return max(d.radius_nm for d in self.detections)

    @property
    def centroid(self) -> tuple[float, float, float]:
        """Mean of the detections weighted by their radius, z, y, x in voxels."""
        total = sum(d.radius_nm for d in self.detections)
        if total == 0:
            n = len(self.detections)
            return (
                sum(d.z for d in self.detections) / n,
                sum(d.y for d in self.detections) / n,
                sum(d.x for d in self.detections) / n,
            )
        return (
            sum(d.z * d.radius_nm for d in self.detections) / total,
            sum(d.y * d.radius_nm for d in self.detections) / total,
            sum(d.x * d.radius_nm for d in self.detections) / total,
        )
