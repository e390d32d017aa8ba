"""The unsupervised job: detect, link, box, and segment one cell.

`helaseg.pipelines.batch` does it for a whole volume on disk.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helaseg.cells.background.config import BackgroundConfig
from helaseg.cells.detection.detect import DetectConfig
from helaseg.cells.detection.rois import RoiConfig
from helaseg.cells.detection.track import TrackConfig
from helaseg.cells.envelope.slice import EnvelopeConfig
from helaseg.cells.membrane.segment import CellConfig
from helaseg.cells.nucleus.segment import NucleusConfig
from helaseg.cells.shape.describe import ShapeConfig
from helaseg.cells.shape.invaginations import InvaginationConfig
from helaseg.core.grid import Roi
from helaseg.core.objects import CellFlag, Detection, Track
from helaseg.core.results import Provenance, SegmentationResult, StepCost
from helaseg.core.volume import LabelVolume, Volume
from helaseg.errors import NothingFoundWarning
from helaseg.execution import Progress, StepTimer, WorkerPool, local_pool, make_executor

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig:
    """Settings of the segmentation of one cell.

    Parameters
    ----------
    background : BackgroundConfig
        Resin of every slice.
    nucleus : NucleusConfig
        Nucleus and superpixels.
    envelope : EnvelopeConfig
        Nuclear envelope.
    cell : CellConfig
        Whole cells.
    shape : ShapeConfig
        Measures.
    invaginations : InvaginationConfig
        What counts as an invagination.
    """

    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    nucleus: NucleusConfig = field(default_factory=NucleusConfig)
    envelope: EnvelopeConfig = field(default_factory=EnvelopeConfig)
    cell: CellConfig = field(default_factory=CellConfig)
    shape: ShapeConfig = field(default_factory=ShapeConfig)
    invaginations: InvaginationConfig = field(default_factory=InvaginationConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig(SegmentConfig):
    """Settings of the whole job: those of the segmentation of one cell, and of finding the cells.

    Parameters
    ----------
    detect : DetectConfig
        Cells in a slice.
    track : TrackConfig
        Links between slices.
    rois : RoiConfig
        Boxes around the cells.

    See Also
    --------
    SegmentConfig : the other settings.
    """

    detect: DetectConfig = field(default_factory=DetectConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    rois: RoiConfig = field(default_factory=RoiConfig)

    @property
    def segment(self) -> SegmentConfig:
        """The part that concerns one cell."""
        names = [f.name for f in dataclasses.fields(SegmentConfig)]
        return SegmentConfig(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionResult:
    """The cells of a volume.

    Parameters
    ----------
    detections : tuple of Detection
        All peaks of all probed slices.
    tracks : tuple of Track
        The cells.
    rois : mapping of int to Roi
        A box per track id.
    graph : networkx.DiGraph
        Detections and the links between them.
    background : LabelVolume
        Resin of the probed slices at their working pixel size; 1 is resin.
    steps : tuple of StepCost
        Time and memory.
    """

    detections: tuple[Detection, ...]
    tracks: tuple[Track, ...]
    rois: Mapping[int, Roi]
    graph: networkx.DiGraph
    background: LabelVolume
    steps: tuple[StepCost, ...]


def detect(
    volume: Volume,
    *,
    config: RunConfig | None = None,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> DetectionResult:
    """Find the cells of a volume: probe slices, link through z, draw boxes.

    Parameters
    ----------
    volume : Volume
        The whole stack; only the probed slices are read.
    config : RunConfig, optional
        Settings.
    executor : WorkerPool, optional
        Where slices are probed.
    progress : Progress, optional
        Called per probed slice.

    Returns
    -------
    DetectionResult
        With no track at all when nothing was found.
    """
    from helaseg.cells.detection.detect import background_volume, probe_slices
    from helaseg.cells.detection.rois import rois_from_tracks
    from helaseg.cells.detection.track import link_detections, track_graph

    config = config or RunConfig()
    timer = StepTimer()
    with timer.measured("detect"):
        probed = probe_slices(
            volume,
            config=config.detect,
            background_config=config.background,
            executor=executor,
            progress=progress,
        )
        detections = tuple(d for piece in probed for d in piece.detections)
        background = background_volume(probed, volume.grid)
    with timer.measured("link"):
        tracks = tuple(
            link_detections(
                list(detections),
                grid=volume.grid,
                config=config.track,
                probed=[piece.z for piece in probed],
                slice_flags={piece.z: piece.flags for piece in probed},
            )
        )
        rois = rois_from_tracks(list(tracks), volume.grid, config=config.rois)
        graph = track_graph(list(detections), list(tracks), grid=volume.grid)
    return DetectionResult(
        detections=detections,
        tracks=tracks,
        rois=rois,
        graph=graph,
        background=background,
        steps=timer.steps,
    )


def segment(
    volume: Volume,
    *,
    config: SegmentConfig | None = None,
    seed_slice: int | None = None,
    target_vx: tuple[float, float, float] | None = None,
    nucleus_only: bool = False,
    executor: WorkerPool | None = None,
    progress: Progress | None = None,
) -> SegmentationResult:
    """Segment nucleus, nuclear envelope and cell in the middle of a crop.

    Parameters
    ----------
    volume : Volume
        Image of one cell, shape (Z, Y, X).
    config : SegmentConfig, optional
        Settings.
    seed_slice : int, optional
        Slice of the crop where the nucleus is clear; chosen automatically if None.
    target_vx : tuple of float, optional
        A point in the target cell, z, y, x in voxels of the crop; its middle
        if None.
    nucleus_only : bool
        Leave the cell out.
    executor : WorkerPool, optional
        Where slices are worked on; two threads of its own by default. A given
        executor stays open. The slices of a crop share its arrays: in place of
        processes as many threads are used.
    progress : Progress, optional
        Called per slice.

    Returns
    -------
    SegmentationResult
        With provenance: settings, versions, fingerprint, time and memory.

    Raises
    ------
    ParameterError
        If `seed_slice` lies outside the crop.
    """
    from helaseg.cells.assemble import assemble
    from helaseg.cells.envelope.measure import measure_envelope
    from helaseg.cells.membrane.segment import label_cells
    from helaseg.cells.nucleus.evidence import collect_evidence
    from helaseg.cells.nucleus.segment import check_start, follow_nuclei
    from helaseg.io import describe_job, fingerprint

    config = config or SegmentConfig()
    check_start(volume.grid, seed_slice=seed_slice, target_vx=target_vx)
    timer = StepTimer()
    # The slices of a crop share its arrays, which threads can and processes cannot.
    owned: Any = make_executor("threads:2") if executor is None else local_pool(executor)
    with owned as pool:
        work = {"executor": pool, "progress": progress}
        with timer.measured("nucleus"):
            evidence = collect_evidence(
                volume, config=config.nucleus.evidence, background=config.background, **work
            )
            nuclei = follow_nuclei(
                evidence, config=config.nucleus, seed_slice=seed_slice, target_vx=target_vx, **work
            )
            # The grey values of all slices are not needed any more.
            membranes = evidence.membranes
            del evidence
        with timer.measured("envelope"):
            envelope = measure_envelope(volume, nuclei, config=config.envelope, **work)
        cells = None
        if not nucleus_only:
            with timer.measured("cell"):
                cells = label_cells(membranes, nuclei, config=config.cell, **work)
        del membranes
        with timer.measured("measure"):
            result = assemble(
                nuclei, envelope, cells, shape=config.shape, invaginations=config.invaginations
            )
    provenance = Provenance(
        config=as_plain(config),
        inputs={
            volume.name: {
                "grid": as_plain(volume.grid),
                "fingerprint": fingerprint(volume),
                "seed_slice": nuclei.seed_slice,
                "resin_threshold": nuclei.resin_threshold,
            }
        },
        steps=timer.steps,
        job=describe_job(volume),
    )
    if target_vx is not None:
        _tell_missed_target(result, target_vx)
    result = result.with_slice_numbers(volume.slice_numbers)
    return dataclasses.replace(result, provenance=provenance)


def _tell_missed_target(result: SegmentationResult, target_vx: tuple[float, float, float]) -> None:
    """Warn where the point that was asked for does not lie in what was found."""
    z, y, x = (
        min(max(round(v), 0), n - 1) for v, n in zip(target_vx, result.labels.shape, strict=True)
    )
    found = result.cell if result.measurements["n_cell_slices"] else result.nucleus
    if found.slice(z)[y, x] or CellFlag.NO_NUCLEUS in result.flags:
        return
    place = ", ".join(f"{v:g}" for v in target_vx)
    centre = ", ".join(f"{result.measurements[f'centroid_{a}_nm']:.0f}" for a in "zyx")
    msg = (
        f"no cell at the target (z, y, x = {place} voxels); the nearest one is measured, its "
        f"centroid lies at {centre} nm"
    )
    warnings.warn(msg, NothingFoundWarning, stacklevel=3)


def as_plain(config: Any) -> dict[str, Any]:
    """A frozen settings class as nested plain values."""
    return dataclasses.asdict(config)
